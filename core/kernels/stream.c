/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs operations of a backend by name and version. Plugins and core call it; kernels themselves do not. */
#include "kernels/stream.h"

#include <string.h>

#include "kernels/device.h"
#include "kernels/kernels.h"

/* The longest key of the index of operations */
#define KEY_SIZE 64

static void
make_key (char key[KEY_SIZE], const char *name, guint version)
{
  g_snprintf (key, KEY_SIZE, "%s/%u", name, version);
}

GHashTable *
qconv_stream_index (const QconvBackend *backend)
{
  GHashTable *ops = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (const QconvOp *op = backend->ops; op->name != NULL; op++)
    {
      char key[KEY_SIZE];

      make_key (key, op->name, op->version);
      g_hash_table_insert (ops, g_strdup (key), (gpointer) op);
    }
  return ops;
}

const QconvOpName *
qconv_stream_lacks (GHashTable *ops, const QconvOpName *names)
{
  for (; names != NULL && names->name != NULL; names++)
    {
      char key[KEY_SIZE];

      make_key (key, names->name, names->version);
      if (!g_hash_table_contains (ops, key))
        return names;
    }
  return NULL;
}

static gpointer
stream_of_cpu (void)
{
  QconvStream *s = g_new0 (QconvStream, 1);

  s->backend = qconv_backend_cpu ();
  s->ops = qconv_stream_index (s->backend);
  return s;
}

QconvStream *
qconv_stream_cpu (void)
{
  static QconvStream *cpu;

  if (g_once_init_enter (&cpu))
    g_once_init_leave (&cpu, stream_of_cpu ());
  return cpu;
}

gboolean
qconv_stream_cpu_check (const QconvOpName *names, GError **error)
{
  const QconvOpName *lacking = qconv_stream_lacks (qconv_stream_cpu ()->ops, names);

  return lacking == NULL
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "it needs operation %s/%u, which this qconv lacks",
                        lacking->name, lacking->version);
}

QconvStream
qconv_stream_cpu_on (StreamParallel parallel, gpointer threads)
{
  QconvStream s = *qconv_stream_cpu ();

  s.parallel = parallel;
  s.threads = threads;
  return s;
}

gboolean
qconv_stream_parallel (QconvStream *s, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error)
{
  g_return_val_if_fail (s != NULL && func != NULL, FALSE);
  if (s->parallel != NULL)
    return s->parallel (s->threads, n_tasks, func, data, error);
  for (guint i = 0; i < n_tasks; i++)
    if (!func (data, i, 0, error))
      return FALSE;
  return TRUE;
}

static gboolean
is_listed (const QconvOpName *listed, const char *op, guint version)
{
  for (; listed != NULL && listed->name != NULL; listed++)
    if (listed->version == version && strcmp (listed->name, op) == 0)
      return TRUE;
  return listed == NULL;
}

/* Returns whether @b (nullable) is where @s works: in host memory, or on its device */
static gboolean
is_at_hand (const QconvStream *s, QconvBuffer *b)
{
  return b == NULL || qconv_buffer_size (b) == 0 || (qconv_buffer_data (b) == NULL) == (s->device != NULL);
}

static gboolean
are_at_hand (const QconvStream *s, const QconvOp *op, const QconvArg *args)
{
  for (guint i = 0; op->args[i] != '\0'; i++)
    if (op->args[i] == 'b' && !is_at_hand (s, args[i].buffer))
      return FALSE;
  return TRUE;
}

/* Hands @own to @error, and notes a fault of the device. Returns FALSE */
static gboolean
blame (QconvStream *s, GError *own, GError **error)
{
  if (s->failed != NULL && qconv_device_is_at_fault (own))
    *s->failed = TRUE;
  g_propagate_error (error, own);
  return FALSE;
}

gboolean
qconv_stream_run (QconvStream *s, const char *op, guint version, const QconvArg *args, guint n_args, GError **error)
{
  char key[KEY_SIZE];
  const QconvOp *found;
  GError *own = NULL;

  make_key (key, op, version);
  found = g_hash_table_lookup (s->ops, key);
  if (found == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "backend %s has no operation %s", s->backend->id, key);
  if (!is_listed (s->listed, op, version))
    return qconv_fail (error, QCONV_ERROR_BUG, "operation %s is not among those that were listed", key);
  if (strlen (found->args) != n_args)
    return qconv_fail (error, QCONV_ERROR_BUG, "operation %s takes %zu arguments, not %u", key, strlen (found->args),
                       n_args);
  if (!are_at_hand (s, found, args))
    return qconv_fail (error, QCONV_ERROR_BUG, "operation %s got memory that backend %s cannot reach", key,
                       s->backend->id);
  return found->run (s->device, s->handle, args, &own) || blame (s, own, error);
}

/* ---- Bytes of the host ---- */

/* Fails unless @s reaches bytes [first, first + n) of @b */
static gboolean
check_range (const QconvStream *s, QconvBuffer *b, gsize first, gsize n, GError **error)
{
  if (first > b->size || n > b->size - first)
    return qconv_fail (error, QCONV_ERROR_BUG, "a copy reaches beyond the end of its buffer");
  return is_at_hand (s, b)
         || qconv_fail (error, QCONV_ERROR_BUG, "a copy got memory that backend %s cannot reach", s->backend->id);
}

/* Waits for a copy that was enqueued if @copied, else for those before it. It must not go on when its caller is gone */
static gboolean
end_copy (QconvStream *s, gboolean copied, GError *own, GError **error)
{
  if (!s->backend->sync (s->device, s->handle, copied ? &own : NULL))
    copied = FALSE;
  return copied || blame (s, own, error);
}

/* Copies bytes [first, first + n) of @b to @to, or to there from @from: the other one is NULL */
static gboolean
copy_bytes (QconvStream *s, QconvBuffer *b, gsize first, gsize n, void *to, const void *from, GError **error)
{
  GError *own = NULL;
  gboolean ok;

  if (!check_range (s, b, first, n, error))
    return FALSE;
  if (n == 0)
    return TRUE;
  if (s->device == NULL)
    {
      memcpy (to != NULL ? to : b->data + first, to != NULL ? b->data + first : from, n);
      return TRUE;
    }
  ok = to != NULL ? s->backend->copy_out (s->device, s->handle, to, b->address + first, n, &own)
                  : s->backend->copy_in (s->device, s->handle, b->address + first, from, n, &own);
  return end_copy (s, ok, own, error);
}

gboolean
qconv_stream_read (QconvStream *s, QconvBuffer *b, gsize first, gsize n, void *host, GError **error)
{
  g_return_val_if_fail (s != NULL && b != NULL, FALSE);
  return copy_bytes (s, b, first, n, host, NULL, error);
}

gboolean
qconv_stream_write (QconvStream *s, QconvBuffer *b, gsize first, gsize n, const void *host, GError **error)
{
  g_return_val_if_fail (s != NULL && b != NULL, FALSE);
  return copy_bytes (s, b, first, n, NULL, host, error);
}
