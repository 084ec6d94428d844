/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The largest magnitude of a layer, found by the operation "amax". */
#include "amax-pass.h"

void
qconv_amax_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (float);
}

gboolean
qconv_amax_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  return qconv_amax_add (t, t->floats, partial, error);
}

gboolean
qconv_amax_add (const QconvTile *t, QconvBuffer *floats, QconvBuffer *partial, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (floats), QCONV_BUF (partial) };

  return qconv_stream_run (t->stream, "amax", 1, args, G_N_ELEMENTS (args), error);
}

float
qconv_amax_of_partials (gconstpointer partials, gsize n)
{
  const float *amax = partials;
  float top = 0.0f;

  for (gsize i = 0; i < n; i++)
    top = MAX (top, amax[i]);
  return top;
}
