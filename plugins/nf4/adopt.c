/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nested absmax decodes to numbers that plain absmax holds: every value stays what it was. */
#include "nf4.h"

#include <math.h>
#include <string.h>

/* Codes need no look; the pass is for finish(), which sees all of absmax */
static void
plan (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (float);
}

static gboolean
pass_over (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  return TRUE;
}

/* Rounding takes a small absmax below zero at times, which plain files do not have */
static gboolean
all_are_plain (const Nf4Nested *nested, guint64 blocks)
{
  float absmax[NF4_NESTED_BLOCK];

  for (guint64 first = 0; first < blocks; first += NF4_NESTED_BLOCK)
    {
      guint64 n = MIN (blocks - first, NF4_NESTED_BLOCK);

      nf4_unnest (nested, first, n, absmax);
      for (guint64 i = 0; i < n; i++)
        if (!isfinite (absmax[i]) || absmax[i] < 0.0f)
          return FALSE;
    }
  return TRUE;
}

static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  Nf4Size size = nf4_size (t->layer);
  Nf4Nested nested;

  *exact = nf4_is_nested (t->source) && !nf4_is_nested (t->layer) && nf4_size (t->source).block == size.block;
  if (!*exact)
    return TRUE;
  nested = nf4_nested_of (t, TRUE);
  *exact = all_are_plain (&nested, size.blocks);
  if (*exact)
    memcpy (qconv_buffer_data (qconv_tile_component (t, "codebook")),
            qconv_buffer_data (qconv_tile_source (t, "codebook")), NF4_LEVELS * sizeof (float));
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *codes = qconv_tile_component (t, "codes");
  Nf4Nested nested = nf4_nested_of (t, TRUE);

  memcpy (qconv_buffer_data (codes), qconv_buffer_data (qconv_tile_source (t, "codes")), qconv_buffer_size (codes));
  nf4_unnest (&nested, nf4_first_block (t->layer, t->first_row), nf4_n_blocks (t->layer, t->n_rows),
              qconv_buffer_data (qconv_tile_component (t, "absmax")));
  return TRUE;
}

const QconvEncoder nf4_from_nested
    = { .from = "nf4", .work = plan, .accumulate = pass_over, .finish = finish, .encode = encode };
const QconvEncoder nf4_from_nested_fp4
    = { .from = "fp4", .work = plan, .accumulate = pass_over, .finish = finish, .encode = encode };
