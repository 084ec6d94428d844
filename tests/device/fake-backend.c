/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backend "fake": a device that is a part of the host's memory. Its addresses cannot be read by the host, and work
   is done only when the stream is waited for, so that mistakes which a real device would show are seen. Its operations
   are the processor's. Any of its functions can be made to fail. */
#include "fake-backend.h"

#include <gmodule.h>
#include <string.h>

#include "base/buffer.h"
#include "kernels/kernels.h"
#include "qconv-backend.h"
#include "small.h"

#define FARAWAY ((guintptr) 1 << 62) /* added to addresses: no process has memory there */
#define MOST_ARGS 12

G_MODULE_EXPORT FakeControl fake_control;
G_MODULE_EXPORT const QconvBackend *qconv_backend_fake (void);

static GMutex lock;
static guint64 limit;
static GHashTable *blocks; /* memory → its size */

/* One step of a stream: an operation, or a copy if @op is NULL */
typedef struct {
  const QconvOp *op;
  QconvArg args[MOST_ARGS];
  QconvBuffer buffers[MOST_ARGS];
  void *dst;
  const void *src;
  gsize n;
} Step;

static gboolean
may (FakeCall call, GError **error)
{
  gboolean ok;

  g_mutex_lock (&lock);
  fake_control.calls[call]++;
  ok = fake_control.fail_at == 0 || fake_control.fail != call || fake_control.calls[call] < fake_control.fail_at
       || (fake_control.once && fake_control.calls[call] > fake_control.fail_at);
  g_mutex_unlock (&lock);
  return ok || qconv_fail (error, fake_control.code, "the test wanted it so");
}

/* ---- Device and memory ---- */

static guint
n_devices (GError **error)
{
  return 2;
}

static gpointer
open_device (guint device, guint64 memory_limit, GError **error)
{
  if (device > 1)
    return qconv_fail (error, QCONV_ERROR_DEVICE, "there is no device %u", device), NULL;
  if (!may (FAKE_OPEN, error))
    return NULL;
  limit = memory_limit;
  fake_control.n_devices++;
  return &lock;
}

static void
close_device (gpointer device)
{
  fake_control.n_devices--;
  g_assert_cmpuint (fake_control.n_memory, ==, 0);
  g_assert_cmpuint (fake_control.n_streams, ==, 0);
  g_assert_cmpuint (fake_control.n_pinned, ==, 0);
}

static char *
describe_device (gpointer device)
{
  return g_strdup ("a device that is none");
}

static gpointer
alloc (gpointer device, gsize n, GError **error)
{
  guint8 *memory;

  if (!may (FAKE_ALLOC, error))
    return NULL;
  g_mutex_lock (&lock);
  if (limit > 0 && (n > limit || fake_control.held > limit - n))
    {
      g_mutex_unlock (&lock);
      return qconv_fail (error, QCONV_ERROR_LIMIT, "no room for %" G_GSIZE_FORMAT " bytes", n), NULL;
    }
  memory = g_aligned_alloc (n, 1, 64);
  memset (memory, 0xa5, n);
  if (blocks == NULL)
    blocks = g_hash_table_new (NULL, NULL);
  g_hash_table_insert (blocks, memory, GSIZE_TO_POINTER (n));
  fake_control.n_memory++;
  fake_control.held += n;
  fake_control.most = MAX (fake_control.most, fake_control.held);
  g_mutex_unlock (&lock);
  return (gpointer) ((guintptr) memory + FARAWAY);
}

static void
free_memory (gpointer device, gpointer memory)
{
  gpointer here = (gpointer) ((guintptr) memory - FARAWAY), n = NULL;

  g_mutex_lock (&lock);
  g_assert_true (g_hash_table_steal_extended (blocks, here, NULL, &n));
  fake_control.n_memory--;
  fake_control.held -= GPOINTER_TO_SIZE (n);
  g_mutex_unlock (&lock);
  g_aligned_free (here);
}

static gpointer
alloc_host (gpointer device, gsize n, GError **error)
{
  if (!may (FAKE_ALLOC_HOST, error))
    return NULL;
  g_atomic_int_inc (&fake_control.n_pinned);
  return g_aligned_alloc (n, 1, 64);
}

static void
free_host (gpointer device, gpointer memory)
{
  g_atomic_int_dec_and_test (&fake_control.n_pinned);
  g_aligned_free (memory);
}

/* ---- Streams ---- */

static gpointer
stream_new (gpointer device, GError **error)
{
  if (!may (FAKE_STREAM_NEW, error))
    return NULL;
  g_atomic_int_inc (&fake_control.n_streams);
  return g_array_new (FALSE, TRUE, sizeof (Step));
}

static void
stream_free (gpointer device, gpointer stream)
{
  g_atomic_int_dec_and_test (&fake_control.n_streams);
  g_array_unref (stream);
}

