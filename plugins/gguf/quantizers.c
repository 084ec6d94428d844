/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A quantizer for every block type. Those that ggml encodes without data of its own have an encoder. */
#include "quantizers.h"

#include "quantizer-checks.h"
#include "repack.h"
#include "types.h"

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
                                                 .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN });
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

#define FLOATS (1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16)
/* The sums of squares of the inputs weigh the errors of the columns */
#define IMPORTANCE "sum2"

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->scratch = (gsize) layer->cols * sizeof (float);
}

/* Points @importance at one number for each column, 1 on average, or at NULL if there are no statistics. Columns that
   were never used count as average: with an importance of 0 their weights could become anything */
static gboolean
load_importance (const QconvTile *t, QconvBuffer **importance, GError **error)
{
  const float *sums = qconv_tile_statistics (t, IMPORTANCE);
  double total = 0, n = 0;
  float *dst;

  *importance = NULL;
  if (sums == NULL)
    return TRUE;
  *importance = qconv_tile_scratch (t, (gsize) t->layer->cols * sizeof (float), error);
  if (*importance == NULL)
    return FALSE;
  dst = qconv_buffer_data (*importance);
  for (guint64 i = 0; i < t->layer->cols; i++)
    {
      total += (double) sums[i];
      n += sums[i] > 0.0f;
    }
  for (guint64 i = 0; i < t->layer->cols; i++)
    dst[i] = sums[i] > 0.0f ? (float) ((double) sums[i] / total * n) : 1.0f;
  return TRUE;
}

/* Returns the encoder of floats, the last one: one that adopts components comes before it. */
static const QconvEncoder *
float_encoder (const QconvQuantizer *q)
{
  const QconvEncoder *const *e = q->encoders;

  while ((*e)->from != NULL)
    e++;
  return *e;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvOpName *op = float_encoder (self)->operations;
  QconvBuffer *importance;

  if (!load_importance (t, &importance, error))
    return FALSE;
  return qconv_stream_run (t->stream, op->name, op->version,
                           (QconvArg[]) { QCONV_BUF (t->floats), QCONV_BUF (qconv_tile_component (t, "blocks")),
                                          QCONV_BUF (importance), QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                                          QCONV_I (qconv_effort_is_rtn (t->layer) ? 0 : 1) },
                           6, error);
}

static const char *const statistics[] = { IMPORTANCE, NULL };

static const QconvOption options[] = {
  { .name = QCONV_EFFORT,
    .type = QCONV_CHOICE,
    .value = "search",
    .choices = QCONV_EFFORT_CHOICES,
    .help = N_ ("method for the scales of a block: search has the smaller error, rtn gives the bytes of ggml") },
  { .name = NULL },
};

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return qconv_gguf_type (GPOINTER_TO_UINT (self->data))->bound;
}

#define IS_SCALED(id) ((id) == GGUF_NVFP4)
/* The encoders of type @id: of floats, @last, behind one that adopts components */
#define ENCODERS(id, last)                      \
  (id) == GGUF_MXFP4   ? &qconv_gguf_from_mxfp4 \
  : (id) == GGUF_NVFP4 ? &qconv_gguf_from_nvfp4 \
                       : &(last),               \
      (id) == GGUF_MXFP4 || (id) == GGUF_NVFP4 ? &(last) : NULL, NULL
#define QUANTIZER(number, word, scheme, items, bytes, half, second, largest)                      \
  static const QconvEncoder scheme##_encoder = {                                                  \
    .operations = (const QconvOpName[]) { { #scheme "-encode", 1 }, { NULL, 0 } },                \
    .work = plan_work,                                                                            \
    .encode = encode,                                                                             \
  };                                                                                              \
  static const QconvEncoder *const scheme##_encoders[] = { ENCODERS (number, scheme##_encoder) }; \
  static const QconvQuantizer scheme = {                                                          \
    .id = #scheme,                                                                                \
    .summary = N_ ("GGUF blocks of type " word),                                                  \
    .data = GUINT_TO_POINTER (number),                                                            \
    .options = (largest) > 0 ? options : NULL,                                                    \
    .statistics = (largest) > 0 ? statistics : NULL,                                              \
    .float_dtypes = (largest) > 0 ? FLOATS : 0,                                                   \
    .cols_multiple = (largest) > 0 ? (items) : 0,                                                 \
    .components = IS_SCALED (number) ? list_scaled_components : list_components,                  \
    .bound = (largest) > 0 ? largest_error : NULL,                                                \
    .encoders = (largest) > 0 ? scheme##_encoders : NULL,                                         \
    .decode_operations = (const QconvOpName[]) { { #scheme "-decode", 1 }, { NULL, 0 } },         \
    .decode = IS_SCALED (number) ? decode_scaled : decode,                                        \
  };
GGUF_BLOCK_TYPES (QUANTIZER)

#define ADDRESS(number, word, scheme, ...) &scheme,
const QconvQuantizer *const qconv_gguf_quantizers[] = { GGUF_BLOCK_TYPES (ADDRESS) NULL };
