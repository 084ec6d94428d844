/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers svdq_fp4 and svdq_int4: their components, and the way back to floats. encode.c makes them. A weight is
   a 4-bit residual, divided by the smoothing factor of its column, plus the product of two thin matrices. That is the
   weight which the layer applies to its own input: at run time the input of the residual is divided by the factor, the
   input of the product is not (nunchaku: src/kernels/zgemm/gemm_w4a4_launch_impl.cuh, lora.cuh). */
#include "codes.h"
#include "encode.h"
#include "nunchaku.h"
#include "packing.h"
#include "quantizer-checks.h"

/* The kernels work on 16 ranks at a time and keep at most 1024 (nunchaku: src/kernels/zgemm/lora.cuh) */
#define RANK_STEP NUNCHAKU_FACTOR
/* E4M3: the code of NaN, and that of minus zero */
#define E4M3_NAN 0x7f
#define E4M3_MINUS_ZERO 0x80

static gboolean
is_fp4 (const QconvQuantizer *self)
{
  return self == &nunchaku_svdq_fp4;
}

static guint64
group_of (const QconvQuantizer *self)
{
  return is_fp4 (self) ? NUNCHAKU_GROUP_FP4 : NUNCHAKU_GROUP_INT4;
}

static guint64
rank_of (const QconvLayer *layer)
{
  return (guint64) qconv_values_int (layer->values, "rank");
}

QconvDType
nunchaku_scale_dtype (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, "scale-dtype"), "f16") ? QCONV_F16 : QCONV_BF16;
}

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  if (g_str_equal (qconv_values_string (values, "scale-dtype"), "auto"))
    qconv_values_replace (values, "scale-dtype", "bf16");
}

/* ---- Components ---- */

static gboolean
check_shape (const QconvQuantizer *self, const QconvLayer *layer, GError **error)
{
  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->cols % group_of (self) != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s takes columns in multiples of %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT, self->id,
                       group_of (self), layer->cols);
  return rank_of (layer) % RANK_STEP == 0
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s takes ranks in multiples of %d, not %" G_GUINT64_FORMAT,
                        self->id, RANK_STEP, rank_of (layer));
}

