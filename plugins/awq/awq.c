/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer of 4-bit AWQ weights and the descriptor of its plugin. A weight is (code - centre) · scale + zero; a
   group of columns shares the scale and the zero. */
#include <math.h>
#include <string.h>

#include "awq.h"
#include "quantizer-checks.h"

/* The least weights of one partial result; a long row has more. Follows from the layer alone. */
#define CHUNK_ITEMS ((guint64) 1 << 20)

guint64
awq_group (const QconvLayer *layer)
{
  return (guint64) qconv_values_int (layer->values, "group");
}

int
awq_centre (const QconvLayer *layer)
{
  return (int) qconv_values_int (layer->values, "centre");
}

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  if (g_str_equal (qconv_values_string (values, "scale-dtype"), "auto"))
    qconv_values_replace (values, "scale-dtype", layer->dtype == QCONV_F16 ? "f16" : "bf16");
}

/* Returns the stored type of scales and centres. Resolves "auto" itself, because it is also called before settle(). */
static QconvDType
scale_dtype (const QconvLayer *layer)
{
  const char *text = qconv_values_string (layer->values, "scale-dtype");

  if (g_str_equal (text, "f32"))
    return QCONV_F32;
  if (g_str_equal (text, "auto"))
    return layer->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16;
  return g_str_equal (text, "f16") ? QCONV_F16 : QCONV_BF16;
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  static const char *const names[] = { "scale", "zero" };
  guint64 group = awq_group (layer);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%" G_GUINT64_FORMAT " columns are not a multiple of the group %" G_GUINT64_FORMAT
                       "; choose a group that divides them",
                       layer->cols, group);
  if (layer->cols % 2 != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "awq takes an even number of columns, not %" G_GUINT64_FORMAT,
                       layer->cols);
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    qconv_components_add (out, &(QconvComponent) { .name = names[i],
                                                   .dtype = scale_dtype (layer),
                                                   .shape = QCONV_SHAPE2 (layer->rows, layer->cols / group),
                                                   .run = QCONV_WHOLE });
  return TRUE;
}

/* Returns the error of the worst group: one large weight among small ones. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return MIN (1e-3 * MAX ((double) awq_group (layer), 32.0), 0.2);
}

/* ---- Stored numbers ---- */

/* Rounds to the nearest F16, ties to even. Returns infinity if @x is beyond 65504. */
static guint16
f16_of_f32 (float x)
{
  float magnitude = fabsf (x);
  int exponent = magnitude > 0.0f ? MAX (ilogbf (magnitude), -14) : -14;
  guint bits = magnitude < 65520.0f
                   ? ((guint) (exponent + 14) << 10) + (guint) rintf (ldexpf (magnitude, 10 - exponent))
                   : 0x7c00;

  return (guint16) (bits | (signbit (x) ? 0x8000 : 0));
}

