/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer bnb_int8, which only decodes: code × row maximum / 127 (bitsandbytes: functional.py
   int8_vectorwise_dequant). */
#include "bnb.h"

#include "quantizer-checks.h"

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  if (!qconv_check_matrix (layer, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_I8,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "row_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE });
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (qconv_tile_component (t, "row_scale")),
          QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "int8-decode-largest", 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_check_numbers (t, "row_scale", QCONV_SIGN_NOT_NEGATIVE, error);
}

const QconvQuantizer bnb_int8 = {
  .id = "bnb_int8",
  .summary = N_ ("8-bit codes with the largest magnitude of each row, as bitsandbytes stores them"),
  .components = list_components,
  .decode_operations = (const QconvOpName[]) { { "int8-decode-largest", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};
