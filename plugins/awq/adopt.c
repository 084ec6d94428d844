/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder that takes GPTQ's codes of up to 4 bits. A weight (code - z) · scale is (code - centre) · scale + zero
   with the zero (centre - z) · scale, if the stored type holds scale and zero exactly. */
#include "awq.h"

#include <math.h>
#include <string.h>

/* Returns whether each group of the layer lies within one of the source, in order. */
static gboolean
suits (const QconvTile *t)
{
  const QconvValues *source = t->source->values;
  guint64 group = awq_group (t->layer), theirs = (guint64) qconv_values_int (source, "group");

  return qconv_values_int (source, "bits") <= 4 && !qconv_values_boolean (source, "act-order")
         && (theirs % group == 0 || theirs >= t->layer->cols);
}

static gboolean
accumulate_groups (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  guint64 cols = t->layer->cols, groups = cols / awq_group (t->layer);
  guint64 group = (guint64) qconv_values_int (t->source->values, "group"), theirs = cols / group + (cols % group != 0);
  AwqGroup *dst = (AwqGroup *) qconv_buffer_data (partial) + t->first_row % awq_chunk_rows (t->layer) * groups;
  const float *scales = qconv_buffer_data (qconv_tile_source (t, "scale"));
  const gint16 *zeros = qconv_buffer_data (qconv_tile_source (t, "zero"));

  if (!suits (t))
    return TRUE;
  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 k = 0; k < groups; k++)
      {
        guint64 from = row * theirs + k * awq_group (t->layer) / group;

        dst[row * groups + k]
            = (AwqGroup) { scales[from], (float) (awq_centre (t->layer) - zeros[from]) * scales[from] };
      }
  return TRUE;
}

static gboolean
finish_groups (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
               gboolean *exact, GError **error)
{
  QconvBuffer *scale = qconv_tile_component (t, "scale"), *zero = qconv_tile_component (t, "zero");
  guint64 groups = t->layer->rows * (t->layer->cols / awq_group (t->layer));
  const AwqGroup *measured = partials;

  *exact = suits (t);
  for (guint64 k = 0; k < groups && *exact; k++)
    *exact = measured[k].scale >= 0.0f && awq_store_number (scale, k, measured[k].scale)
             && awq_store_number (zero, k, measured[k].zero)
             && fabsf (awq_load_number (scale, k) - measured[k].scale) <= 0.0f
             && fabsf (awq_load_number (zero, k) - measured[k].zero) <= 0.0f;
  return TRUE;
}

static gboolean
copy_codes (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *codes = qconv_tile_component (t, "codes");

  memcpy (qconv_buffer_data (codes), qconv_buffer_data (qconv_tile_source (t, "codes")), qconv_buffer_size (codes));
  return TRUE;
}

const QconvEncoder awq_from_gptq = {
  .from = "gptq",
  .work = awq_plan_work,
  .accumulate = accumulate_groups,
  .finish = finish_groups,
  .encode = copy_codes,
};
