/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of formats; a new format is a new row. Sources: ComfyUI comfy/quant_ops.py QUANT_ALGOS, comfy/ops.py
   _load_quantized_module, comfy/quant_nf4.py; comfy-kitchen tensor/; for formats of the QuantOps extension
   convert_to_quant utils/comfy_quant.py. */
#include "format.h"

#include "load.h"
#include "look.h"
#include "pack.h"

#define IS(dtype) (1u << QCONV_##dtype)
#define FLOATS (IS (F32) | IS (F16) | IS (BF16))
#define WORDS (FLOATS | IS (F64))
#define BYTES (IS (U8) | IS (I8))
/* clang-format off */
#define NO_MORE    \
  {                \
    .suffix = NULL \
  }
/* clang-format on */

/* clang-format off */
#define INPUT_SCALE(good)                                                                                    \
  {                                                                                                          \
    ".input_scale", NULL, "input_scale", QCONV_F32, good, FLOATS, COMFY_ONE, COMFY_FACTOR, FALSE, NULL, NULL \
  }
#define F32_SCALE(suffix, component, form)                                                    \
  {                                                                                           \
    suffix, NULL, component, QCONV_F32, IS (F32), FLOATS, form, COMFY_SCALE, TRUE, NULL, NULL \
  }
#define NIBBLES(dtype, good, form, order)                                                              \
  {                                                                                                    \
    ".weight", NULL, "codes", QCONV_##dtype, good, BYTES, form, COMFY_CODES, TRUE, comfy_load_##order, \
        comfy_pack_##order                                                                             \
  }
#define CODES(dtype, readable)                                                                                \
  {                                                                                                           \
    ".weight", NULL, "codes", QCONV_##dtype, IS (dtype), readable, COMFY_BYTES, COMFY_CODES, TRUE, NULL, NULL \
  }
/* clang-format on */

static const ComfyMember nvfp4[] = {
  NIBBLES (U8, IS (U8), COMFY_NIBBLES, nibbles_high),
  { ".weight_scale", NULL, "block_scale", QCONV_F8_E4M3, IS (F8_E4M3) | IS (U8), IS (F8_E4M3) | IS (U8), COMFY_SWIZZLED,
    COMFY_SCALE, TRUE, comfy_load_scales_swizzled, comfy_pack_scales_swizzled },
  F32_SCALE (".weight_scale_2", "tensor_scale", COMFY_ONE),
  INPUT_SCALE (WORDS),
  { ".pre_quant_scale", NULL, "pre_quant_scale", QCONV_F32, WORDS, FLOATS, COMFY_COLS, COMFY_NUMBERS, FALSE, NULL,
    NULL },
  NO_MORE,
};

/* Exponents are written as U8, because the memory-mapped loader does not know E8M0 (ComfyUI: comfy/utils.py _TYPES). */
/* clang-format off */
#define MXFP8                                                                                     \
  { ".weight",   NULL,        "codes", QCONV_F8_E4M3,    IS (F8_E4M3),    IS (F8_E4M3) | IS (U8), \
    COMFY_BYTES, COMFY_CODES, TRUE,    comfy_load_bytes, comfy_pack_bytes },                      \
      { ".weight_scale",                                                                          \
        NULL,                                                                                     \
        "block_scale",                                                                            \
        QCONV_U8,                                                                                 \
        IS (U8),                                                                                  \
        IS (U8) | IS (F8_E8M0) | IS (F8_E4M3),                                                    \
        COMFY_SWIZZLED,                                                                           \
        COMFY_EXPONENTS,                                                                          \
        TRUE,                                                                                     \
        comfy_load_scales_swizzled,                                                               \
        comfy_pack_scales_swizzled },                                                             \
  {                                                                                               \
    ".input_scale", NULL, NULL, QCONV_F32, WORDS, ~0u, COMFY_ONE, COMFY_CODES, FALSE, NULL, NULL  \
  }
/* clang-format on */

