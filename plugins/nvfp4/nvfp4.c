/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer nvfp4, what it shares with nvfp4_divided, and the descriptor of the plugin. */
#include "nvfp4.h"

#include <math.h>

#include "amax-pass.h"
#include "pre-quant.h"
#include "quantizer-checks.h"

/* The largest E4M3 number times the largest E2M1 number: the largest magnitude for a tensor scale of 1 */
#define LARGEST 2688.0f
#define E4M3_ONE 0x38

void
nvfp4_add_components (const QconvLayer *layer, QconvComponents *out)
{
  guint64 blocks = layer->cols / NVFP4_BLOCK + (layer->cols % NVFP4_BLOCK != 0);

  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "block_scale",
                                                 .dtype = QCONV_F8_E4M3,
                                                 .shape = QCONV_SHAPE2 (layer->rows, blocks),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "tensor_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  if (!qconv_check_matrix (layer, error))
    return FALSE;
  nvfp4_add_components (layer, out);
  qconv_components_add (out, &(QconvComponent) { .name = "input_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE0,
                                                 .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN });
  qconv_pre_quant_add (layer, out);
  return TRUE;
}

static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 2e-2;
}

/* Sets the tensor scale: 1 if all weights are zero, the smallest F32 if the quotient underflows. */
static gboolean
finish_smallest (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
                 gboolean *exact, GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "tensor_scale"));
  float top = qconv_amax_of_partials (partials, n);

  *scale = 1.0f;
  if (top > 0.0f)
    {
      *scale = top / LARGEST;
      if (!(*scale > 0.0f))
        *scale = nextafterf (0.0f, 1.0f);
    }
  return TRUE;
}

static gboolean
finish_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "tensor_scale"));

  if (!finish_smallest (self, t, pass, partials, n, exact, error))
    return FALSE;
  *exact = *scale > nextafterf (0.0f, 1.0f); /* from_smallest takes the others */
  return TRUE;
}

/* Encodes a block of at most NVFP4_BLOCK F32 numbers, given as bits. Returns the block scale */
static guint8
encode_smallest_block (const guint32 *bits, guint64 n, guint8 *codes)
{
  static const guint8 code_of[] = { 0, 2, 4, 5 };
  guint8 scale = 0;

  for (guint64 i = 0; i < n; i++)
    {
      guint32 magnitude = bits[i] & 0x7fffffff;

      if (magnitude == 0 || magnitude >= G_N_ELEMENTS (code_of))
        continue;
      codes[i / 2] |= (guint8) ((code_of[magnitude] | bits[i] >> 31 << 3) << (i % 2 * 4));
      scale = E4M3_ONE;
    }
  return scale;
}

/* Encodes weights below four times the smallest F32, whose block scales underflow with any tensor scale. Codes hold
   such numbers as they are, with the smallest tensor scale and a block scale of 1. Only F32 is that small */
static void
fill_smallest (const QconvTile *t)
{
  const guint32 *bits = qconv_buffer_data (t->floats);
  guint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  guint8 *scales = qconv_buffer_data (qconv_tile_component (t, "block_scale"));
  guint64 cols = t->layer->cols, blocks = cols / NVFP4_BLOCK + (cols % NVFP4_BLOCK != 0);

  if (qconv_buffer_dtype (t->floats) != QCONV_F32)
    return;
  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 b = 0; b < blocks; b++)
      if (scales[row * blocks + b] == 0)
        scales[row * blocks + b]
            = encode_smallest_block (bits + row * cols + b * NVFP4_BLOCK, MIN (NVFP4_BLOCK, cols - b * NVFP4_BLOCK),
                                     codes + row * (cols / 2 + cols % 2) + b * (NVFP4_BLOCK / 2));
}

static gboolean
encode_floats (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  gboolean rtn = qconv_effort_is_rtn (t->layer);
  const QconvArg args[] = { QCONV_BUF (t->floats),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "block_scale")),
                            QCONV_BUF (qconv_tile_component (t, "tensor_scale")),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, rtn ? "nvfp4-encode-rtn" : "nvfp4-encode-search", 1, args, G_N_ELEMENTS (args),
                           error);
}

static gboolean
encode_smallest (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  if (!encode_floats (self, t, error))
    return FALSE;
  fill_smallest (t);
  return TRUE;
}

gboolean
nvfp4_decode (const QconvTile *t, const char *operation, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "block_scale")),
                            QCONV_BUF (qconv_tile_component (t, "tensor_scale")),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, operation, 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return nvfp4_decode (t, "nvfp4-decode", error) && qconv_pre_quant_apply (t, error);
}

gboolean
nvfp4_check_block_scales (QconvBuffer *scales, GError **error)
{
  const guint8 *bytes = qconv_buffer_data (scales);
  gsize n = qconv_buffer_size (scales), wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += bytes[i] >= 0x7f;
  return wrong == 0
         || qconv_fail (error, QCONV_ERROR_NON_FINITE, "%" G_GSIZE_FORMAT " block scales are NaN or negative", wrong);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return nvfp4_check_block_scales (qconv_tile_component (t, "block_scale"), error)
         && qconv_check_numbers (t, "tensor_scale", QCONV_SIGN_NOT_NEGATIVE, error)
         && qconv_check_numbers (t, "input_scale", QCONV_SIGN_POSITIVE, error)
         && qconv_check_numbers (t, QCONV_PRE_QUANT, QCONV_SIGN_ANY, error);
}

static const QconvEncoder from_floats = {
  .operations
  = (const QconvOpName[]) { { "amax", 1 }, { "nvfp4-encode-rtn", 1 }, { "nvfp4-encode-search", 1 }, { NULL, 0 } },
  .work = qconv_amax_work,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_amax,
  .encode = encode_floats,
};

/* It sees the bytes of weights, so it lists no operations */
static const QconvEncoder from_smallest = {
  .work = qconv_amax_work,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_smallest,
  .encode = encode_smallest,
};

static const QconvOption options[] = {
  { .name = QCONV_EFFORT,
    .type = QCONV_CHOICE,
    .value = "search",
    .choices = QCONV_EFFORT_CHOICES,
    .help = N_ ("method for the block scales: search has the smaller error, rtn is the reference formula; if a LoRA "
                "will be applied when the file is loaded, use rtn or, better, merge the LoRA with --lora") },
  { .name = NULL },
};

static const QconvQuantizer quantizer = {
  .id = "nvfp4",
  .summary = N_ ("4-bit floats with an E4M3 scale for 16 columns and an F32 scale for the tensor"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .cols_multiple = NVFP4_BLOCK,
  .components = list_components,
  .bound = largest_error,
  .encoders
  = (const QconvEncoder *const[]) { &nvfp4_from_mxfp4, &nvfp4_from_divided, &from_floats, &from_smallest, NULL },
  .decode_operations = (const QconvOpName[]) { { "nvfp4-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (nvfp4, .summary = N_ ("NVFP4 quantizer"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv",
                     .quantizers = (const QconvQuantizer *const[]) { &quantizer, &nvfp4_divided, NULL })