static float
f32_of_f16 (guint16 half)
{
  int exponent = half >> 10 & 31;
  float fraction = (float) (half & 0x3ff), magnitude;

  if (exponent == 31)
    magnitude = fraction > 0.0f ? NAN : INFINITY;
  else
    magnitude = ldexpf (fraction + (exponent > 0 ? 1024.0f : 0.0f), MAX (exponent, 1) - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

/* An F32 number; its bits give the upper half */
typedef union {
  float f;
  guint32 u;
} Bits;

/* Rounds to the nearest BF16, ties to even. @x must be finite. */
static guint16
bf16_of_f32 (float x)
{
  Bits b = { .f = x };

  return (guint16) ((b.u + 0x7fff + (b.u >> 16 & 1)) >> 16);
}

float
awq_load_number (QconvBuffer *buffer, guint64 i)
{
  const void *data = qconv_buffer_data (buffer);

  if (qconv_buffer_dtype (buffer) == QCONV_F32)
    return ((const float *) data)[i];
  if (qconv_buffer_dtype (buffer) == QCONV_F16)
    return f32_of_f16 (((const guint16 *) data)[i]);
  return ((Bits) { .u = (guint32) ((const guint16 *) data)[i] << 16 }).f;
}

gboolean
awq_store_number (QconvBuffer *buffer, guint64 i, float x)
{
  void *data = qconv_buffer_data (buffer);

  if (!isfinite (x))
    return FALSE;
  if (qconv_buffer_dtype (buffer) == QCONV_F32)
    ((float *) data)[i] = x;
  else
    ((guint16 *) data)[i] = qconv_buffer_dtype (buffer) == QCONV_F16 ? f16_of_f32 (x) : bf16_of_f32 (x);
  return isfinite (awq_load_number (buffer, i));
}

/* ---- Encoding ---- */

guint64
awq_chunk_rows (const QconvLayer *layer)
{
  return MAX (CHUNK_ITEMS / layer->cols, 16);
}

void
awq_plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->chunk_rows = awq_chunk_rows (layer);
  work->partial_size = work->chunk_rows * (layer->cols / awq_group (layer)) * sizeof (AwqGroup);
}

/* Returns scale and zero of @n weights. If all are equal, the zero is their value and the scale 1, as in
   comfy-quants. */
static AwqGroup
measure_group (const float *weights, guint64 n, int centre)
{
  float low = weights[0], high = weights[0], scale;

  for (guint64 i = 1; i < n; i++)
    {
      low = MIN (low, weights[i]);
      high = MAX (high, weights[i]);
    }
  if (low == high)
    return (AwqGroup) { 1.0f, low };
  scale = (high - low) / 15.0f;
  return (AwqGroup) { scale, low + (float) centre * scale };
}

static gboolean
accumulate_groups (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  guint64 group = awq_group (t->layer), groups = t->layer->cols / group;
  AwqGroup *dst = (AwqGroup *) qconv_buffer_data (partial) + t->first_row % awq_chunk_rows (t->layer) * groups;
  const float *weights = qconv_buffer_data (t->floats);

  for (guint64 k = 0; k < t->n_rows * groups; k++)
    dst[k] = measure_group (weights + k * group, group, awq_centre (t->layer));
  return TRUE;
}

/* Stores the measured scales and centres. The partial results of all chunks follow each other without gaps. */
static gboolean
finish_groups (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
               gboolean *exact, GError **error)
{
  QconvBuffer *scale = qconv_tile_component (t, "scale"), *zero = qconv_tile_component (t, "zero");
  guint64 groups = t->layer->rows * (t->layer->cols / awq_group (t->layer));
  const AwqGroup *measured = partials;

  for (guint64 k = 0; k < groups; k++)
    if (!awq_store_number (scale, k, measured[k].scale) || !awq_store_number (zero, k, measured[k].zero))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE,
                         "a group with the scale %g and the centre %g does not fit %s; choose another scale-dtype",
                         (double) measured[k].scale, (double) measured[k].zero,
                         qconv_dtype_name (qconv_buffer_dtype (scale)));
  return TRUE;
}

/* Returns the nearest code, ties to even: adding 1.5 * 2^23 rounds to whole numbers. Returns 0 or 15 if the scale
   underflowed to 0. */
static guint8
code_of (float weight, AwqGroup group, int centre)
{
  float x = (weight - group.zero) / group.scale;
  float low = (float) -centre, high = (float) (15 - centre), held = x > low ? (x < high ? x : high) : low;

  return (guint8) ((held + 0x1.8p23f) - 0x1.8p23f + (float) centre);
}

/* Encodes with the scale and centre in F32, not with the rounded ones that are stored. */
static gboolean
encode_floats (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  guint64 cols = t->layer->cols, group = awq_group (t->layer);
  const float *weights = qconv_buffer_data (t->floats);
  int centre = awq_centre (t->layer);
  guint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));

  memset (codes, 0, (gsize) (t->n_rows * cols / 2));
  for (guint64 start = 0; start < t->n_rows * cols; start += group)
    {
      AwqGroup measured = measure_group (weights + start, group, centre);

      for (guint64 i = start; i < start + group; i++)
        codes[i / 2] |= (guint8) (code_of (weights[i], measured, centre) << i % 2 * 4);
    }
  return TRUE;
}

