/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer fp8_group: a scale for some columns of each row. It only decodes; readers spread grids of scales
   that no other scheme holds over it. */
#include "fp8.h"

static guint64
group_of (const QconvLayer *layer)
{
  return (guint64) qconv_values_int (layer->values, "group");
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 group = group_of (layer);
  gboolean e5m2 = g_str_equal (qconv_values_string (layer->values, "dtype"), "e5m2");

  if (layer->rows == 0 || layer->cols == 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s cannot hold an empty weight", layer->scheme);
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = e5m2 ? QCONV_F8_E5M2 : QCONV_F8_E4M3,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) { .name = "group_scale",
                               .dtype = QCONV_F32,
                               .shape = QCONV_SHAPE2 (layer->rows, layer->cols / group + (layer->cols % group != 0)),
                               .run = QCONV_ROWWISE });
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return fp8_decode (t, "group_scale", 1, MIN (group_of (t->layer), t->layer->cols), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return fp8_validate (t, "group_scale", error);
}

static const QconvOption options[] = {
  FP8_DTYPE,
  { .name = "group",
    .type = QCONV_INT,
    .value = "64",
    .min = 1,
    .max = 1 << 30,
    .help = N_ ("columns of a row that share a scale"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

const QconvQuantizer fp8_group = {
  .id = "fp8_group",
  .summary = N_ ("FP8 with an F32 scale for some columns of each row; qconv only decodes it"),
  .options = options,
  .components = list_components,
  .decode_operations = (const QconvOpName[]) { { "fp8-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
