/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers fp8_row and fp8_block: a scale for every row or square block, with the arithmetic of
   convert_to_quant. */
#include <string.h>

#include "fp8.h"

#include "amax-pass.h"

/* The differences between the two schemes. @option: name of the option with the side of a block, or NULL if blocks
   are rows */
typedef struct {
  const char *option, *scales;
} Form;
static const Form rows = { NULL, "row_scale" }, blocks = { "block", "block_scale" };

static guint64
height_of (const Form *f, const QconvLayer *layer)
{
  return f->option != NULL ? (guint64) qconv_values_int (layer->values, f->option) : 1;
}

static guint64
width_of (const Form *f, const QconvLayer *layer)
{
  return f->option != NULL ? height_of (f, layer) : layer->cols;
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const Form *f = self->data;
  guint64 height = height_of (f, layer), width = width_of (f, layer);

  if (layer->rows % height != 0 || (f->option != NULL && layer->cols % width != 0))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%" G_GUINT64_FORMAT " rows and %" G_GUINT64_FORMAT
                       " columns are not multiples of the block %" G_GUINT64_FORMAT
                       "; choose a block that divides both",
                       layer->rows, layer->cols, height);
  return fp8_list_components (
      layer, QCONV_F8_E4M3,
      &(QconvComponent) { .name = f->scales,
                          .dtype = QCONV_F32,
                          .shape = f->option != NULL ? QCONV_SHAPE2 (layer->rows / height, layer->cols / width)
                                                     : QCONV_SHAPE1 (layer->rows),
                          .run = { height, 1 } },
      out, error);
}

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return fp8_bound (QCONV_F8_E4M3, height_of (self->data, layer) * width_of (self->data, layer));
}

/* ---- Tensors of zeros, whose scales are 1 ---- */

static gboolean
finish_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  *exact = !(qconv_amax_of_partials (partials, n) > 0.0f);
  return TRUE;
}

static gboolean
encode_zeros (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const Form *f = self->data;
  QconvBuffer *codes = qconv_tile_component (t, "codes"), *scales = qconv_tile_component (t, f->scales);
  float *values = qconv_buffer_data (scales);

  memset (qconv_buffer_data (codes), 0, qconv_buffer_size (codes));
  for (gsize i = 0; i < qconv_buffer_size (scales) / sizeof *values; i++)
    values[i] = 1.0f;
  return TRUE;
}

static const QconvEncoder from_zeros = {
  .work = qconv_amax_work,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_amax,
  .encode = encode_zeros,
};

/* ---- All others ---- */

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const Form *f = self->data;
  const QconvArg args[] = { QCONV_BUF (t->floats),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, f->scales)),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (height_of (f, t->layer)),
                            QCONV_I (width_of (f, t->layer)) };

  return qconv_stream_run (t->stream, fp8_is_rtn (t->layer) ? "fp8-tile-encode-rtn" : "fp8-tile-encode-search", 1, args,
                           G_N_ELEMENTS (args), error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const Form *f = self->data;

  return fp8_decode (t, f->scales, height_of (f, t->layer), width_of (f, t->layer), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const Form *f = self->data;

  return fp8_validate (t, f->scales, error);
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "fp8-tile-encode-rtn", 1 }, { "fp8-tile-encode-search", 1 }, { NULL, 0 } },
  .encode = encode,
};

static const QconvEncoder *const encoders[] = { &from_zeros, &from_floats, NULL };
static const QconvOpName decode_operations[] = { { "fp8-decode", 1 }, { NULL, 0 } };

static const QconvOption row_options[] = { FP8_EFFORT, { .name = NULL } };

static const QconvOption block_options[] = {
  { .name = "block",
    .type = QCONV_INT,
    .value = "64",
    .min = 8,
    .max = 4096,
    .help = N_ ("rows and columns that share a scale"),
    .flags = QCONV_OPTION_PARAMETER },
  FP8_EFFORT,
  { .name = NULL },
};

#define TILED                                                                                             \
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16, .components = list_components,    \
  .bound = largest_error, .encoders = encoders, .decode_operations = decode_operations, .decode = decode, \
  .validate = validate

const QconvQuantizer fp8_row = {
  .id = "fp8_row",
  .summary = N_ ("FP8 (E4M3) with an F32 scale for every row"),
  .data = &rows,
  .options = row_options,
  TILED,
};

const QconvQuantizer fp8_block = {
  .id = "fp8_block",
  .summary = N_ ("FP8 (E4M3) with an F32 scale for every square block"),
  .data = &blocks,
  .options = block_options,
  TILED,
};
