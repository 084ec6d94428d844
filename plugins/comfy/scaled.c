/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes beside a scale that no marker speaks of: the older FP8 files of ComfyUI and what other toolkits write. Taken
   for plain numbers they would come out wrong, so they are layers of a scheme, whether or not a plugin decodes it. */
#include "comfy.h"

#include <string.h>

#define UNKNOWN "unknown-scaled"

/* The first N_DECIDING say that a weight is scaled */
static const struct {
  const char *suffix, *component;
} members[] = {
  { ".weight_scale", "scale" },
  { ".scale_weight", "scale" },
  { ".weight_scale_inv", "scale" },
  { ".weight_scale_2", "second_scale" },
  { ".weight_zero_point", "zero" },
  { ".input_scale", "input_scale" },
  { ".scale_input", "input_scale" },
  { ".pre_quant_scale", "pre_quant_scale" },
};
#define N_DECIDING 3

/* Returns: (nullable): the codes that @scale belongs to; @layer is set then, else NULL */
static const QconvTensor *
scaled_weight (const QconvDirectory *d, const QconvTensor *scale, char **layer)
{
  *layer = NULL;
  for (guint i = 0; i < N_DECIDING; i++)
    if (g_str_has_suffix (scale->name, members[i].suffix))
      {
        *layer = g_strndup (scale->name, strlen (scale->name) - strlen (members[i].suffix));
        return qconv_directory_find2 (d, *layer, ".weight");
      }
  return NULL;
}

static gboolean
holds_codes (const QconvTensor *weight)
{
  return weight->dtype == QCONV_F8_E4M3 || weight->dtype == QCONV_F8_E5M2 || weight->dtype == QCONV_I8
         || weight->dtype == QCONV_U8;
}

gboolean
comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale)
{
  g_autofree char *layer = NULL;
  const QconvTensor *weight = scaled_weight (d, scale, &layer);

  return weight != NULL && holds_codes (weight);
}

/* One float for a matrix, or one a row, means the same everywhere; blocks and further scales do not */
static const char *
scheme_of (const QconvDirectory *d, const char *layer, const QconvTensor *weight, const QconvTensor *scale)
{
  guint64 n = 0;
  guint n_scales = 0;
  gboolean one = qconv_shape_items (&scale->shape, &n) && n == 1;
  gboolean rows = scale->shape.rank == 2 && scale->shape.dim[1] == 1 && weight->shape.rank == 2
                  && scale->shape.dim[0] == weight->shape.dim[0];

  for (guint i = 0; i < N_DECIDING; i++)
    n_scales += qconv_directory_find2 (d, layer, members[i].suffix) != NULL;
  if (n_scales > 1 || !qconv_dtype_is_float (scale->dtype) || weight->shape.rank != 2 || weight->dtype == QCONV_U8
      || qconv_directory_find2 (d, layer, ".weight_scale_2") != NULL
      || qconv_directory_find2 (d, layer, ".weight_zero_point") != NULL
      || qconv_directory_find2 (d, layer, ".pre_quant_scale") != NULL)
    return UNKNOWN;
  if (weight->dtype == QCONV_I8)
    return one || rows ? "int8" : UNKNOWN;
  return one ? "fp8" : UNKNOWN;
}

static void
claim_layer (const QconvDirectory *d, const char *layer, const QconvTensor *weight, const QconvTensor *scale,
             QconvClaims *claims)
{
  const char *scheme = scheme_of (d, layer, weight, scale);
  const char *name_of_scale = g_str_equal (scheme, "fp8") ? "tensor_scale" : "scale";
  guint64 rows = weight->shape.rank > 0 ? weight->shape.dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (&weight->shape, &items) && rows > 0 ? items / rows : 0;
  QconvClaim *l = qconv_claims_layer (claims, layer, scheme, NULL, rows, cols, QCONV_BF16);

  qconv_claim_shape (l, &weight->shape);
  qconv_claim_bind (l, "codes", NULL, weight, NULL);
  qconv_claim_bind (l, name_of_scale, NULL, scale, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      const QconvTensor *t = qconv_directory_find2 (d, layer, members[i].suffix);

      if (t != NULL && !qconv_claims_taken (claims, t))
        qconv_claim_bind (l, members[i].component, NULL, t, NULL);
    }
}

/* ComfyUI: comfy/utils.py convert_old_quants: "scaled_fp8" behind any prefix says that the file is scaled */
static void
drop_file_markers (const QconvDirectory *d, QconvClaims *claims)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const char *last = strrchr (t->name, '.');

      if (g_str_equal (last != NULL ? last + 1 : t->name, "scaled_fp8") && !qconv_claims_taken (claims, t))
        qconv_claims_drop (claims, t);
    }
}

void
comfy_claim_scaled (const QconvDirectory *d, QconvClaims *claims, GPtrArray *troubles)
{
  gboolean any = FALSE;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = scaled_weight (d, scale, &layer);

      if (weight == NULL || qconv_claims_taken (claims, weight) || qconv_claims_taken (claims, scale))
        continue;
      if (holds_codes (weight))
        {
          claim_layer (d, layer, weight, scale, claims);
          any = TRUE;
        }
      else if (qconv_dtype_is_float (weight->dtype))
        comfy_trouble (troubles, COMFY_WARN, layer, "scale-of-plain",
                       "%s belongs to no codes, the weight is %s and stays as it is",
                       scale->name + strlen (layer) + 1, qconv_dtype_name (weight->dtype));
    }
  if (any)
    drop_file_markers (d, claims);
}
