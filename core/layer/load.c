/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads any layer: calls load-claimed.c or load-composed.c. The plan asks for the costs, the run and the check load. */
#include "layer/load.h"

#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load-claimed.h"
#include "layer/load-composed.h"

gsize
qconv_source_cost (const SourceLayer *s, Scope scope, guint64 n_rows)
{
  return s->parts == NULL ? qconv_claimed_cost (s, scope, n_rows) : qconv_composed_cost (s, scope, n_rows);
}

gboolean
qconv_components_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error)
{
  return s->parts == NULL ? qconv_claimed_load (s, c, scope, rows, error)
                          : qconv_composed_load (s, c, scope, rows, error);
}

gsize
qconv_hold_cost (const SourceLayer *s)
{
  return s->parts == NULL ? qconv_claimed_cost (s, SCOPE_ROWS, s->layer->pub.rows) : qconv_composed_hold_cost (s);
}

gboolean
qconv_source_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error)
{
  Rows all = { 0, s->layer->pub.rows, rows->arena, rows->cancellable };

  return s->parts == NULL ? qconv_claimed_hold (s, c, &all, error) : qconv_composed_hold (s, c, rows, error);
}

gsize
qconv_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is)
{
  return s->parts == NULL ? qconv_claimed_floats_cost (s, n_rows, as_is)
                          : qconv_composed_floats_cost (s, n_rows, as_is);
}

gboolean
qconv_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is, QconvBuffer *floats,
                   GError **error)
{
  return s->parts == NULL ? qconv_claimed_floats_load (s, c, rows, as_is, floats, error)
                          : qconv_composed_floats_load (s, c, rows, as_is, floats, error);
}

static gsize
errors_size (const SourceLayer *s, guint64 n_rows)
{
  return (gsize) (n_rows * s->layer->pub.cols) * sizeof (float);
}

gsize
qconv_errors_cost (const SourceLayer *s, guint64 n_rows)
{
  return s->error != NULL ? arena_cost (errors_size (s, n_rows)) : 0;
}

gboolean
qconv_errors_load (const SourceLayer *s, const Rows *rows, QconvBuffer *errors, GError **error)
{
  const Binding *b = s->error != NULL ? qconv_source_layer_binding (s, "weight") : NULL;
  QconvComponent numbers = { .name = "error", .dtype = QCONV_F32, .shape = s->layer->pub.shape, .run = QCONV_ROWWISE };
  QconvLoad load = { .layer = &s->layer->pub, .component = &numbers, .first = rows->first, .n = rows->n };
  gsize size = errors_size (s, rows->n);

  *errors = (QconvBuffer) { .dtype = QCONV_F32 };
  if (b == NULL)
    return TRUE;
  *errors = QCONV_BUFFER (arena_take (rows->arena, size), size, QCONV_F32);
  if (errors->data == NULL)
    return qconv_components_exhausted (s->layer, error);
  load.tensors = (const QconvTensor *const *) b->tensors->pdata;
  load.dst = errors->data;
  load.data = b->data;
  return qconv_call_load (s->reader, s->error, &load, rows->arena, error);
}

gboolean
qconv_floats_nonfinite (QconvBuffer *floats, guint64 *n, GError **error)
{
  QconvBuffer count = QCONV_BUFFER (n, sizeof *n, QCONV_U64);

  *n = 0;
  return qconv_stream_run (qconv_stream_cpu (), "nonfinite", 1, (QconvArg[]) { QCONV_BUF (floats), QCONV_BUF (&count) },
                           2, error);
}

/* Counts the items of @floats, which lie on device @t, that are Inf or NaN */
static gboolean
count_on_device (DeviceTask *t, const QconvBuffer *floats, guint64 *n, GError **error)
{
  const QconvBuffer count = QCONV_BUFFER (n, sizeof *n, QCONV_U64);
  QconvBuffer *there = qconv_device_mirror (t, floats, FALSE, error), *sum;

  gboolean ok;

  *n = 0;
  sum = there != NULL ? qconv_device_mirror (t, &count, TRUE, error) : NULL;
  ok = sum != NULL
       && qconv_stream_run (qconv_device_stream (t), "nonfinite", 1,
                            (QconvArg[]) { QCONV_BUF (there), QCONV_BUF (sum) }, 2, error);
  if (ok)
    qconv_device_wrote (t, &count);
  /* waits in any case: the counter is the caller's, and must not be written when it is gone */
  ok = qconv_device_fetch (t, floats, ok ? error : NULL) && ok;
  qconv_device_forget (t, floats);
  return ok;
}

gboolean
qconv_floats_check (QconvBuffer *floats, DeviceTask *t, GError **error)
{
  static const QconvOpName needed[] = { { "nonfinite", 1 }, { NULL, 0 } };
  guint64 n_bad;
  gboolean there = t != NULL && qconv_device_is_newer (t, floats);

  if (there && !qconv_device_offers (qconv_device_of (t), needed))
    {
      if (!qconv_device_fetch (t, NULL, error))
        return FALSE;
      there = FALSE;
    }
  if (there ? !count_on_device (t, floats, &n_bad, error) : !qconv_floats_nonfinite (floats, &n_bad, error))
    return FALSE;
  return n_bad == 0 || qconv_fail (error, QCONV_ERROR_NON_FINITE, "the weights hold Inf or NaN");
}
