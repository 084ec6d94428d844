/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over, and a decode-only quantizer for every block type. */
#include "container.h"
#include "reader.h"
#include "types.h"
#include "writer.h"

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const GgufType *type = qconv_gguf_type (GPOINTER_TO_UINT (self->data));
  guint64 bytes;

  if (layer->cols % type->items != 0 || __builtin_mul_overflow (layer->cols / type->items, type->bytes, &bytes))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "rows of %" G_GUINT64_FORMAT " items do not hold whole %s blocks", layer->cols, type->name);
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "blocks", .dtype = QCONV_U8, .shape = QCONV_SHAPE2 (layer->rows, bytes), .run = QCONV_ROWWISE });
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const GgufType *type = qconv_gguf_type (GPOINTER_TO_UINT (self->data));
  const QconvOpName *op = self->decode_operations;
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "blocks")), QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows * (t->layer->cols / type->items)) };

  return qconv_stream_run (t->stream, op->name, op->version, args, G_N_ELEMENTS (args), error);
}

static gboolean
list_scaled_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 matrices = qconv_gguf_matrices (&layer->shape, layer->cols);

  if (!list_components (self, layer, out, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "tensor_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE1 (matrices),
                                                 .flags = QCONV_COMPONENT_OPTIONAL });
  return TRUE;
}

static gboolean
decode_scaled (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *scales = qconv_tile_component (t, "tensor_scale");
  guint64 cols = t->layer->cols, matrix_rows = t->layer->rows / qconv_gguf_matrices (&t->layer->shape, cols);
  const float *scale;
  float *floats;

  if (!decode (self, t, error))
    return FALSE;
  if (scales == NULL)
    return TRUE;
  scale = qconv_buffer_data (scales);
  floats = qconv_buffer_data (t->floats);
  if (scale == NULL || floats == NULL)
    return qconv_fail (error, QCONV_ERROR_DEVICE, "tensor_scale is not in host memory");
  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 col = 0; col < cols; col++)
      floats[row * cols + col] *= scale[(t->first_row + row) / matrix_rows];
  return TRUE;
}

#define IS_SCALED(id) ((id) == GGUF_NVFP4)
#define QUANTIZER(number, word, scheme, ...)                                              \
  static const QconvQuantizer scheme = {                                                  \
    .id = #scheme,                                                                        \
    .summary = N_ ("GGUF blocks of type " word),                                          \
    .data = GUINT_TO_POINTER (number),                                                    \
    .components = IS_SCALED (number) ? list_scaled_components : list_components,          \
    .decode_operations = (const QconvOpName[]) { { #scheme "-decode", 1 }, { NULL, 0 } }, \
    .decode = IS_SCALED (number) ? decode_scaled : decode,                                \
  };
GGUF_BLOCK_TYPES (QUANTIZER)

#define ADDRESS(number, word, scheme, ...) &scheme,
QCONV_PLUGIN_DEFINE (gguf, .summary = N_ ("GGUF files: plain tensors and all block types"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = GETTEXT_PACKAGE,
                     .containers = (const QconvContainer *const[]) { &qconv_gguf_container, NULL },
                     .readers = (const QconvReader *const[]) { &qconv_gguf_reader, NULL },
                     .writers = (const QconvWriter *const[]) { &qconv_gguf_writer, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { GGUF_BLOCK_TYPES (ADDRESS) NULL })