static void
add_f32 (QconvComponents *out, const char *name, QconvShape shape, QconvRun run, guint32 flags)
{
  qconv_components_add (
      out, &(QconvComponent) { .name = name, .dtype = QCONV_F32, .shape = shape, .run = run, .flags = flags });
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const guint32 any_rows = QCONV_COMPONENT_ANY_ROWS, optional = QCONV_COMPONENT_OPTIONAL;
  QconvShape groups = QCONV_SHAPE2 (layer->rows, layer->cols / group_of (self));

  if (!check_shape (self, layer, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  if (is_fp4 (self))
    {
      qconv_components_add (
          out,
          &(QconvComponent) { .name = "block_scale", .dtype = QCONV_F8_E4M3, .shape = groups, .run = QCONV_ROWWISE });
      add_f32 (out, "tensor_scale", QCONV_SHAPE0, QCONV_WHOLE, any_rows | optional);
    }
  else
    add_f32 (out, "group_scale", groups, QCONV_ROWWISE, 0);
  add_f32 (out, "row_scale", QCONV_SHAPE1 (layer->rows), QCONV_ROWWISE, optional | QCONV_COMPONENT_GIVEN);
  add_f32 (out, "smooth", QCONV_SHAPE1 (layer->cols), QCONV_WHOLE, any_rows);
  add_f32 (out, "smooth_orig", QCONV_SHAPE1 (layer->cols), QCONV_WHOLE, any_rows | optional);
  add_f32 (out, "lora_down", QCONV_SHAPE2 (rank_of (layer), layer->cols), QCONV_WHOLE, any_rows);
  add_f32 (out, "lora_up", QCONV_SHAPE2 (layer->rows, rank_of (layer)), QCONV_ROWWISE, 0);
  return TRUE;
}

/* ---- Decoding ---- */

/* Multiplies rows by their scales, then divides columns by their smoothing factors. */
static void
scale_residual (const QconvTile *t)
{
  QconvBuffer *scales = qconv_tile_component (t, "row_scale");
  const float *row_scale = scales != NULL ? qconv_buffer_data (scales) : NULL;
  const float *smooth = qconv_buffer_data (qconv_tile_component (t, "smooth"));

  for (guint64 row = 0; row < t->n_rows; row++)
    {
      float *floats = (float *) qconv_buffer_data (t->floats) + row * t->layer->cols;

      for (guint64 col = 0; row_scale != NULL && col < t->layer->cols; col++)
        floats[col] *= row_scale[row];
      for (guint64 col = 0; col < t->layer->cols; col++)
        floats[col] /= smooth[col];
    }
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg product[] = { QCONV_BUF (t->floats),
                               QCONV_BUF (qconv_tile_component (t, "lora_up")),
                               QCONV_BUF (qconv_tile_component (t, "lora_down")),
                               QCONV_I (t->n_rows),
                               QCONV_I (t->layer->cols),
                               QCONV_I (rank_of (t->layer)),
                               QCONV_F (1.0) };
  NunchakuCodes codes = { .t = t };

  if (!nunchaku_codes_decode (&codes, t->floats, 0, (gsize) t->n_rows, error))
    return FALSE;
  scale_residual (t);
  return qconv_stream_run (t->stream, "add-product", 1, product, G_N_ELEMENTS (product), error);
}

/* ---- Validation ---- */

/* Refuses NaN and negative scales, which the kernels read as numbers without a sign. Minus zero passes: deepcompressor
   writes it for groups of zeros. */
static gboolean
check_block_scales (const QconvTile *t, GError **error)
{
  QconvBuffer *scales = qconv_tile_component (t, "block_scale");
  const guint8 *codes = scales != NULL ? qconv_buffer_data (scales) : NULL;
  gsize wrong = 0;

  for (gsize i = 0; codes != NULL && i < qconv_buffer_size (scales); i++)
    wrong += codes[i] >= E4M3_NAN && codes[i] != E4M3_MINUS_ZERO;
  return wrong == 0
         || qconv_fail (error, QCONV_ERROR_NON_FINITE, "block_scale: %" G_GSIZE_FORMAT " scales are NaN or negative",
                        wrong);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const struct {
    const char *name;
    QconvSign sign;
  } numbers[] = {
    { "group_scale", QCONV_SIGN_NOT_NEGATIVE },
    { "tensor_scale", QCONV_SIGN_NOT_NEGATIVE },
    { "row_scale", QCONV_SIGN_ANY },
    { "smooth", QCONV_SIGN_POSITIVE },
    { "smooth_orig", QCONV_SIGN_ANY },
    { "lora_down", QCONV_SIGN_ANY },
    { "lora_up", QCONV_SIGN_ANY },
  };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (qconv_layer_component (t->layer, numbers[i].name) != NULL
        && !qconv_check_numbers (t, numbers[i].name, numbers[i].sign, error))
      return FALSE;
  return check_block_scales (t, error);
}

/* ---- Tables ---- */

/* Returns the error of the worst groups, one large weight among small ones: of FP4, every block; of INT4, all other
   weights half a step off. The product only makes it less. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return is_fp4 (self) ? 2e-2 : 0.35;
}

#define FLOATS (1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16)

static const QconvEncoder *const encoders[] = { &nunchaku_encoder, NULL };

static const QconvOption options[] = {
  { .name = "rank",
    .type = QCONV_INT,
    .value = "32",
    .min = RANK_STEP,
    .max = 1024,
    .help = N_ ("rank of the product that takes the largest part of a weight, a multiple of 16"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "scale-dtype",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "bf16", "f16", NULL },
    .help = N_ ("type in which files store scales and factors; auto: BF16"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NUNCHAKU_ROUNDS,
    .type = QCONV_INT,
    .value = "6",
    .min = 0,
    .max = 100,
    .help = N_ ("the most rounds that improve product and codes in turn; they end earlier if they gain little") },
  { .name = QCONV_EFFORT,
    .type = QCONV_CHOICE,
    .value = "search",
    .choices = QCONV_EFFORT_CHOICES,
    .help = N_ ("method for the scales of codes: search has the smaller error, rtn is the reference formula") },
  { .name = NULL },
};

const QconvQuantizer nunchaku_svdq_fp4 = {
  .id = "svdq_fp4",
  .summary = N_ ("SVDQuant: a low-rank product plus NVFP4 codes with a scale for 16 columns"),
  .options = options,
  .float_dtypes = FLOATS,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = encoders,
  .decode = decode,
  .validate = validate,
  .findings = nunchaku_fp4_findings,
  .examine = nunchaku_examine,
};

const QconvQuantizer nunchaku_svdq_int4 = {
  .id = "svdq_int4",
  .summary = N_ ("SVDQuant: a low-rank product plus 4-bit integers with a scale for 64 columns"),
  .options = options,
  .float_dtypes = FLOATS,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = encoders,
  .decode = decode,
  .validate = validate,
  .findings = nunchaku_int4_findings,
  .examine = nunchaku_examine,
};
