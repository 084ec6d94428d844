/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses encoders and the types of floats that they get. The plan, its costs and the run ask. */
#include "plan/encoder.h"

#include <string.h>

#include "base/error.h"
#include "kernels/stream.h"
#include "layer/hooks.h"

/* Bytes. Sums of a few such numbers fit 64 bits */
#define MOST_WORK ((guint64) 1 << 48)

/* Returns whether floats of @dtype go into @q as they are */
static gboolean
takes_floats (const QconvQuantizer *q, QconvDType dtype)
{
  return dtype == QCONV_F32 || (q->float_dtypes & (1u << dtype)) != 0;
}

const QconvEncoder *
qconv_encoder (const PlannedLayer *l, guint i)
{
  const QconvEncoder *const *e = l->layer->quantizer->encoders;

  for (; *e != NULL; e++)
    if ((*e)->from == NULL || strcmp ((*e)->from, l->source->layer->scheme) == 0)
      if (i-- == 0)
        return *e;
  return NULL;
}

QconvWork
qconv_encoder_work (const PlannedLayer *l, guint i)
{
  const QconvEncoder *e = qconv_encoder (l, i);
  QconvWork work = { 0 };

  if (e->work != NULL)
    e->work (l->layer->quantizer, &l->layer->pub, &work);
  if (e->accumulate == NULL)
    work.partial_size = 0;
  if (work.chunk_rows == 0)
    work.chunk_rows = CHUNK_ROWS (l->layer->pub.cols);
  return work;
}

gboolean
qconv_encoder_check (const PlannedLayer *l, GError **error)
{
  guint64 rows = l->layer->pub.rows, partials, scratch;

  for (guint i = 0; qconv_encoder (l, i) != NULL; i++)
    {
      const Hook hook = { "quantizer", l->layer->quantizer, "work", l->layer->name };
      QconvWork work = qconv_encoder_work (l, i);

      if (!qconv_stream_cpu_check (qconv_encoder (l, i)->operations, error))
        {
          g_prefix_error (error, "scheme %s: ", l->layer->scheme);
          qconv_error_name_layer (error, l->layer->name);
          return FALSE;
        }
      if (work.n_passes > 0 && qconv_encoder (l, i)->finish == NULL)
        return qconv_hook_broke (&hook, error, "states passes, but the encoder has no finish()");
      if (!g_uint64_checked_mul (&partials, rows / work.chunk_rows + 1, work.partial_size)
          || !g_uint64_checked_mul (&scratch, rows, work.scratch_per_row)
          || !g_uint64_checked_add (&scratch, scratch, work.scratch) || partials > MOST_WORK || scratch > MOST_WORK
          || work.scratch_per_thread > MOST_WORK)
        return qconv_hook_broke (&hook, error, "states more memory than any machine has");
    }
  return TRUE;
}

gboolean
qconv_work_reads (const QconvWork *work)
{
  return work->n_passes > 0 && work->partial_size > 0;
}

guint64
qconv_work_bytes (const PlannedLayer *l)
{
  QconvWork work = { 0 };

  if (l->how == HOW_ENCODE)
    work = qconv_encoder_work (l, 0);
  return l->source->bytes * (qconv_work_reads (&work) ? 1 + work.n_passes : 1);
}

gboolean
qconv_casts_directly (const PlannedLayer *l)
{
  QconvDType from = l->source->layer->pub.dtype;

  return l->how == HOW_CAST && (qconv_dtype_is_float (from) || from == l->layer->pub.dtype);
}

gboolean
qconv_floats_as_is (const PlannedLayer *l)
{
  return qconv_source_layer_plain (l->source) && takes_floats (l->layer->quantizer, l->source->layer->pub.dtype);
}

const char *
qconv_how_name (const PlannedLayer *l)
{
  static const char *const names[] = { "copy", "cast", "decode", "move", "encode" };

  return l->how == HOW_ENCODE && qconv_encoder (l, 0)->from != NULL ? "adopt" : names[l->how];
}
