/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ComfyUI: comfy/quant_ops.py QUANT_ALGOS, comfy/ops.py _load_quantized_module; comfy-kitchen: tensor/. */
#include "comfy.h"

#define IS(dtype) (1u << QCONV_##dtype)
#define FLOATS (IS (F32) | IS (F16) | IS (BF16))
#define WORDS (FLOATS | IS (F64))
#define BYTES (IS (U8) | IS (I8))
#define NO_MORE { .suffix = NULL }

static const ComfyMember nvfp4[] = {
  { ".weight", "codes", IS (U8), BYTES, COMFY_ANY, TRUE },
  { ".weight_scale", "block_scale", IS (F8_E4M3) | IS (U8), IS (F8_E4M3) | IS (U8), COMFY_SWIZZLED, TRUE },
  { ".weight_scale_2", "tensor_scale", IS (F32), FLOATS, COMFY_ONE, TRUE },
  { ".input_scale", "input_scale", WORDS, FLOATS, COMFY_ONE, FALSE },
  { ".pre_quant_scale", "pre_quant_scale", WORDS, FLOATS, COMFY_ANY, FALSE },
  NO_MORE,
};

static const ComfyMember mxfp8[] = {
  { ".weight", "codes", IS (F8_E4M3), IS (F8_E4M3) | IS (U8), COMFY_ANY, TRUE },
  { ".weight_scale", "block_scale", IS (U8), IS (U8) | IS (F8_E8M0) | IS (F8_E4M3), COMFY_SWIZZLED, TRUE },
  { ".input_scale", "input_scale", WORDS, WORDS, COMFY_ANY, FALSE },
  NO_MORE,
};

static const ComfyMember fp8_e4m3[] = {
  { ".weight", "codes", IS (F8_E4M3), IS (F8_E4M3), COMFY_ANY, TRUE },
  { ".weight_scale", "tensor_scale", IS (F32), WORDS, COMFY_ONE, TRUE },
  { ".input_scale", "input_scale", IS (F32), WORDS, COMFY_ONE, FALSE },
  NO_MORE,
};

static const ComfyMember fp8_e5m2[] = {
  { ".weight", "codes", IS (F8_E5M2), IS (F8_E5M2), COMFY_ANY, TRUE },
  { ".weight_scale", "tensor_scale", IS (F32), WORDS, COMFY_ONE, TRUE },
  { ".input_scale", "input_scale", IS (F32), WORDS, COMFY_ONE, FALSE },
  NO_MORE,
};

static const ComfyMember int8[] = {
  { ".weight", "codes", IS (I8), BYTES, COMFY_ANY, TRUE },
  { ".weight_scale", "scale", IS (F32), WORDS, COMFY_ONE_OR_ROWS, TRUE },
  NO_MORE,
};

static const ComfyMember convrot_w4a4[] = {
  { ".weight", "codes", IS (I8), BYTES, COMFY_ANY, TRUE },
  { ".weight_scale", "scale", IS (F32), WORDS, COMFY_ROWS, TRUE },
  NO_MORE,
};

static const ComfyMember w4a8[] = {
  { ".weight", "codes", IS (I8), BYTES, COMFY_ANY, TRUE },
  { ".weight_s_rel", "group_scale", IS (F8_E4M3) | IS (U8) | IS (F32), IS (F8_E4M3) | IS (U8) | IS (F32), COMFY_ANY,
    TRUE },
  { ".weight_s_channel", "row_scale", IS (F32), WORDS, COMFY_ROWS, TRUE },
  { ".weight_codebook", "codebook", IS (F32), WORDS, COMFY_ANY, FALSE },
  NO_MORE,
};

static const ComfyMember awq[] = {
  { ".weight", "codes", IS (I8), BYTES, COMFY_ANY, TRUE },
  { ".weight_scale", "scale", IS (F16) | IS (BF16), WORDS, COMFY_ANY, TRUE },
  { ".weight_zeros", "zero", IS (F16) | IS (BF16), WORDS, COMFY_ANY, TRUE },
  NO_MORE,
};

static const ComfyMember nf4[] = {
  { ".weight", "codes", IS (U8), BYTES, COMFY_ANY, TRUE },
  { ".weight_scale", "block_scale", IS (F32), WORDS, COMFY_ANY, TRUE },
  { ".weight_code", "codebook", IS (F32), WORDS, COMFY_ANY, TRUE },
  NO_MORE,
};

static const ComfyFormat formats[] = {
  { "nvfp4", "nvfp4", 2, 16, nvfp4 },
  { "mxfp8", "mxfp8", 1, 32, mxfp8 },
  { "float8_e4m3fn", "fp8", 1, 0, fp8_e4m3 },
  { "float8_e5m2", "fp8", 1, 0, fp8_e5m2 },
  { "int8_tensorwise", "int8", 1, 0, int8 },
  { "convrot_w4a4", "convrot_w4a4", 2, 0, convrot_w4a4 },
  { "asym_w4a8_int8", "w4a8", 2, 0, w4a8 },
  { "awq_w4a16", "awq", 2, 0, awq },
  { "nf4", "nf4", 2, 0, nf4 },
};
const ComfyFormat *const comfy_nvfp4 = &formats[0];

gboolean
comfy_knows_dtype (QconvDType dtype)
{
  return dtype != QCONV_OPAQUE && dtype != QCONV_F8_E8M0 && dtype < QCONV_U4;
}

const ComfyFormat *
comfy_format_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_str_equal (formats[i].name, name))
      return &formats[i];
  return NULL;
}
