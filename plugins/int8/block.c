/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer int8_block: INT8 with a scale for every square block. */
#include "int8.h"

#include <math.h>

static guint64
block_of (const QconvLayer *layer)
{
  return (guint64) qconv_values_int (layer->values, "block");
}

/* Lists the components. "amax", the largest magnitude of the tensor, is only for the encoder: no file stores it. */
static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 block = block_of (layer);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->rows % block != 0 || layer->cols % block != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "int8_block takes whole blocks of %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT
                       ", this weight has %" G_GUINT64_FORMAT " rows and %" G_GUINT64_FORMAT " columns",
                       block, block, layer->rows, layer->cols);
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_I8,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "block_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE2 (layer->rows / block, layer->cols / block),
                                                 .run = { block, 1 } });
  qconv_components_add (out, &(QconvComponent) { .name = "input_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE0,
                                                 .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "amax", .dtype = QCONV_F32, .shape = QCONV_SHAPE0, .flags = QCONV_COMPONENT_OPTIONAL });
  return TRUE;
}

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  qconv_amax_work (self, layer, work);
  work->scratch = rotation_row_bytes (layer);
}

static gboolean
finish_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  float *top = qconv_buffer_data (qconv_tile_component (t, "amax"));

  *top = qconv_amax_of_partials (partials, n);
  *exact = *top > 0.0f; /* from_zeros takes the others */
  return TRUE;
}

static gboolean
finish_zeros (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
              gboolean *exact, GError **error)
{
  *(float *) qconv_buffer_data (qconv_tile_component (t, "amax")) = qconv_amax_of_partials (partials, n);
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scratch = qconv_tile_scratch (t, rotation_row_bytes (t->layer), error);
  const QconvArg args[] = { QCONV_BUF (t->floats),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "block_scale")),
                            QCONV_BUF (scratch),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (block_of (t->layer)) };

  return scratch != NULL && qconv_stream_run (t->stream, "int8-encode-block", 1, args, G_N_ELEMENTS (args), error);
}

/* Encodes a tensor of zeros with scales of 1, as convert_to_quant does. In any other tensor a block of zeros gets the
   least scale. */
static gboolean
encode_zeros (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *buffer = qconv_tile_component (t, "block_scale");
  float *scales = qconv_buffer_data (buffer);

  if (!encode (self, t, error))
    return FALSE;
  for (gsize i = 0; i < qconv_buffer_size (buffer) / sizeof *scales; i++)
    scales[i] = 1.0f;
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "block_scale")),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (block_of (t->layer)),
                            QCONV_I (block_of (t->layer)) };

  return qconv_stream_run (t->stream, "int8-decode", 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_check_numbers (t, "input_scale", QCONV_SIGN_POSITIVE, error)
         && qconv_check_numbers (t, "block_scale", QCONV_SIGN_NOT_NEGATIVE, error);
}

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  double block = (double) block_of (layer);

  return largest_error_of (127, block * block);
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "amax", 1 }, { "int8-encode-block", 1 }, { NULL, 0 } },
  .work = plan_work,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_amax,
  .encode = encode,
};

/* It sees the bytes of scales, so it lists no operations */
static const QconvEncoder from_zeros = {
  .work = plan_work,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_zeros,
  .encode = encode_zeros,
};

static const QconvOption options[] = {
  { .name = "block",
    .type = QCONV_INT,
    .value = "128",
    .min = 1,
    .max = G_MAXINT32,
    .help = N_ ("rows and columns of the squares that share a scale"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

const QconvQuantizer int8_block_quantizer = {
  .id = "int8_block",
  .summary = N_ ("8-bit integers with an F32 scale for square blocks"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, &from_zeros, NULL },
  .decode_operations = (const QconvOpName[]) { { "int8-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
