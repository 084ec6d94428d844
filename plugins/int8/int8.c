/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer int8 and the descriptor of the plugin. */
#include "int8.h"

/* The least scale: comfy-kitchen divides a row or a tensor of zeros by it */
#define LEAST_SCALE 1e-30f

static gboolean
is_by_row (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, "scaling"), "row");
}

static const char *
scale_name (const QconvLayer *layer)
{
  return is_by_row (layer) ? "row_scale" : "tensor_scale";
}

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  qconv_rotation_settle (layer, values, TRUE);
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 group = qconv_rotation_group (layer);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%" G_GUINT64_FORMAT " columns cannot be rotated in groups of %" G_GUINT64_FORMAT, layer->cols,
                       group);
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_I8,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  if (is_by_row (layer))
    qconv_components_add (
        out, &(QconvComponent) {
                 .name = "row_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE });
  else
    qconv_components_add (out, &(QconvComponent) { .name = "tensor_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
  return TRUE;
}

/* Rows are rotated one by one while they are encoded; the pass over a whole tensor rotates all rows of its tile */
static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->scratch = rotation_row_bytes (layer) + CHECK_BYTES;
  if (is_by_row (layer))
    return;
  qconv_amax_work (self, layer, work);
  if (qconv_rotation_group (layer) > 1)
    work->scratch_per_row = rotation_row_bytes (layer);
}

static QconvBuffer *
rotate_rows (const QconvTile *t, GError **error)
{
  QconvBuffer *rotated = qconv_tile_scratch (t, (gsize) t->n_rows * rotation_row_bytes (t->layer), error);
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (rotated), QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  if (rotated == NULL || !qconv_stream_run (t->stream, "convrot", 1, args, G_N_ELEMENTS (args), error)
      || !check_rotated (t, rotated, error))
    return NULL;
  return rotated;
}

static gboolean
accumulate_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  QconvBuffer *floats = qconv_rotation_group (t->layer) > 1 ? rotate_rows (t, error) : t->floats;

  return floats != NULL && qconv_amax_add (t, floats, partial, error);
}

static gboolean
finish_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "tensor_scale"));

  *scale = MAX (qconv_amax_of_partials (partials, n) / 127.0f, LEAST_SCALE);
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scratch = qconv_tile_scratch (t, rotation_row_bytes (t->layer), error);
  const QconvArg args[] = { QCONV_BUF (t->floats),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, scale_name (t->layer))),
                            QCONV_BUF (scratch),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  if (scratch == NULL
      || !qconv_stream_run (t->stream, is_by_row (t->layer) ? "int8-encode-row" : "int8-encode", 1, args,
                            G_N_ELEMENTS (args), error))
    return FALSE;
  return !is_by_row (t->layer) || qconv_rotation_group (t->layer) <= 1
         || check_rotated (t, qconv_tile_component (t, "row_scale"), error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, scale_name (t->layer))),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (is_by_row (t->layer) ? 1 : t->n_rows),
                            QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "int8-decode", 1, args, G_N_ELEMENTS (args), error)
         && qconv_rotation_undo (t, error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_check_numbers (t, scale_name (t->layer), QCONV_SIGN_NOT_NEGATIVE, error);
}

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return largest_error_of (127, (double) layer->cols * (is_by_row (layer) ? 1.0 : (double) layer->rows));
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "amax", 1 },
                                        { "convrot", 1 },
                                        { "int8-encode", 1 },
                                        { "int8-encode-row", 1 },
                                        { "nonfinite", 1 },
                                        { NULL, 0 } },
  .work = plan_work,
  .accumulate = accumulate_amax,
  .finish = finish_amax,
  .encode = encode,
};

static const QconvOption options[] = {
  { .name = "scaling",
    .type = QCONV_CHOICE,
    .value = "row",
    .choices = (const char *const[]) { "row", "tensor", NULL },
    .help = N_ ("one scale for each row, or one for the tensor, which has more than twice the error"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "convrot",
    .type = QCONV_CHOICE,
    .value = "none",
    .choices = (const char *const[]) { "none", "auto", "4", "16", "64", "256", "1024", NULL },
    .help = N_ ("columns that are rotated together, which spreads outliers; auto: the largest group, up to 256, that "
                "divides the columns; layers whose columns the group does not divide are not rotated"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

static const QconvQuantizer quantizer = {
  .id = "int8",
  .summary = N_ ("8-bit integers with an F32 scale for each row or for the tensor, rotated or not"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode_operations = (const QconvOpName[]) { { "convrot", 1 }, { "int8-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (int8, .summary = N_ ("INT8 and ConvRot W4A4 quantizers"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv",
                     .quantizers
                     = (const QconvQuantizer *const[]) { &quantizer, &int8_block_quantizer, &w4a4_quantizer, NULL })
