/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs operations of a backend on memory of its device, and counts them. kernel-fixture.c calls it. */
#include "kernel-device.h"

#include <string.h>

#include "kernel-fixture.h"

#define MOST_ARGS 12
#define ALIGNMENT 16 /* a buffer keeps its place within so many bytes */

/* A buffer of an operation. @start: what the device allocated; @copy: its place in there */
typedef struct {
  QconvBuffer *host, copy;
  gpointer start;
} DeviceBuffer;

static const QconvBackend *backend;
static gpointer device, stream;
static GHashTable *counts; /* name of an operation -> how often it ran */

void
kernel_device_begin (const QconvBackend *of, gpointer opened)
{
  g_autoptr (GError) error = NULL;

  backend = of;
  device = opened;
  counts = g_hash_table_new (g_str_hash, g_str_equal);
  stream = backend->stream_new (device, &error);
  g_assert_no_error (error);
}

static void
copy_to_device (DeviceBuffer *b, QconvBuffer *host)
{
  gsize shift = (gsize) host->data % ALIGNMENT;
  g_autoptr (GError) error = NULL;

  b->host = host;
  b->start = backend->alloc (device, host->size + shift, &error);
  g_assert_no_error (error);
  b->copy = QCONV_BUFFER ((guint8 *) b->start + shift, host->size, host->dtype);
  backend->copy_in (device, stream, b->copy.data, host->data, host->size, &error);
  g_assert_no_error (error);
}

/* Writes only what changed: inputs may be constants */
static void
copy_back (const DeviceBuffer *b)
{
  g_autofree guint8 *bytes = g_malloc (MAX (b->host->size, 1));
  g_autoptr (GError) error = NULL;

  backend->copy_out (device, stream, bytes, b->copy.data, b->host->size, &error);
  g_assert_no_error (error);
  backend->sync (device, stream, &error);
  g_assert_no_error (error);
  if (b->host->size > 0 && memcmp (b->host->data, bytes, b->host->size) != 0)
    memcpy (b->host->data, bytes, b->host->size);
}

static gboolean
is_same (const QconvBuffer *a, const QconvBuffer *b)
{
  return a->data == b->data && a->size == b->size && a->dtype == b->dtype;
}

/* Sets @on to the arguments with buffers of the device, of which there are @n. One buffer may come twice; an optional
   one may be NULL */
static void
take_args (const char *letters, const QconvArg *args, QconvArg *on, DeviceBuffer *buffers, guint *n)
{
  for (guint i = 0; letters[i] != '\0'; i++)
    {
      guint k = 0;

      on[i] = args[i];
      if (letters[i] != 'b' || args[i].buffer == NULL)
        continue;
      while (k < *n && !is_same (buffers[k].host, args[i].buffer))
        k++;
      if (k == *n)
        copy_to_device (&buffers[(*n)++], args[i].buffer);
      on[i].buffer = &buffers[k].copy;
    }
}

static gboolean
has_op (const QconvOp *op)
{
  for (const QconvOp *own = backend->ops; own->name != NULL; own++)
    if (own == op)
      return TRUE;
  return FALSE;
}

gboolean
kernel_device_run (const QconvOp *op, const QconvArg *args, GError **error)
{
  DeviceBuffer buffers[MOST_ARGS];
  QconvArg on[MOST_ARGS];
  guint n = 0;
  gboolean done;

  if (!has_op (op))
    return op->run (NULL, NULL, args, error);
  g_assert_cmpuint (strlen (op->args), <=, MOST_ARGS);
  take_args (op->args, args, on, buffers, &n);
  done = op->run (device, stream, on, error) && backend->sync (device, stream, error);
  for (guint i = 0; i < n; i++)
    {
      if (done)
        copy_back (&buffers[i]);
      backend->free (device, buffers[i].start);
    }
  if (done)
    g_hash_table_insert (counts, (gpointer) op->name,
                         GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (counts, op->name)) + 1));
  return done;
}

void
kernel_assert_all_tried (void)
{
  guint all = 0;

  for (const QconvOp *op = backend->ops; op->name != NULL; op++)
    {
      guint n = GPOINTER_TO_UINT (g_hash_table_lookup (counts, op->name));

      g_test_message ("%s: %u cases", op->name, n);
      g_assert_cmpuint (n, >, 0);
      all += n;
    }
  g_test_message ("%u cases of %u operations", all, g_hash_table_size (counts));
  backend->stream_free (device, stream);
}