/* ---- Decoding ---- */

/* Returns the bytes of the scales, or zeros, of one row */
static gsize
row_bytes (const QconvLayer *layer)
{
  return (gsize) (layer->cols / awq_group (layer)) * qconv_dtype_bits (scale_dtype (layer)) / 8;
}

/* Returns: (transfer none): the scales or zeros of the tile's rows; the component has those of the whole layer */
static QconvBuffer *
numbers_of_rows (const QconvTile *t, const char *name, GError **error)
{
  QconvBuffer *all = qconv_tile_component (t, name);
  gsize bytes = row_bytes (t->layer);

  return qconv_tile_view (t, NULL, all, qconv_buffer_dtype (all), (gsize) t->first_row * bytes,
                          (gsize) t->n_rows * bytes, error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scales = numbers_of_rows (t, "scale", error);
  QconvBuffer *zeros = scales != NULL ? numbers_of_rows (t, "zero", error) : NULL;
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (scales),
                            QCONV_BUF (zeros),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (awq_group (t->layer)),
                            QCONV_I (awq_centre (t->layer)) };

  return zeros != NULL && qconv_stream_run (t->stream, "awq-decode", 1, args, G_N_ELEMENTS (args), error);
}

/* Copies the scales and centres of the parts' rows, group by group of a row. */
static gboolean
stack (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n, GError **error)
{
  static const char *const names[] = { "scale", "zero" };
  gsize bytes = row_bytes (t->layer);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      guint8 *dst = qconv_buffer_data (qconv_tile_component (t, names[i]));

      for (guint k = 0; k < n; k++)
        {
          const guint8 *src = qconv_buffer_data (qconv_tile_component (parts[k].source, names[i]));

          for (guint64 row = 0; row < parts[k].n; row++, dst += bytes)
            memcpy (dst, src + (parts[k].first + row * parts[k].stride) * bytes, bytes);
        }
    }
  return TRUE;
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const char *const names[] = { "scale", "zero" };
  guint64 groups = t->layer->cols / awq_group (t->layer), wrong = 0;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      QconvBuffer *buffer = qconv_tile_component (t, names[i]);

      for (guint64 k = t->first_row * groups; k < (t->first_row + t->n_rows) * groups; k++)
        wrong += !isfinite (awq_load_number (buffer, k));
    }
  return wrong == 0
         || qconv_fail (error, QCONV_ERROR_NON_FINITE, "%" G_GUINT64_FORMAT " scales or centres are Inf or NaN", wrong);
}

static const QconvEncoder from_floats = {
  .work = awq_plan_work,
  .accumulate = accumulate_groups,
  .finish = finish_groups,
  .encode = encode_floats,
};

static const QconvOption options[] = {
  { .name = "group",
    .type = QCONV_INT,
    .value = "64",
    .min = 1,
    .max = 1 << 20,
    .help = N_ ("columns of a row that share a scale and a centre"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "centre",
    .type = QCONV_INT,
    .value = "8",
    .max = 15,
    .help = N_ ("code that stands for the zero alone: 8 in files of ComfyUI, 0 in files of nunchaku"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "scale-dtype",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "bf16", "f16", "f32", NULL },
    .help = N_ ("type of scales and centres, and of the layer's arithmetic; auto: F16 or BF16 if the weight has it, "
                "else BF16; GPU kernels do not take f32"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

static const QconvQuantizer quantizer = {
  .id = "awq",
  .summary = N_ ("4-bit codes with a scale and a centre for 64 columns, computed in 16 bits"),
  .options = options,
  .cols_multiple = 2,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &awq_from_gptq, &from_floats, NULL },
  .decode_operations = (const QconvOpName[]) { { "awq-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
  .stack = stack,
};

QCONV_PLUGIN_DEFINE (awq, .summary = N_ ("AWQ W4A16 quantizer"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE,
                     .quantizers = (const QconvQuantizer *const[]) { &quantizer, NULL })
