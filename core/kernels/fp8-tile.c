/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "fp8-tile-encode-rtn" and "-search", E4M3 codes with a scale for every tile (whole rows included),
   and "fp8-decode" for all FP8. */
#include "kernels/fp8.h"
#include "kernels/largest.h"
#if QCONV_VECTOR == 256
#include "kernels/fp8-pairs.h"
#endif
#include "kernels/fp8-fold.h"

#define STRETCH 512 /* weights of a row of a tile that are examined at once */
#define SUMS FP8_SUMS
#define N_SCALES FP8_N_SCALES

static const guint8 *
weights_at (const QconvFp8TileJob *job, gsize row, gsize col)
{
  return (const guint8 *) job->src + (row * job->tiles.cols + col) * item_bytes (job->dtype);
}

/* Returns @n weights of row @row from column @col on, as F32: in place if they are F32, else in @between. */
static const float *
load (const QconvFp8TileJob *job, gsize row, gsize col, gsize n, float between[STRETCH])
{
  const guint8 *at = weights_at (job, row, col);

  if (job->dtype == QCONV_F32)
    return (const float *) (const void *) at;
  QCONV_LEVEL_NAME (qconv_widen) (job->dtype, at, between, n);
  return between;
}

/* Returns the largest magnitude. The bits of magnitudes are in their order */
static float
largest_of_tile (const QconvFp8TileJob *job, const QconvTile *tile)
{
  guint32 wide = 0;
  guint16 half = 0;
  float top;

  for (gsize r = 0; r < tile->height; r++)
    {
      gconstpointer row = weights_at (job, tile->row + r, tile->col);

      if (job->dtype == QCONV_F32)
        wide = MAX (wide, largest_bits (row, tile->width));
      else
        half = MAX (half, largest_bits_of_16 (row, tile->width));
    }
  if (job->dtype == QCONV_F32)
    return f32_of_bits (wide);
  QCONV_LEVEL_NAME (qconv_widen) (job->dtype, &half, &top, 1);
  return top;
}

/* Adds the squared errors of @n magnitudes, a multiple of SUMS, to @sums, in steps of the code */
static void
add_errors (const float *magnitudes, gsize n, float factor, float sums[SUMS])
{
  float s[SUMS];

  memcpy (s, sums, sizeof s);
  for (gsize i = 0; i < n; i += SUMS)
    for (guint k = 0; k < SUMS; k++)
      s[k] += fp8_error (magnitudes[i + k], factor);
  memcpy (sums, s, sizeof s);
}

static double
error_of_sums (const float sums[SUMS], float factor, float amax)
{
  float s[SUMS];

  memcpy (s, sums, sizeof s);
  for (guint width = SUMS / 2; width > 0; width /= 2)
    for (guint i = 0; i < width; i++)
      s[i] += s[i + width];
  return fp8_error_of_sum (s[0], factor, amax);
}

/* Sums up the errors of the candidates that @may_win */
static void
sum_errors (const QconvFp8TileJob *job, const QconvTile *tile, const float candidates[N_SCALES],
            const gboolean may_win[N_SCALES], float sums[N_SCALES][SUMS])
{
  memset (sums, 0, N_SCALES * sizeof *sums);
  for (gsize r = 0; r < tile->height; r++)
    for (gsize c = 0; c < tile->width; c += STRETCH)
      {
        gsize n = MIN (STRETCH, tile->width - c), padded = (n + SUMS - 1) / SUMS * SUMS;
        float between[STRETCH], magnitudes[STRETCH];
        const float *w = load (job, tile->row + r, tile->col + c, n, between);

        for (gsize i = 0; i < n; i++)
          magnitudes[i] = f32_of_bits (bits_of_f32 (w[i]) & 0x7fffffff);
        memset (magnitudes + n, 0, (padded - n) * sizeof *magnitudes);
        for (guint k = 0; k < N_SCALES; k++)
          if (may_win[k])
            add_errors (magnitudes, padded, candidates[k], sums[k]);
      }
}

/* Sets which candidates may have the least error; all of them unless estimates exclude some. Returns how many they
   are. */
