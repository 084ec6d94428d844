/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guesses the format of a layer from the types and shapes of its tensors. */
#include "guess.h"

#include "code-scale.h"

static gboolean
is_byte (const QconvTensor *t)
{
  return t->dtype == QCONV_U8 || t->dtype == QCONV_I8;
}

/* Returns: (nullable): the name of the format that codes of one byte and floats beside them make. */
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

static const ComfyKey *
key_of_type (const ComfyFormat *f, ComfyKeyType type)
{
  for (const ComfyKey *k = f->keys; k != NULL && k->key != NULL; k++)
    if (k->type == type)
      return k;
  return NULL;
}

char *
comfy_guess_rotation (const ComfyFormat *f, const QconvTensor *weight, const QconvValues *options, JsonObject *marker)
{
  const ComfyKey *rotation = key_of_type (f, COMFY_KEY_ROTATION), *rotated = key_of_type (f, COMFY_KEY_ROTATED);
  const char *said = options != NULL ? qconv_values_string (options, "unmarked-convrot") : "none";
  guint64 group = g_str_equal (said, "none") ? 0 : g_ascii_strtoull (said, NULL, 10);
  gboolean told = options != NULL && qconv_values_is_set (options, "unmarked-convrot");

  if (rotation == NULL)
    return g_strdup ("");
  /* Writers do not rotate a layer that the group does not divide, if the format allows that */
  if (rotated != NULL && group > 0 && (weight->shape.rank != 2 || weight->shape.dim[1] % group != 0))
    group = 0;
  if (group == 0)
    return rotated == NULL ? g_strdup_printf (", read as rotated in groups of %" G_GUINT64_FORMAT
                                              ", which no tensor shows; -o unmarked-convrot=GROUP changes that",
                                              rotation->fallback)
           : told          ? g_strdup (", not rotated")
                  : g_strdup (", read as not rotated, which no tensor shows; -o unmarked-convrot=GROUP changes that");
  if (rotated != NULL)
    json_object_set_boolean_member (marker, rotated->key, TRUE);
  json_object_set_int_member (marker, rotation->key, (gint64) group);
  return g_strdup_printf (", rotated in groups of %" G_GUINT64_FORMAT, group);
}
