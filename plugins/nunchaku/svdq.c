/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers svdq_fp4 and svdq_int4, which only decode. A weight is a 4-bit residual, divided by the smoothing
   factor of its column, plus the product of two thin matrices. That is the weight which the layer applies to its own
   input: at run time the input of the residual is divided by the factor, the input of the product is not (nunchaku:
   src/kernels/zgemm/gemm_w4a4_launch_impl.cuh, lora.cuh). */
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

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  if (g_str_equal (qconv_values_string (values, "scale-dtype"), "auto"))
    qconv_values_replace (values, "scale-dtype", layer->dtype == QCONV_F16 ? "f16" : "bf16");
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
  add_f32 (out, "row_scale", QCONV_SHAPE1 (layer->rows), QCONV_ROWWISE, optional);
  add_f32 (out, "smooth", QCONV_SHAPE1 (layer->cols), QCONV_WHOLE, any_rows);
  add_f32 (out, "smooth_orig", QCONV_SHAPE1 (layer->cols), QCONV_WHOLE, any_rows | optional);
  add_f32 (out, "lora_down", QCONV_SHAPE2 (rank_of (layer), layer->cols), QCONV_WHOLE, any_rows);
  add_f32 (out, "lora_up", QCONV_SHAPE2 (layer->rows, rank_of (layer)), QCONV_ROWWISE, 0);
  return TRUE;
}

/* ---- Decoding ---- */

/* Decodes E2M1 codes times E4M3 scales times the scale of the tensor */
static gboolean
decode_fp4 (const QconvTile *t, GError **error)
{
  QconvBuffer *scale = qconv_tile_component (t, "tensor_scale");
  QconvBuffer *one = scale == NULL ? qconv_tile_scratch (t, sizeof (float), error) : scale;
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "block_scale")),
                            QCONV_BUF (one),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols) };

  if (one == NULL)
    return FALSE;
  if (scale == NULL)
    *(float *) qconv_buffer_data (one) = 1.0f;
  return qconv_stream_run (t->stream, "nvfp4-decode", 1, args, G_N_ELEMENTS (args), error);
}

/* Decodes codes times the scale of their group, which is a row of its own to the operation */
static gboolean
decode_int4 (const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (qconv_tile_component (t, "group_scale")),
          QCONV_BUF (t->floats), QCONV_I (t->n_rows * (t->layer->cols / NUNCHAKU_GROUP_INT4)),
          QCONV_I (NUNCHAKU_GROUP_INT4) };

  return qconv_stream_run (t->stream, "int4-decode-row", 1, args, G_N_ELEMENTS (args), error);
}

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

  if (is_fp4 (self) ? !decode_fp4 (t, error) : !decode_int4 (t, error))
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
    .help = N_ ("type in which files store scales and factors; auto: F16 if the weight has it, else BF16"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

static const QconvOpName fp4_operations[] = { { "nvfp4-decode", 1 }, { "add-product", 1 }, { NULL } };
static const QconvOpName int4_operations[] = { { "int4-decode-row", 1 }, { "add-product", 1 }, { NULL } };

const QconvQuantizer nunchaku_svdq_fp4 = {
  .id = "svdq_fp4",
  .summary = N_ ("SVDQuant: a low-rank product plus NVFP4 codes with a scale for 16 columns"),
  .options = options,
  .settle = settle,
  .components = list_components,
  .decode_operations = fp4_operations,
  .decode = decode,
  .validate = validate,
};

const QconvQuantizer nunchaku_svdq_int4 = {
  .id = "svdq_int4",
  .summary = N_ ("SVDQuant: a low-rank product plus 4-bit integers with a scale for 64 columns"),
  .options = options,
  .settle = settle,
  .components = list_components,
  .decode_operations = int4_operations,
  .decode = decode,
  .validate = validate,
};