static guint
exclude_candidates (const QconvFp8TileJob *job, const QconvTile *tile, float amax, const float candidates[N_SCALES],
                    gboolean may_win[N_SCALES])
{
  gsize terms = tile->height * (tile->width / SUMS + 1);
  double lower[N_SCALES] = { 0.0 }, upper[N_SCALES], least = DBL_MAX;
  guint left = 0;
  Fold fold;

  if (QCONV_VECTOR > 0 && terms < 1 << 20 && fold_begin (&fold, job->dtype, tile->height * tile->width, amax))
    {
      for (gsize r = 0; r < tile->height; r++)
        fold_add (&fold, (const guint16 *) (gconstpointer) weights_at (job, tile->row + r, tile->col), tile->width);
      fold_bounds (&fold, terms, candidates, N_SCALES, lower, upper);
      for (guint k = 0; k < N_SCALES; k++)
        {
          double unit = 1.0 / ((double) candidates[k] * (double) candidates[k]);

          lower[k] *= unit;
          least = MIN (least, upper[k] * unit);
        }
    }
  for (guint k = 0; k < N_SCALES; k++)
    {
      may_win[k] = lower[k] <= least;
      left += may_win[k];
    }
  return left;
}

/* Returns the candidate with the least error, the first one if several have it. */
static float
best_factor (const QconvFp8TileJob *job, const QconvTile *tile, float amax, const float candidates[N_SCALES])
{
  gboolean may_win[N_SCALES];
  float sums[N_SCALES][SUMS], best = candidates[0];
  gboolean found = FALSE;
  double least = 0.0;

  if (exclude_candidates (job, tile, amax, candidates, may_win) == 1)
    {
      guint only = 0;

      while (!may_win[only])
        only++;
      return candidates[only];
    }
  sum_errors (job, tile, candidates, may_win, sums);
  for (guint k = 0; k < N_SCALES; k++)
    if (may_win[k])
      {
        double e = error_of_sums (sums[k], candidates[k], amax);

        if (!found || e < least)
          {
            least = e;
            best = candidates[k];
          }
        found = TRUE;
      }
  return best;
}

static void
encode_row (const QconvFp8TileJob *job, const QconvTile *tile, gsize row, float factor)
{
  guint8 *codes = job->codes + row * job->tiles.cols + tile->col;
  gsize c = 0;

#if QCONV_VECTOR == 256
  c = fp8_encode_runs (job->dtype, weights_at (job, row, tile->col), codes, tile->width, factor, FALSE, FP8_E4M3);
#endif
  for (; c < tile->width; c += STRETCH)
    {
      gsize n = MIN (STRETCH, tile->width - c);
      float between[STRETCH];
      const float *w = load (job, row, tile->col + c, n, between);

      for (gsize i = 0; i < n; i++)
        codes[c + i] = fp8_of_f32 (w[i] * factor, FP8_E4M3);
    }
}

static void
encode_tile (const QconvFp8TileJob *job, const QconvTile *tile, float *scale)
{
  float amax = largest_of_tile (job, tile), factor = fp8_factor (amax), candidates[N_SCALES];

  if (job->search && amax > 0.0f)
    {
      fp8_candidates (amax, candidates);
      factor = best_factor (job, tile, amax, candidates);
    }
  *scale = 1.0f / factor;
  for (gsize r = 0; r < tile->height; r++)
    encode_row (job, tile, tile->row + r, factor);
}

static gboolean
encode (const QconvArg *args, gboolean search, GError **error)
{
  QconvFp8TileJob job;

  if (!qconv_job_fp8_tile (&job, args, search, error))
    return FALSE;
  for (gsize i = 0; i < job.tiles.down * job.tiles.across; i++)
    {
      QconvTile tile = tile_at (&job.tiles, i);

      encode_tile (&job, &tile, job.scales + i);
    }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_rtn) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return encode (args, FALSE, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                    GError **error)
{
  return encode (args, TRUE, error);
}

#define DEFINE_DECODE(name, value)                                         \
  static void name (const guint8 *codes, float *dst, gsize n, float scale) \
  {                                                                        \
    for (gsize i = 0; i < n; i++)                                          \
      dst[i] = value (codes[i]) * scale;                                   \
  }
DEFINE_DECODE (decode_e4m3, f32_of_e4m3)
DEFINE_DECODE (decode_e5m2, f32_of_e5m2)

gboolean
QCONV_LEVEL_NAME (qconv_op_fp8_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvTileDecodeJob job;
  const QconvTiles *t = &job.tiles;

  if (!qconv_job_fp8_decode (&job, args, error))
    return FALSE;
  for (gsize r = 0; r < t->rows; r++)
    for (gsize x = 0; x < t->across; x++)
      {
        gsize at = r * t->cols + x * t->width, n = MIN (t->width, t->cols - x * t->width);
        float scale = job.scales[r / t->height * t->across + x];

        if (job.dtype == QCONV_F8_E4M3)
          decode_e4m3 (job.codes + at, job.dst + at, n, scale);
        else
          decode_e5m2 (job.codes + at, job.dst + at, n, scale);
      }
  return TRUE;
}
