/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer gptq, which only decodes: whole-number codes with a scale and a whole zero for each group of columns.
   GPTQ, AutoAWQ, compressed-tensors' pack-quantized and ModelOpt's INT4 are read into it. */
#include "gptq.h"

#include "pre-quant.h"
#include "quantizer-checks.h"

static guint64
groups_of (const QconvLayer *layer)
{
  guint64 group = (guint64) qconv_values_int (layer->values, "group");

  return layer->cols / group + (layer->cols % group != 0);
}

static gboolean
is_indexed (const QconvLayer *layer)
{
  return qconv_values_boolean (layer->values, "act-order");
}

/* Lists the components. A zero has 16 bits, because that of a GPTQ file may be 256. */
static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  QconvShape grid = QCONV_SHAPE2 (layer->rows, groups_of (layer));

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  qconv_components_add (
      out, &(QconvComponent) { .name = "codes",
                               .dtype = qconv_values_int (layer->values, "bits") <= 4 ? QCONV_U4 : QCONV_U8,
                               .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                               .run = QCONV_ROWWISE });
  qconv_components_add (out,
                        &(QconvComponent) { .name = "scale", .dtype = QCONV_F32, .shape = grid, .run = QCONV_ROWWISE });
  qconv_components_add (out,
                        &(QconvComponent) { .name = "zero", .dtype = QCONV_I16, .shape = grid, .run = QCONV_ROWWISE });
  if (is_indexed (layer))
    qconv_components_add (out, &(QconvComponent) { .name = "group_index",
                                                   .dtype = QCONV_I32,
                                                   .shape = QCONV_SHAPE1 (layer->cols),
                                                   .flags = QCONV_COMPONENT_ANY_ROWS });
  qconv_pre_quant_add (layer, out);
  return TRUE;
}

static gboolean
decode_codes (const QconvTile *t, GError **error)
{
  QconvArg codes = QCONV_BUF (qconv_tile_component (t, "codes")), scale = QCONV_BUF (qconv_tile_component (t, "scale")),
           zero = QCONV_BUF (qconv_tile_component (t, "zero")), floats = QCONV_BUF (t->floats),
           rows = QCONV_I (t->n_rows), cols = QCONV_I (t->layer->cols);

  if (is_indexed (t->layer))
    return qconv_stream_run (t->stream, "gptq-decode-indexed", 1,
                             (QconvArg[]) { codes, scale, zero, QCONV_BUF (qconv_tile_component (t, "group_index")),
                                            floats, rows, cols, QCONV_I (groups_of (t->layer)) },
                             8, error);
  return qconv_stream_run (
      t->stream, "gptq-decode", 1,
      (QconvArg[]) { codes, scale, zero, floats, rows, cols, QCONV_I (qconv_values_int (t->layer->values, "group")) },
      7, error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return decode_codes (t, error) && qconv_pre_quant_apply (t, error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_check_numbers (t, "scale", QCONV_SIGN_ANY, error)
         && qconv_check_numbers (t, QCONV_PRE_QUANT, QCONV_SIGN_ANY, error);
}

static const QconvOption options[] = {
  { .name = "bits",
    .type = QCONV_INT,
    .value = "4",
    .min = 2,
    .max = 8,
    .help = N_ ("bits of a code"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "group",
    .type = QCONV_INT,
    .value = "128",
    .min = 1,
    .max = G_MAXINT32,
    .help = N_ ("columns that share a scale and a zero; the last group may have fewer"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "act-order",
    .type = QCONV_BOOLEAN,
    .value = "off",
    .help = N_ ("a list says which group each column belongs to"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

const QconvQuantizer gptq_quantizer = {
  .id = "gptq",
  .summary = N_ ("2 to 8-bit whole numbers with a scale and a zero for each group of columns; qconv only decodes it"),
  .options = options,
  .components = list_components,
  .decode_operations = (const QconvOpName[]) { { "gptq-decode", 1 }, { "gptq-decode-indexed", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
