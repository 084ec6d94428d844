/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer mxfp4 (OCP microscaling): E2M1 codes, a power of two for 32 columns. It only decodes; no target uses
   it yet. */
#include "qconv-plugin.h"

#define MX_BLOCK 32
#define EXPONENT_NAN 0xff

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 blocks = layer->cols / MX_BLOCK + (layer->cols % MX_BLOCK != 0);

  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "block_scale",
                                                 .dtype = QCONV_F8_E8M0,
                                                 .shape = QCONV_SHAPE2 (layer->rows, blocks),
                                                 .run = QCONV_ROWWISE });
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (qconv_tile_component (t, "block_scale")),
          QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "mxfp4-decode", 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scales = qconv_tile_component (t, "block_scale");
  const guint8 *bytes = qconv_buffer_data (scales);
  gsize n = qconv_buffer_size (scales), wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += bytes[i] == EXPONENT_NAN;
  return wrong == 0 || qconv_fail (error, QCONV_ERROR_NON_FINITE, "%" G_GSIZE_FORMAT " block scales are NaN", wrong);
}

/* Returns the error of the worst blocks, in which all weights lie in the middle of the widest gap of E2M1. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 0.13;
}

static const QconvQuantizer mxfp4 = {
  .id = "mxfp4",
  .summary = N_ ("FP4 with a power of two for 32 columns (OCP microscaling); qconv only decodes it"),
  .components = list_components,
  .bound = largest_error,
  .decode_operations = (const QconvOpName[]) { { "mxfp4-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (mxfp4, .summary = N_ ("MXFP4 weights"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE, .quantizers = (const QconvQuantizer *const[]) { &mxfp4, NULL })
