/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer fp8: one scale for the tensor. The search tries one octave of larger scales, which clip nothing. It
   computes their errors from a histogram of magnitudes, so that weights are read once. */
#include <math.h>
#include <string.h>

#include "fp8.h"

#define LEAST_SCALE 1e-12f
#define N_SCALES 64
#define MAGNITUDES 32768
/* Weights of a partial result, and the most results; each has 128 KiB */
#define CHUNK_WEIGHTS ((guint64) 1 << 23)
#define N_CHUNKS 64

/* The result of the operation "magnitudes" */
typedef struct {
  float amax;
  guint32 flags;
  guint32 counts[MAGNITUDES];
} Partial;
enum { FLAG_F16 = 1, FLAG_ROUNDED = 2 };

/* Magnitudes that occur, and how often */
typedef struct {
  double *values, *counts;
  gsize n;
} Histogram;

/* The rounding to the finite numbers of the codes. @largest: the largest number of the option "range" */
typedef struct {
  float largest, smallest_normal;
  guint32 mantissa;
} Grid;

static QconvDType
dtype_of (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, "dtype"), "e4m3") ? QCONV_F8_E4M3 : QCONV_F8_E5M2;
}

static Grid
grid_of (const QconvLayer *layer)
{
  Grid g = dtype_of (layer) == QCONV_F8_E4M3 ? (Grid) { 448.0f, 0x1p-6f, 3 } : (Grid) { 57344.0f, 0x1p-14f, 2 };

  if (g_str_equal (qconv_values_string (layer->values, "range"), "unit"))
    g.largest = 1.0f;
  return g;
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  return fp8_list_components (layer, dtype_of (layer),
                              &(QconvComponent) { .name = "tensor_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 },
                              out, error);
}

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return fp8_bound (dtype_of (layer), layer->rows * layer->cols);
}

static void
plan_pass (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (float);
  if (fp8_is_rtn (layer))
    return;
  work->partial_size = sizeof (Partial);
  work->chunk_rows = MAX (CHUNK_WEIGHTS / MAX (layer->cols, 1), layer->rows / N_CHUNKS) + 1;
}

static gboolean
accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (partial) };

  return qconv_stream_run (t->stream, fp8_is_rtn (t->layer) ? "amax" : "magnitudes", 1, args, G_N_ELEMENTS (args),
                           error);
}

static float
value_of_magnitude (guint32 bits, gboolean f16)
{
  guint32 u = bits << 16;
  float value;

  if (f16)
    return (bits >> 10) == 0 ? (float) bits * 0x1p-24f
                             : ldexpf ((float) ((bits & 0x3ff) | 0x400), (int) (bits >> 10) - 25);
  memcpy (&value, &u, sizeof value);
  return value;
}

static void
histogram_clear (Histogram *h)
{
  g_free (h->values);
  g_free (h->counts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Histogram, histogram_clear)

/* Fills the histogram from the counts of all chunks, without zeros. Limits magnitudes to @amax, because rounding for
   the count may have exceeded it. */
static void
histogram_fill (Histogram *h, const Partial *partials, gsize n, guint32 flags, float amax)
{
  h->values = g_new (double, MAGNITUDES);
  h->counts = g_new (double, MAGNITUDES);
  for (guint32 bits = 1; bits < MAGNITUDES; bits++)
    {
      float value = MIN (value_of_magnitude (bits, (flags & FLAG_F16) != 0), amax);
      guint64 count = 0;

      for (gsize i = 0; i < n; i++)
        count += partials[i].counts[bits];
      if (count == 0)
        continue;
      h->values[h->n] = (double) value;
      h->counts[h->n++] = (double) count;
    }
}

/* Rounds @t to the grid, ties to even, by adding a number whose last place is the step of the grid. */
static float
round_to_grid (const Grid *g, float t)
{
  float clamped = MIN (t, g->largest), rounder;
  guint32 u;

  rounder = MAX (clamped, g->smallest_normal);
  memcpy (&u, &rounder, sizeof u);
  u = (u & 0x7f800000) + ((23 - g->mantissa) << 23);
  memcpy (&rounder, &u, sizeof rounder);
  return (clamped + rounder) - rounder;
}

static double
error_of_scale (const Histogram *h, const Grid *g, float scale)
{
  double sum = 0.0;

  for (gsize i = 0; i < h->n; i++)
    {
      double d = h->values[i] - (double) (round_to_grid (g, (float) h->values[i] / scale) * scale);

      sum += h->counts[i] * (d * d);
    }
  return sum;
}

/* Returns by how much rounding to BF16 can change the square root of an error, at most. */
static double
rounding_of (const Histogram *h)
{
  double sum = 0.0;

  for (gsize i = 0; i < h->n; i++)
    {
      double d = MAX (h->values[i] * 0x1p-8, 0x1p-134);

      sum += h->counts[i] * (d * d);
    }
  return sqrt (sum);
}

static float
search_scale (const Histogram *h, const Grid *g, float amax, float rtn, gboolean rounded)
{
  float base = MAX (amax / g->largest, 0x1p-126f), best = rtn;
  double least = error_of_scale (h, g, rtn);

  if (rounded)
    {
      double root = MAX (sqrt (least) - 2.0 * rounding_of (h), 0.0);

      least = root * root;
    }
  for (guint i = 0; i < N_SCALES; i++)
    {
      float scale = base * (1.0f + (float) i / N_SCALES);
      double e = error_of_scale (h, g, scale);

      if (e < least && round_to_grid (g, amax / scale) * scale <= G_MAXFLOAT)
        {
          least = e;
          best = scale;
        }
    }
  return best;
}

static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "tensor_scale")), top = 0.0f;
  gboolean rtn = fp8_is_rtn (t->layer);
  const Partial *found = partials;
  const float *amax = partials;
  Grid grid = grid_of (t->layer);
  g_auto (Histogram) h = { 0 };
  guint32 flags = 0;

  for (gsize i = 0; i < n; i++)
    {
      top = MAX (top, rtn ? amax[i] : found[i].amax);
      flags |= rtn ? 0 : found[i].flags;
    }
  *scale = top > 0.0f ? MAX (top / grid.largest, LEAST_SCALE) : 1.0f;
  if (rtn || !(top > 0.0f))
    return TRUE;
  histogram_fill (&h, found, n, flags, top);
  *scale = search_scale (&h, &grid, top, *scale, (flags & FLAG_ROUNDED) != 0);
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (t->floats), QCONV_BUF (qconv_tile_component (t, "codes")),
          QCONV_BUF (qconv_tile_component (t, "tensor_scale")), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "fp8-encode", 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return fp8_decode (t, "tensor_scale", t->n_rows, t->layer->cols, error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return fp8_validate (t, "tensor_scale", error);
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "amax", 1 }, { "magnitudes", 1 }, { "fp8-encode", 1 }, { NULL, 0 } },
  .work = plan_pass,
  .accumulate = accumulate,
  .finish = finish,
  .encode = encode,
};

static const QconvOption options[] = {
  FP8_DTYPE,
  { .name = "range",
    .type = QCONV_CHOICE,
    .value = "full",
    .choices = (const char *const[]) { "full", "unit", NULL },
    .help = N_ ("largest code: full is the largest number of the format, unit is 1") },
  FP8_EFFORT,
  { .name = NULL },
};

const QconvQuantizer fp8_tensor = {
  .id = "fp8",
  .summary = N_ ("FP8 with an F32 scale for the tensor"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode_operations = (const QconvOpName[]) { { "fp8-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
