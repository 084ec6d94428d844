/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs operations of a backend by name and version. Plugins and core call it; kernels themselves do not. */
#include "kernels/stream.h"

#include <string.h>

#include "kernels/kernels.h"

static gpointer
stream_for_backend (const QconvBackend *backend)
{
  QconvStream *s = g_new0 (QconvStream, 1);

  s->backend = backend;
  s->ops = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (const QconvOp *op = backend->ops; op->name != NULL; op++)
    g_hash_table_insert (s->ops, g_strdup_printf ("%s/%u", op->name, op->version), (gpointer) op);
  return s;
}

QconvStream *
qconv_stream_cpu (void)
{
  static QconvStream *cpu;

  if (g_once_init_enter (&cpu))
    g_once_init_leave (&cpu, stream_for_backend (qconv_backend_cpu ()));
  return cpu;
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

gboolean
qconv_stream_run (QconvStream *s, const char *op, guint version, const QconvArg *args, guint n_args, GError **error)
{
  char key[64];
  const QconvOp *found;

  g_snprintf (key, sizeof key, "%s/%u", op, version);
  found = g_hash_table_lookup (s->ops, key);
  if (found == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "backend %s has no operation %s", s->backend->id, key);
  if (strlen (found->args) != n_args)
    return qconv_fail (error, QCONV_ERROR_BUG, "operation %s takes %zu arguments, not %u", key, strlen (found->args),
                       n_args);
  return found->run (NULL, NULL, args, error);
}
