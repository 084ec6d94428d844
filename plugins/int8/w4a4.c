/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer convrot_w4a4: rotated rows as 4-bit integers with a scale for each row. */
#include "int8.h"

/* The kernels of the runtime fix this; they also quantize activations in such groups */
#define COLS_MULTIPLE 64

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  qconv_rotation_settle (layer, values, FALSE);
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 group = qconv_rotation_group (layer);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->cols % COLS_MULTIPLE != 0 || layer->cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "convrot_w4a4 takes columns in multiples of %d and of the rotation's group, this weight has "
                       "%" G_GUINT64_FORMAT,
                       COLS_MULTIPLE, layer->cols);
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "row_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE });
  return TRUE;
}

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->scratch = rotation_row_bytes (layer) + CHECK_BYTES;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scratch = qconv_tile_scratch (t, rotation_row_bytes (t->layer), error);
  const QconvArg args[] = { QCONV_BUF (t->floats),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "row_scale")),
                            QCONV_BUF (scratch),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  return scratch != NULL && qconv_stream_run (t->stream, "int4-encode-row", 1, args, G_N_ELEMENTS (args), error)
         && check_rotated (t, qconv_tile_component (t, "row_scale"), error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (qconv_tile_component (t, "row_scale")),
          QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "int4-decode-row", 1, args, G_N_ELEMENTS (args), error)
         && qconv_rotation_undo (t, error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_check_numbers (t, "row_scale", QCONV_SIGN_NOT_NEGATIVE, error);
}

/* Returns the error of the worst row: after the rotation one large weight, and all others off by half a step. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return largest_error_of (7, (double) layer->cols);
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "int4-encode-row", 1 }, { "nonfinite", 1 }, { NULL, 0 } },
  .work = plan_work,
  .encode = encode,
};

static const QconvOption options[] = {
  { .name = "convrot",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "4", "16", "64", "256", "1024", NULL },
    .help = N_ ("columns that are rotated together; auto: 256, or 64 if 256 does not divide the columns"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

const QconvQuantizer w4a4_quantizer = {
  .id = "convrot_w4a4",
  .summary = N_ ("rotated 4-bit integers with an F32 scale for each row"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .cols_multiple = COLS_MULTIPLE,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode_operations = (const QconvOpName[]) { { "convrot", 1 }, { "int4-decode-row", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
