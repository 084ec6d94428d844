/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest complete plugin that brings a file format with quantized weights: copy the folder, put another name for
   "template" everywhere. Its file is made up: 16 bytes, "QTML", rows, cols (U32), scale (F32), then one I8 code for
   each weight of the one layer "layer". */
#include <string.h>

#include "qconv-plugin.h"

#define MAGIC "QTML"
#define HEADER 16

static guint
score_file (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= HEADER && memcmp (head, MAGIC, 4) == 0 ? 100 : 0;
}

/* Lists the tensors of the file. Core refuses tensors outside of the file and repeated names. */
static gboolean
open_file (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
           GError **error)
{
  guint32 header[HEADER / 4];
  QconvTensor scale
      = { .name = "layer.scale", .dtype = QCONV_F32, .type = "F32", .n_bytes = 4, .source = source, .offset = 12 };
  QconvTensor codes = { .name = "layer.codes", .dtype = QCONV_I8, .type = "I8", .source = source, .offset = HEADER };

  if (!qconv_source_read (source, 0, sizeof header, header, error))
    return FALSE;
  codes.shape = QCONV_SHAPE2 (GUINT32_FROM_LE (header[1]), GUINT32_FROM_LE (header[2]));
  if (!qconv_shape_bytes (&codes.shape, QCONV_I8, &codes.n_bytes)
      || codes.n_bytes != qconv_source_size (source) - HEADER)
    return qconv_fail (error, QCONV_ERROR_INPUT, "rows and columns do not match the size of the file");
  return qconv_directory_add (directory, &scale, error) && qconv_directory_add (directory, &codes, error);
}

static const QconvContainer container = {
  .id = "template",
  .summary = N_ ("files of the example plugin"),
  .suffixes = (const char *const[]) { ".qtml", NULL },
  .score = score_file,
  .open = open_file,
};

static guint
score_directory (const QconvReader *self, const QconvDirectory *d)
{
  return g_str_equal (qconv_directory_container (d), "template") ? 100 : 0;
}

/* Claims the layer and binds its tensors to components. Both are stored as their component is, so neither needs a
   load function. */
static gboolean
claim_layer (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
             GError **error)
{
  const QconvTensor *codes = qconv_directory_find (d, "layer.codes"), *scale = qconv_directory_find (d, "layer.scale");
  QconvClaim *layer
      = qconv_claims_layer (claims, "layer", "template", NULL, codes->shape.dim[0], codes->shape.dim[1], QCONV_F32);

  qconv_claim_bind (layer, "codes", NULL, codes, NULL);
  qconv_claim_bind (layer, "scale", NULL, scale, NULL);
  return TRUE;
}

static const QconvReader reader = {
  .id = "template",
  .summary = N_ ("the layer of an example file"),
  .score = score_directory,
  .claim = claim_layer,
};

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvComponent codes
      = { .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (layer->rows, layer->cols), .run = QCONV_ROWWISE };
  const QconvComponent scale = { .name = "scale", .dtype = QCONV_F32, .run = QCONV_WHOLE };

  qconv_components_add (out, &codes);
  qconv_components_add (out, &scale);
  return TRUE;
}

/* Decodes a tile. The quantizer lists no operations, so core calls it on the CPU with host memory. */
static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  float *out = qconv_buffer_data (t->floats);

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    out[i] = (float) codes[i] * *scale;
  return TRUE;
}

static const QconvQuantizer quantizer = {
  .id = "template",
  .summary = N_ ("one scale for all weights of a layer"),
  .components = list_components,
  .decode = decode,
};

QCONV_PLUGIN_DEFINE (template, .summary = N_ ("Example to copy"), .license = "LGPL-2.1-or-later",
                     .containers = (const QconvContainer *const[]) { &container, NULL },
                     .readers = (const QconvReader *const[]) { &reader, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { &quantizer, NULL })
