/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder that takes MXFP4, which has the same codes under a power of two for 32 columns. If the exponents of all
   non-zero blocks lie within the 18 powers of two of E4M3, the encoder copies the codes and no value changes. */
#include "nvfp4.h"

#include <math.h>
#include <string.h>

#define MX_BLOCK 32
#define EXPONENT_NAN 255
#define EXPONENT_LARGEST 252 /* 6 × 2^(253-127) is beyond F32 */
#define E4M3_LOWEST (-9)
#define E4M3_HIGHEST 8

/* The result of one chunk, from blocks that are not all zeros */
typedef struct {
  guint8 seen, lowest, highest, broken;
} Range;

typedef struct {
  guint64 row_bytes, blocks; /* of MX_BLOCK columns, a row */
  const guint8 *codes, *exponents;
  gboolean odd;
} Source;

static Source
look_at (const QconvTile *t)
{
  guint64 cols = t->layer->cols;

  return (Source) { .row_bytes = cols / 2 + cols % 2,
                    .blocks = cols / MX_BLOCK + (cols % MX_BLOCK != 0),
                    .codes = qconv_buffer_data (qconv_tile_source (t, "codes")),
                    .exponents = qconv_buffer_data (qconv_tile_source (t, "block_scale")),
                    .odd = cols % 2 != 0 };
}

/* Returns whether all codes of a block are zero, of either sign. Ignores the nibble behind an odd last column. */
static gboolean
block_is_zero (const Source *s, guint64 row, guint64 block)
{
  const guint8 *p = s->codes + row * s->row_bytes + block * (MX_BLOCK / 2);
  guint64 n = MIN (MX_BLOCK / 2, s->row_bytes - block * (MX_BLOCK / 2));
  guint8 any = 0;

  if (s->odd && block + 1 == s->blocks)
    any = p[--n] & 0x07;
  for (guint64 i = 0; i < n; i++)
    any |= p[i] & 0x77;
  return any == 0;
}

static void
plan_range (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (Range);
}

static gboolean
accumulate_range (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  Range *range = qconv_buffer_data (partial);
  Source s = look_at (t);

  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 block = 0; block < s.blocks; block++)
      {
        guint8 e = s.exponents[row * s.blocks + block];

        if (e == EXPONENT_NAN)
          range->broken = 1;
        if (block_is_zero (&s, row, block))
          continue;
        range->lowest = range->seen ? MIN (range->lowest, e) : e;
        range->highest = MAX (range->highest, e);
        range->seen = 1;
      }
  return TRUE;
}

/* Sets the tensor scale so that the largest block scale is the top power of E4M3. The tensor scale stays a normal
   number. */
static gboolean
finish_range (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
              gboolean *exact, GError **error)
{
  const Range *ranges = partials;
  Range all = { 0 };
  int power;

  for (gsize i = 0; i < n; i++)
    {
      all.broken |= ranges[i].broken;
      if (!ranges[i].seen)
        continue;
      all.lowest = all.seen ? MIN (all.lowest, ranges[i].lowest) : ranges[i].lowest;
      all.highest = MAX (all.highest, ranges[i].highest);
      all.seen = 1;
    }
  power = all.seen ? MAX (all.highest - 127 - E4M3_HIGHEST, -126) : 0;
  *exact = !all.broken && (!all.seen || (all.highest <= EXPONENT_LARGEST && all.lowest - 127 - power >= E4M3_LOWEST));
  if (*exact)
    *(float *) qconv_buffer_data (qconv_tile_component (t, "tensor_scale")) = ldexpf (1.0f, power);
  return TRUE;
}

/* Returns the E4M3 code of 2^@power, which lies between E4M3_LOWEST and E4M3_HIGHEST */
static guint8
e4m3_of_power (int power)
{
  return (guint8) (power >= -6 ? (power + 7) << 3 : 1 << (power - E4M3_LOWEST));
}

static gboolean
encode_codes (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  float scale = *(const float *) qconv_buffer_data (qconv_tile_component (t, "tensor_scale"));
  guint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  guint8 *scales = qconv_buffer_data (qconv_tile_component (t, "block_scale"));
  guint64 blocks = t->layer->cols / NVFP4_BLOCK + (t->layer->cols % NVFP4_BLOCK != 0);
  Source s = look_at (t);
  int power = ilogbf (scale);

  memcpy (codes, s.codes, t->n_rows * s.row_bytes);
  for (guint64 row = 0; row < t->n_rows; row++)
    {
      if (s.odd)
        codes[(row + 1) * s.row_bytes - 1] &= 0x0f;
      for (guint64 block = 0; block < s.blocks; block++)
        {
          guint8 code
              = block_is_zero (&s, row, block) ? 0 : e4m3_of_power (s.exponents[row * s.blocks + block] - 127 - power);

          scales[row * blocks + 2 * block] = code;
          if (2 * block + 1 < blocks)
            scales[row * blocks + 2 * block + 1] = code;
        }
    }
  return TRUE;
}

const QconvEncoder nvfp4_from_mxfp4 = {
  .from = "mxfp4",
  .work = plan_range,
  .accumulate = accumulate_range,
  .finish = finish_range,
  .encode = encode_codes,
};