static const ComfyMember mxfp8[] = { MXFP8, NO_MORE };
static const ComfyMember hybrid_mxfp8[] = { MXFP8, F32_SCALE (".weight_scalar", "tensor_scale", COMFY_ONE), NO_MORE };

static const ComfyMember fp8_e4m3[] = {
  CODES (F8_E4M3, IS (F8_E4M3)),
  F32_SCALE (".weight_scale", "tensor_scale", COMFY_ONE),
  INPUT_SCALE (IS (F32)),
  NO_MORE,
};

static const ComfyMember fp8_e5m2[] = {
  CODES (F8_E5M2, IS (F8_E5M2)),
  F32_SCALE (".weight_scale", "tensor_scale", COMFY_ONE),
  INPUT_SCALE (IS (F32)),
  NO_MORE,
};

static const ComfyMember fp8_row[] = {
  CODES (F8_E4M3, IS (F8_E4M3)),
  F32_SCALE (".weight_scale", "row_scale", COMFY_ROWS),
  INPUT_SCALE (IS (F32)),
  NO_MORE,
};

static const ComfyMember fp8_block[] = {
  CODES (F8_E4M3, IS (F8_E4M3)),
  F32_SCALE (".weight_scale", "block_scale", COMFY_SQUARES),
  INPUT_SCALE (IS (F32)),
  NO_MORE,
};

static const ComfyMember int8[] = {
  CODES (I8, BYTES),
  F32_SCALE (".weight_scale", "row_scale", COMFY_COLUMN),
  F32_SCALE (".weight_scale", "tensor_scale", COMFY_ONE),
  NO_MORE,
};

static const ComfyMember int8_block[] = {
  CODES (I8, BYTES),
  F32_SCALE (".weight_scale", "block_scale", COMFY_SQUARES),
  INPUT_SCALE (IS (F32)),
  NO_MORE,
};

static const ComfyMember convrot_w4a4[] = {
  NIBBLES (I8, IS (I8), COMFY_NIBBLES, nibbles_low),
  F32_SCALE (".weight_scale", "row_scale", COMFY_ROWS),
  NO_MORE,
};

/* clang-format off */
#define GROUP_SCALE                                                                        \
  {                                                                                        \
    ".weight_s_rel", NULL, "group_scale", QCONV_OPAQUE, IS (F8_E4M3) | IS (U8) | IS (F32), \
        IS (F8_E4M3) | IS (U8) | IS (F32), COMFY_GROUPS, COMFY_SCALE, TRUE, NULL, NULL     \
  }
/* clang-format on */

static const ComfyMember w4a8[] = {
  NIBBLES (I8, IS (I8), COMFY_NIBBLES, nibbles_low),
  GROUP_SCALE,
  F32_SCALE (".weight_s_channel", "row_scale", COMFY_ROWS),
  { ".weight_codebook", NULL, "codebook", QCONV_F32, IS (F32), FLOATS, COMFY_SIXTEEN, COMFY_NUMBERS, FALSE, NULL,
    NULL },
  NO_MORE,
};

static const ComfyMember w6a8[] = {
  NIBBLES (I8, IS (I8), COMFY_SIXES, sixes),
  GROUP_SCALE,
  F32_SCALE (".weight_s_channel", "row_scale", COMFY_ROWS),
  NO_MORE,
};

/* ComfyUI reads weight_zeros; comfy-quants documents weight_zero. */
static const ComfyMember awq[] = {
  NIBBLES (I8, IS (I8), COMFY_NIBBLES, nibbles_low),
  { ".weight_scale", NULL, "scale", QCONV_OPAQUE, FLOATS, FLOATS, COMFY_ACROSS, COMFY_NUMBERS, TRUE, comfy_load_across,
    comfy_pack_across },
  { ".weight_zeros", ".weight_zero", "zero", QCONV_OPAQUE, FLOATS, FLOATS, COMFY_ACROSS, COMFY_NUMBERS, TRUE,
    comfy_load_across, comfy_pack_across },
  NO_MORE,
};

