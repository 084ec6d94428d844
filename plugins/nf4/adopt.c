/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoders that turn nested absmax into plain absmax without changing a value. Nesting may have rounded an absmax below
   zero, which plain files cannot hold. It becomes 0 if the block holds only zeros; else core decodes and encodes the
   layer. */
#include "nf4.h"

#include <math.h>
#include <string.h>

static void
plan (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->chunk_rows = nf4_chunk_rows (layer);
  work->partial_size = sizeof (float);
}

static gboolean
suits (const QconvTile *t)
{
  return nf4_is_nested (t->source) && !nf4_is_nested (t->layer)
         && nf4_size (t->source).block == nf4_size (t->layer).block;
}

/* Returns whether all weights of a block are zero. @block: counted from the tile's first */
static gboolean
block_is_zero (const QconvTile *t, guint64 block)
{
  const float *levels = qconv_buffer_data (qconv_tile_source (t, "codebook"));
  const guint8 *codes = qconv_buffer_data (qconv_tile_source (t, "codes"));
  guint64 cols = t->layer->cols, size = nf4_size (t->layer).block;
  guint64 end = MIN ((block + 1) * size, t->n_rows * cols);

  for (guint64 i = block * size; i < end; i++)
    {
      guint8 pair = codes[i / cols * (cols / 2 + cols % 2) + i % cols / 2];

      if (fabsf (levels[pair >> (i % cols % 2 * 4) & 15]) > 0.0f)
        return FALSE;
    }
  return TRUE;
}

/* Sets @partial to 1 if an absmax does not fit. */
static gboolean
look_at_absmax (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  guint64 n = nf4_n_blocks (t->layer, t->n_rows), first = nf4_first_block (t->layer, t->first_row);
  Nf4Nested nested;

  if (!suits (t))
    return TRUE;
  nested = nf4_nested_of (t, TRUE);
  for (guint64 i = 0; i < n; i++)
    {
      float absmax;

      nf4_unnest (&nested, first + i, 1, &absmax);
      if (!isfinite (absmax) || (absmax < 0.0f && !block_is_zero (t, i)))
        *(float *) qconv_buffer_data (partial) = 1.0f;
    }
  return TRUE;
}

static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  const float *misfits = partials;

  *exact = suits (t);
  for (gsize i = 0; i < n; i++)
    *exact = *exact && misfits[i] < 1.0f;
  if (*exact)
    memcpy (qconv_buffer_data (qconv_tile_component (t, "codebook")),
            qconv_buffer_data (qconv_tile_source (t, "codebook")), NF4_LEVELS * sizeof (float));
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *codes = qconv_tile_component (t, "codes");
  float *absmax = qconv_buffer_data (qconv_tile_component (t, "absmax"));
  guint64 n = nf4_n_blocks (t->layer, t->n_rows);
  Nf4Nested nested = nf4_nested_of (t, TRUE);

  memcpy (qconv_buffer_data (codes), qconv_buffer_data (qconv_tile_source (t, "codes")), qconv_buffer_size (codes));
  nf4_unnest (&nested, nf4_first_block (t->layer, t->first_row), n, absmax);
  for (guint64 i = 0; i < n; i++)
    absmax[i] = MAX (absmax[i], 0.0f);
  return TRUE;
}

const QconvEncoder nf4_from_nested
    = { .from = "nf4", .work = plan, .accumulate = look_at_absmax, .finish = finish, .encode = encode };
const QconvEncoder nf4_from_nested_fp4
    = { .from = "fp4", .work = plan, .accumulate = look_at_absmax, .finish = finish, .encode = encode };
