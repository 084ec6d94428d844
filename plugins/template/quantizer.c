/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer: a weight is code * scale, with codes from -127 to 127 and one scale for the layer. The first pass
   finds the scale that the largest weight needs. The second refines it to the one with the least squared error for the
   codes that the first scale gives. Nothing is kept between calls but components and partial results. */
#include <math.h>

#include "template.h"

#define LARGEST_CODE 127

/* What one chunk of rows adds to a pass. A multiple of 8 bytes, so that the numbers of all results are aligned */
typedef struct {
  double amax;                   /* pass 0: the largest magnitude */
  double weight_code, code_code; /* pass 1: sums of weight * code and code * code */
} Partial;

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvComponent codes
      = { .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (layer->rows, layer->cols), .run = QCONV_ROWWISE };
  const QconvComponent scale = { .name = "scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE0, .run = QCONV_WHOLE };

  if (layer->shape.rank != 2)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the weight is not a matrix");
  qconv_components_add (out, &codes);
  qconv_components_add (out, &scale);
  return TRUE;
}

/* Returns the bound of the check. No weight is further off than 1/127 of the largest one, and none further than it is
   large */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  double n = (double) layer->rows * (double) layer->cols;

  return MIN (n / (LARGEST_CODE * LARGEST_CODE), 1.0);
}

static gboolean
is_rtn (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, QCONV_EFFORT), QCONV_EFFORT_RTN);
}

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = is_rtn (layer) ? 1 : 2;
  work->partial_size = sizeof (Partial);
}

/* Returns the nearest code, ties to even */
static float
code_of (float weight, float scale)
{
  return CLAMP (rintf (weight / scale), -LARGEST_CODE, LARGEST_CODE);
}

/* Adds some rows of a chunk. Weights are added one after the other, so that the sum does not depend on the number of
   rows that core hands over at once */
static gboolean
accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const float *weights = qconv_buffer_data (t->floats), *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  gsize n = (gsize) (t->n_rows * t->layer->cols);
  Partial *p = qconv_buffer_data (partial);

  for (gsize i = 0; i < n && pass == 0; i++)
    p->amax = MAX (p->amax, fabs ((double) weights[i]));
  for (gsize i = 0; i < n && pass == 1; i++)
    {
      double code = (double) code_of (weights[i], *scale);

      p->weight_code += (double) weights[i] * code;
      p->code_code += code * code;
    }
  return TRUE;
}

/* Returns the scale that gives the largest weight the largest code. It is rounded up, so that no code is cut off, not
   even if the scale is subnormal */
static float
scale_of_amax (double amax)
{
  float scale = (float) (amax / LARGEST_CODE);

  if (amax <= 0.0)
    return 1.0f;
  return (double) scale * LARGEST_CODE < amax ? nextafterf (scale, INFINITY) : scale;
}

/* Fills the component "scale" from the partial results, which come in the order of the rows */
static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  const Partial *p = partials;
  Partial all = { 0 };

  for (gsize i = 0; i < n; i++)
    {
      all.amax = MAX (all.amax, p[i].amax);
      all.weight_code += p[i].weight_code;
      all.code_code += p[i].code_code;
    }
  if (pass == 0)
    *scale = scale_of_amax (all.amax);
  else if (all.code_code > 0.0)
    *scale = (float) (all.weight_code / all.code_code);
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *weights = qconv_buffer_data (t->floats), *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    codes[i] = (gint8) code_of (weights[i], *scale);
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  float *out = qconv_buffer_data (t->floats);

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    out[i] = (float) codes[i] * *scale;
  return TRUE;
}

/* Refuses to move a scale that no loader takes */
static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));

  return (isfinite (*scale) && *scale > 0.0f)
         || qconv_fail (error, QCONV_ERROR_NON_FINITE, "the scale %g is not a positive number", (double) *scale);
}

static const QconvOption options[] = {
  { .name = QCONV_EFFORT,
    .type = QCONV_CHOICE,
    .value = "search",
    .choices = QCONV_EFFORT_CHOICES,
    .help = N_ ("method for the scale: search has the smaller error, rtn uses the largest weight") },
  { .name = NULL },
};

/* It lists no operations, so core runs it on the CPU with host memory */
static const QconvEncoder from_floats = {
  .work = plan_work,
  .accumulate = accumulate,
  .finish = finish,
  .encode = encode,
};

const QconvQuantizer template_quantizer = {
  .id = "template",
  .summary = N_ ("one scale for all weights of a layer"),
  .options = options,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode = decode,
  .validate = validate,
};