static const ComfyMember nf4[] = {
  NIBBLES (U8, IS (U8), COMFY_FLAT_COLUMN, flat_high),
  F32_SCALE (".weight_scale", "absmax", COMFY_FLAT_GROUPS),
  { ".weight_code", NULL, "codebook", QCONV_F32, IS (F32), FLOATS, COMFY_SIXTEEN, COMFY_NUMBERS, TRUE, NULL, NULL },
  NO_MORE,
};

static const ComfyMember bnb[] = {
  NIBBLES (U8, IS (U8), COMFY_FLAT, flat_low),
  F32_SCALE (".absmax", "absmax", COMFY_FLAT_GROUPS),
  NO_MORE,
};

/* clang-format off */
#define ROTATION(fallback)                                                   \
  {                                                                          \
    "convrot_groupsize", COMFY_KEY_ROTATION, "convrot", fallback, 4, 4, 1024 \
  }
/* clang-format on */
static const ComfyKey keys_int8[]
    = { { "convrot", COMFY_KEY_ROTATED, "convrot", 0, 1, 0, 1 }, ROTATION (256), { NULL } };
static const ComfyKey keys_w4a4[] = { ROTATION (256), { NULL } };
static const ComfyKey keys_w4a8[]
    = { { "group_size", COMFY_KEY_GROUP, "group", 16, 2, 4, 256 }, ROTATION (256), { NULL } };
static const ComfyKey keys_awq[] = { { "group_size", COMFY_KEY_GROUP, "group", 64, 1, 1, G_MAXINT32 }, { NULL } };
static const ComfyKey keys_fp8_block[] = { { "group_size", COMFY_KEY_GROUP, "block", 0, 1, 8, G_MAXINT32 }, { NULL } };
static const ComfyKey keys_int8_block[] = { { "group_size", COMFY_KEY_GROUP, "block", 0, 1, 1, G_MAXINT32 }, { NULL } };
/* The loader asks for these keys with these values (ComfyUI: comfy/quant_nf4.py). */
static const ComfyKey keys_nf4[] = { { .key = "shape", .type = COMFY_KEY_SHAPE },
                                     { "blocksize", COMFY_KEY_GROUP, "block", 0, 2, 32, 4096 },
                                     { .key = "dtype", .type = COMFY_KEY_TEXT, .option = "bfloat16" },
                                     { .key = "double_quant", .type = COMFY_KEY_FALSE },
                                     { NULL } };
/* clang-format off */
#define KEYS_BNB(word)                                                                                                \
  {                                                                                                                   \
    { "group_size", COMFY_KEY_GROUP, "block", 0, 2, 32, 4096 },                                                       \
        { .key = "quant_type", .type = COMFY_KEY_TEXT, .option = word }, { .key = "dtype", .type = COMFY_KEY_DTYPE }, \
        { .key = "shape", .type = COMFY_KEY_SHAPE }, { .key = COMFY_MAP, .type = COMFY_KEY_MAP },                     \
    {                                                                                                                 \
      NULL                                                                                                            \
    }                                                                                                                 \
  }
/* clang-format on */
static const ComfyKey keys_bnb_nf4[] = KEYS_BNB ("nf4");
static const ComfyKey keys_bnb_fp4[] = KEYS_BNB ("fp4");
static const ComfyKey keys_bnb_af4[] = KEYS_BNB ("af4");

