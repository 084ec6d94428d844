/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a layer with a blank marker is, from the types and shapes of its tensors. */
#include "comfy.h"

#include "code-scale.h"

static gboolean
is_byte (const QconvTensor *t)
{
  return t->dtype == QCONV_U8 || t->dtype == QCONV_I8;
}

/* Returns: (nullable): the format whose codes are one a byte, beside floats */
static const char *
guess_by_scale (const QconvTensor *weight, const QconvTensor *scale)
{
  static const char *const names[][2] = { { "fp8_row", "float8_e4m3fn_rowwise" },
                                          { "fp8_block", "float8_e4m3fn_blockwise" },
                                          { "int8", "int8_tensorwise" },
                                          { "int8_block", "int8_blockwise" } };
  g_auto (QconvCodeScale) found = { NULL, NULL, NULL, NULL };

  qconv_code_scale (weight, scale, FALSE, &found);
  if (g_strcmp0 (found.scheme, "fp8") == 0)
    return weight->dtype == QCONV_F8_E5M2 ? "float8_e5m2" : "float8_e4m3fn";
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_strcmp0 (found.scheme, names[i][0]) == 0)
      return names[i][1];
  return NULL;
}

static const char *
guess_name (const QconvDirectory *d, const char *layer, const QconvTensor *weight)
{
  const QconvTensor *scale = qconv_directory_find2 (d, layer, ".weight_scale");
  gboolean byte_scale;

  if (is_byte (weight) && qconv_directory_find2 (d, layer, ".weight_s_rel") != NULL)
    return "asym_w4a8_int8";
  if (scale == NULL)
    return NULL;
  if (is_byte (weight)
      && (qconv_directory_find2 (d, layer, ".weight_zeros") != NULL
          || qconv_directory_find2 (d, layer, ".weight_zero") != NULL))
    return "awq_w4a16";
  byte_scale = is_byte (scale) || scale->dtype == QCONV_F8_E4M3 || scale->dtype == QCONV_F8_E8M0;
  if (weight->dtype == QCONV_U8 && byte_scale && qconv_directory_find2 (d, layer, ".weight_scale_2") != NULL)
    return "nvfp4";
  if (weight->dtype == QCONV_F8_E4M3 && byte_scale)
    return qconv_directory_find2 (d, layer, ".weight_scalar") != NULL ? "hybrid_mxfp8" : "mxfp8";
  return guess_by_scale (weight, scale);
}

const ComfyFormat *
comfy_format_guess (const QconvDirectory *d, const char *layer)
{
  const QconvTensor *weight = qconv_directory_find2 (d, layer, ".weight");
  const char *name = weight != NULL ? guess_name (d, layer, weight) : NULL;

  return name != NULL ? comfy_format_find (name) : NULL;
}