static gboolean
copy_in (gpointer device, gpointer stream, gpointer dst, const void *src, gsize n, GError **error)
{
  const Step step = { .dst = (gpointer) ((guintptr) dst - FARAWAY), .src = src, .n = n };

  g_array_append_val ((GArray *) stream, step);
  return may (FAKE_COPY_IN, error);
}

static gboolean
copy_out (gpointer device, gpointer stream, void *dst, gconstpointer src, gsize n, GError **error)
{
  const Step step = { .dst = dst, .src = (gpointer) ((guintptr) src - FARAWAY), .n = n };

  g_array_append_val ((GArray *) stream, step);
  return may (FAKE_COPY_OUT, error);
}

static gboolean
do_step (Step *s, GError **error)
{
  if (s->op == NULL)
    {
      memcpy (s->dst, s->src, s->n);
      return TRUE;
    }
  for (guint i = 0; s->op->args[i] != '\0'; i++)
    if (s->args[i].buffer != NULL)
      s->args[i].buffer = &s->buffers[i];
  return s->op->run (NULL, NULL, s->args, error);
}

static gboolean
sync_stream (gpointer device, gpointer stream, GError **error)
{
  GArray *steps = stream;
  gboolean ok = TRUE;

  for (guint i = 0; ok && i < steps->len; i++)
    ok = do_step (&g_array_index (steps, Step, i), error);
  g_array_set_size (steps, 0);
  return ok && may (FAKE_SYNC, error);
}

/* ---- Operations ---- */

/* Of the level "scalar", so that conversions compare it with the processor's own; a small test has no time for that */
static const QconvOp *operations;

/* Enqueues operation @i, whose arguments may be gone when it is done */
static gboolean
enqueue (guint i, gpointer stream, const QconvArg *args, GError **error)
{
  const QconvOp *op = &operations[i];
  Step step = { .op = op };

  g_assert_cmpuint (strlen (op->args), <=, MOST_ARGS);
  for (guint k = 0; op->args[k] != '\0'; k++)
    {
      step.args[k] = args[k];
      if (args[k].buffer == NULL)
        continue;
      g_assert_null (qconv_buffer_data (args[k].buffer));
      step.buffers[k] = QCONV_BUFFER ((guintptr) qconv_buffer_address (args[k].buffer) - FARAWAY,
                                      qconv_buffer_size (args[k].buffer), qconv_buffer_dtype (args[k].buffer));
    }
  g_array_append_val ((GArray *) stream, step);
  if (!may (FAKE_RUN, error))
    return FALSE;
  g_mutex_lock (&lock);
  fake_control.runs[i]++;
  g_mutex_unlock (&lock);
  return TRUE;
}

/* A function for every row of the table, because a row does not tell its function which one it is */
/* clang-format off */
#define EIGHT(X, n) X (n##0) X (n##1) X (n##2) X (n##3) X (n##4) X (n##5) X (n##6) X (n##7)
#define ALL(X) EIGHT (X, 0) EIGHT (X, 01) EIGHT (X, 02) EIGHT (X, 03) EIGHT (X, 04) EIGHT (X, 05) EIGHT (X, 06) \
  EIGHT (X, 07) EIGHT (X, 010) EIGHT (X, 011) EIGHT (X, 012) EIGHT (X, 013) EIGHT (X, 014) EIGHT (X, 015) \
  EIGHT (X, 016) EIGHT (X, 017)
/* clang-format on */
#define DEFINE_RUN(i)                                                                              \
  static gboolean run_##i (gpointer device, gpointer stream, const QconvArg *args, GError **error) \
  {                                                                                                \
    return enqueue (i, stream, args, error);                                                       \
  }
ALL (DEFINE_RUN)

#define LIST_RUN(i) run_##i,
static gboolean (*const runs[]) (gpointer, gpointer, const QconvArg *, GError **) = { ALL (LIST_RUN) };
G_STATIC_ASSERT (G_N_ELEMENTS (runs) == FAKE_MOST_OPS);

const QconvBackend *
qconv_backend_fake (void)
{
  static QconvOp ops[FAKE_MOST_OPS + 1];
  static const QconvBackend fake = { .abi = QCONV_PLUGIN_ABI,
                                     .id = "fake",
                                     .summary = "a device for tests",
                                     .ops = ops,
                                     .n_devices = n_devices,
                                     .open = open_device,
                                     .close = close_device,
                                     .describe = describe_device,
                                     .alloc = alloc,
                                     .free = free_memory,
                                     .alloc_host = alloc_host,
                                     .free_host = free_host,
                                     .stream_new = stream_new,
                                     .stream_free = stream_free,
                                     .copy_in = copy_in,
                                     .copy_out = copy_out,
                                     .sync = sync_stream };

  operations = (test_is_small () ? qconv_kernel_level_chosen () : qconv_kernel_levels ())->ops;
  for (guint i = 0; operations[i].name != NULL; i++)
    {
      g_assert_cmpuint (i, <, FAKE_MOST_OPS);
      ops[i] = operations[i];
      ops[i].run = runs[i];
    }
  return &fake;
}