/* If names or schemes repeat, the first row that suits counts. */
static const ComfyFormat formats[] = {
  { "nvfp4", "nvfp4", NULL, NULL, FALSE, 16, COMFY_FULL_TOLD, nvfp4, NULL, comfy_measure_matrix },
  { "mxfp8", "mxfp8", "hybrid", "off", FALSE, 32, COMFY_FULL_TOLD, mxfp8, NULL, comfy_measure_matrix },
  { "hybrid_mxfp8", "mxfp8", "hybrid", "on", TRUE, 32, COMFY_FULL_TOLD, hybrid_mxfp8, NULL, comfy_measure_matrix },
  { "float8_e4m3fn", "fp8", "dtype", "e4m3", FALSE, 0, COMFY_FULL_AUTO, fp8_e4m3, NULL, comfy_measure_matrix },
  { "float8_e5m2", "fp8", "dtype", "e5m2", FALSE, 0, COMFY_FULL_AUTO, fp8_e5m2, NULL, comfy_measure_matrix },
  { "float8_e4m3fn_rowwise", "fp8_row", NULL, NULL, TRUE, 0, COMFY_FULL_AUTO, fp8_row, NULL, comfy_measure_matrix },
  { "float8_e4m3fn_blockwise", "fp8_block", NULL, NULL, TRUE, 0, COMFY_FULL_AUTO, fp8_block, keys_fp8_block,
    comfy_measure_squares },
  { "int8_tensorwise", "int8", NULL, NULL, FALSE, 0, COMFY_FULL_NEVER, int8, keys_int8, comfy_measure_int8 },
  { "int8_blockwise", "int8_block", NULL, NULL, TRUE, 0, COMFY_FULL_NEVER, int8_block, keys_int8_block,
    comfy_measure_squares },
  { "convrot_w4a4", "convrot_w4a4", NULL, NULL, FALSE, 0, COMFY_FULL_NEVER, convrot_w4a4, keys_w4a4,
    comfy_measure_matrix },
  { "asym_w4a8_int8", "w4a8", NULL, NULL, FALSE, 0, COMFY_FULL_NEVER, w4a8, keys_w4a8, comfy_measure_w4a8 },
  { "asym_w4a8_int8", "w6a8", NULL, NULL, FALSE, 0, COMFY_FULL_NEVER, w6a8, keys_w4a8, comfy_measure_w4a8 },
  { "awq_w4a16", "awq", "centre", "8", FALSE, 0, COMFY_FULL_NEVER, awq, keys_awq, comfy_measure_awq },
  { "nf4", "nf4", "double-quant", "off", FALSE, 0, COMFY_FULL_NEVER, nf4, keys_nf4, comfy_measure_flat },
  { "bnb_nf4", "nf4", "double-quant", "off", TRUE, 0, COMFY_FULL_NEVER, bnb, keys_bnb_nf4, comfy_measure_flat },
  { "bnb_fp4", "fp4", "double-quant", "off", TRUE, 0, COMFY_FULL_NEVER, bnb, keys_bnb_fp4, comfy_measure_flat },
  { "bnb_af4", "af4", NULL, NULL, TRUE, 0, COMFY_FULL_NEVER, bnb, keys_bnb_af4, comfy_measure_flat },
};

const ComfyFormat *
comfy_format_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_str_equal (formats[i].name, name))
      return &formats[i];
  return NULL;
}

const ComfyFormat *
comfy_format_next (const ComfyFormat *f)
{
  gboolean last = f + 1 == formats + G_N_ELEMENTS (formats);

  return !last && g_str_equal (f[1].name, f->name) ? f + 1 : NULL;
}

static gboolean
suits (const ComfyFormat *f, const QconvLayer *layer)
{
  return g_str_equal (f->scheme, layer->scheme)
         && (f->option == NULL || g_strcmp0 (qconv_values_string (layer->values, f->option), f->value) == 0);
}

const ComfyFormat *
comfy_format_for (const QconvLayer *layer, gboolean extension)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (suits (&formats[i], layer) && formats[i].extension == extension)
      return &formats[i];
  return NULL;
}

const ComfyKey *
comfy_format_key (const ComfyFormat *f, const char *key)
{
  for (const ComfyKey *k = f->keys; k != NULL && k->key != NULL; k++)
    if (g_str_equal (k->key, key))
      return k;
  return NULL;
}
