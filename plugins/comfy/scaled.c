/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes beside a scale that no marker speaks of, which other toolkits write. Taken for plain numbers they would come
   out wrong, so they are layers of a scheme, whether or not a plugin decodes it. */
#include "comfy.h"

#include <string.h>

#include "code-scale.h"

#define UNKNOWN "unknown-scaled"

/* The first N_DECIDING say that a weight is scaled. OLD ones are those of the older form */
static const struct {
  const char *suffix, *component;
  gboolean old, orphan;
} members[] = {
  { ".weight_scale", "scale", FALSE, TRUE },      { ".scale_weight", "scale", TRUE, TRUE },
  { ".weight_scale_inv", "scale", FALSE, TRUE },  { ".weight_scale_2", "second_scale", FALSE, TRUE },
  { ".weight_zero_point", "zero", FALSE, FALSE }, { ".input_scale", "input_scale", FALSE, TRUE },
  { ".scale_input", "input_scale", TRUE, TRUE },  { ".pre_quant_scale", "pre_quant_scale", FALSE, FALSE },
};
#define N_DECIDING 3

/* Returns: row of members[] for @t, G_N_ELEMENTS (members) where there is none; @layer is set then, else NULL */
static guint
find_member (const QconvTensor *t, char **layer)
{
  guint i = 0;

  *layer = NULL;
  while (i < G_N_ELEMENTS (members) && !g_str_has_suffix (t->name, members[i].suffix))
    i++;
  if (i < G_N_ELEMENTS (members))
    *layer = g_strndup (t->name, strlen (t->name) - strlen (members[i].suffix));
  return i;
}

/* Returns: (nullable): the codes that @scale belongs to; @layer is set then, else NULL or not */
static const QconvTensor *
scaled_weight (const QconvDirectory *d, const QconvTensor *scale, gboolean old_too, char **layer)
{
  guint i = find_member (scale, layer);

  return i < N_DECIDING && (old_too || !members[i].old) ? qconv_directory_find2 (d, *layer, ".weight") : NULL;
}

static gboolean
is_fp8 (const QconvTensor *weight)
{
  return weight->dtype == QCONV_F8_E4M3 || weight->dtype == QCONV_F8_E5M2;
}

static gboolean
holds_codes (const QconvTensor *weight)
{
  return is_fp8 (weight) || weight->dtype == QCONV_I8 || weight->dtype == QCONV_U8;
}

gboolean
comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale)
{
  g_autofree char *layer = NULL;
  const QconvTensor *weight = scaled_weight (d, scale, TRUE, &layer);

  return weight != NULL && holds_codes (weight);
}

gboolean
comfy_is_orphan (const QconvDirectory *d, const QconvTensor *scale)
{
  g_autofree char *layer = NULL;
  guint i = find_member (scale, &layer);
  const QconvTensor *weight = layer != NULL ? qconv_directory_find2 (d, layer, ".weight") : NULL;

  return weight != NULL && members[i].orphan && (qconv_dtype_is_float (weight->dtype) || is_fp8 (weight));
}

/* What is beside the codes that weight_scale does not explain */
static gboolean
is_more (const QconvDirectory *d, const char *layer, const QconvTensor *scale)
{
  static const char *const others[] = { ".weight_scale_2", ".weight_zero_point", ".pre_quant_scale" };
  guint n_scales = 0;

  for (guint i = 0; i < N_DECIDING; i++)
    n_scales += qconv_directory_find2 (d, layer, members[i].suffix) != NULL;
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    n_scales += qconv_directory_find2 (d, layer, others[i]) != NULL;
  return n_scales > 1 || !g_str_has_suffix (scale->name, ".weight_scale");
}

static void
claim_known (const QconvDirectory *d, const char *layer, const QconvTensor *weight, const QconvTensor *scale,
             const QconvCodeScale *found, QconvClaims *claims)
{
  const QconvTensor *input = qconv_directory_find2 (d, layer, ".input_scale");
  QconvClaim *l = qconv_claims_layer (claims, layer, found->scheme, found->parameters, weight->shape.dim[0],
                                      weight->shape.dim[1], QCONV_BF16);

  qconv_claim_bind (l, "codes", NULL, weight, NULL);
  qconv_claim_bind (l, found->component, found->load, scale, NULL);
  if (input != NULL && !g_str_equal (found->scheme, "int8"))
    qconv_claim_bind (l, "input_scale", NULL, input, NULL);
  else if (input != NULL)
    qconv_claims_drop (claims, input);
}

static void
claim_unknown (const QconvDirectory *d, const char *layer, const QconvTensor *weight, QconvClaims *claims)
{
  guint64 rows = weight->shape.rank > 0 ? weight->shape.dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (&weight->shape, &items) && rows > 0 ? items / rows : 0;
  QconvClaim *l = qconv_claims_layer (claims, layer, UNKNOWN, NULL, rows, cols, QCONV_BF16);

  qconv_claim_shape (l, &weight->shape);
  qconv_claim_bind (l, "codes", NULL, weight, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      const QconvTensor *t = qconv_directory_find2 (d, layer, members[i].suffix);

      if (t != NULL && !qconv_claims_taken (claims, t))
        qconv_claim_bind (l, members[i].component, NULL, t, NULL);
    }
}

static void
claim_codes (const QconvDirectory *d, const char *layer, const QconvTensor *weight, const QconvTensor *scale,
             QconvClaims *claims, GPtrArray *troubles)
{
  g_auto (QconvCodeScale) found = { NULL, NULL, NULL, NULL };

  if (!is_more (d, layer, scale))
    qconv_code_scale (weight, scale, FALSE, &found);
  if (found.scheme == NULL)
    {
      claim_unknown (d, layer, weight, claims);
      return;
    }
  claim_known (d, layer, weight, scale, &found, claims);
  comfy_trouble (troubles, COMFY_WARN, layer, "no-marker", "the marker is missing; its scale makes %s of it",
                 found.scheme);
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
comfy_claim_scaled (const QconvDirectory *d, gboolean old_too, QconvClaims *claims, GPtrArray *troubles)
{
  gboolean any = FALSE;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = scaled_weight (d, scale, old_too, &layer);

      if (weight == NULL || !holds_codes (weight) || qconv_claims_taken (claims, weight)
          || qconv_claims_taken (claims, scale))
        continue;
      claim_codes (d, layer, weight, scale, claims, troubles);
      any = TRUE;
    }
  if (any && old_too)
    drop_file_markers (d, claims);
}

void
comfy_drop_orphans (const QconvDirectory *d, gboolean old_too, QconvClaims *claims, GPtrArray *troubles)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      guint row = find_member (scale, &layer);
      const QconvTensor *weight = layer != NULL ? qconv_directory_find2 (d, layer, ".weight") : NULL;

      if (weight == NULL || !comfy_is_orphan (d, scale) || (members[row].old && !old_too)
          || qconv_claims_taken (claims, weight) || qconv_claims_taken (claims, scale))
        continue;
      qconv_claims_drop (claims, scale);
      comfy_trouble (troubles, COMFY_WARN, layer, "orphan", "%s is dropped: the weight is %s and stays as it is",
                     members[row].suffix + 1, qconv_dtype_name (weight->dtype));
    }
}
