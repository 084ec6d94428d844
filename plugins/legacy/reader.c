/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader: claims weights with a scale_weight, and lists the problems that ComfyUI would have. */
#include "legacy.h"

#include <string.h>

#include "code-scale.h"
#include "finite.h"
#include "tensor-kind.h"

static gboolean
holds_codes (const QconvTensor *t)
{
  return qconv_tensor_is_fp8 (t) || t->dtype == QCONV_I8;
}

/* Returns: (transfer none) (nullable): the weight beside @t if the name of @t ends in @suffix. @layer: (transfer full)
   (nullable): the name before @suffix */
static const QconvTensor *
weight_beside (const QconvDirectory *d, const QconvTensor *t, const char *suffix, char **layer)
{
  *layer = NULL;
  if (!g_str_has_suffix (t->name, suffix))
    return NULL;
  *layer = g_strndup (t->name, strlen (t->name) - strlen (suffix));
  return qconv_directory_find2 (d, *layer, ".weight");
}

/* Scores a file. As in ComfyUI, a file is not of the older form if its header names quantized layers. */
static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  if (qconv_directory_metadata (d, LEGACY_HEADER) != NULL)
    return 0;
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = weight_beside (d, t, LEGACY_SCALE, &layer);

      if (legacy_is_marker (t) || (weight != NULL && holds_codes (weight)))
        return 80;
    }
  return 0;
}

/* One run of claim() */
typedef struct {
  const QconvDirectory *directory;
  QconvClaims *claims;
} Reading;

static void
hint_precision (Reading *r, const char *layer, QconvClaim *l)
{
  const QconvTensor *marker = legacy_find_marker (r->directory, layer);

  if (marker != NULL)
    qconv_claim_hint (l, LEGACY_FULL_PRECISION, qconv_tensor_items (marker) == LEGACY_FULL ? "true" : "false");
  else
    qconv_claims_warn_each (r->claims, layer, "unmarked",
                            "is scaled, but the file has no marker " LEGACY_MARKER "; ComfyUI would not scale it");
}

/* Binds the scale of the input if the scheme has one (@wanted), else drops it. A scale of 1 is kept, too. */
static void
take_input (Reading *r, const char *layer, QconvClaim *l, gboolean wanted)
{
  const QconvTensor *input = qconv_directory_find2 (r->directory, layer, LEGACY_INPUT);

  if (input == NULL || qconv_claims_taken (r->claims, input))
    return;
  if (wanted && qconv_tensor_items (input) == 1 && qconv_dtype_is_float (input->dtype) && input->dtype != QCONV_F64)
    {
      qconv_claim_bind (l, "input_scale", NULL, input, NULL);
      return;
    }
  qconv_claims_drop (r->claims, input);
  if (wanted)
    qconv_claims_warn_each (r->claims, input->name, "input-scale", "is dropped: a scale of inputs is one float");
}

/* Claims the layer, or leaves it to the reader scaled if the scale fits no scheme. */
static void
claim_layer (Reading *r, const char *layer, const QconvTensor *weight, const QconvTensor *scale)
{
  const QconvTensor *bias = qconv_directory_find2 (r->directory, layer, ".bias");
  g_auto (QconvCodeScale) found = { NULL, NULL, NULL, NULL };
  QconvClaim *l;

  if (qconv_directory_find2 (r->directory, layer, ".weight_scale") == NULL)
    qconv_code_scale (weight, scale, TRUE, &found);
  if (found.scheme == NULL)
    return;
  l = qconv_claims_layer (r->claims, layer, found.scheme, found.parameters, weight->shape.dim[0], weight->shape.dim[1],
                          bias != NULL && bias->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16);
  qconv_claim_bind (l, "codes", NULL, weight, NULL);
  qconv_claim_bind (l, found.component, found.load, scale, NULL);
  take_input (r, layer, l, !g_str_equal (found.scheme, "int8"));
  hint_precision (r, layer, l);
}

/* Drops scales beside weights that were never quantized, which ComfyUI would round to E4M3, and scales without a
   weight. */
static void
drop_dummies (Reading *r)
{
  static const char *const suffixes[] = { LEGACY_SCALE, LEGACY_INPUT };

  for (guint i = 0; i < qconv_directory_n_tensors (r->directory); i++)
    for (guint j = 0; j < G_N_ELEMENTS (suffixes); j++)
      {
        const QconvTensor *t = qconv_directory_tensor (r->directory, i);
        g_autofree char *layer = NULL;
        const QconvTensor *weight = weight_beside (r->directory, t, suffixes[j], &layer);
        gboolean scaled = layer != NULL && qconv_directory_find2 (r->directory, layer, LEGACY_SCALE) != NULL;
        gboolean plain = weight != NULL && !qconv_claims_taken (r->claims, weight)
                         && (qconv_dtype_is_float (weight->dtype) || (qconv_tensor_is_fp8 (weight) && !scaled));

        if (layer == NULL || qconv_claims_taken (r->claims, t) || (weight != NULL && !plain))
          continue;
        qconv_claims_drop (r->claims, t);
        if (!plain)
          qconv_claims_warn_each (r->claims, t->name, "lone-scale", "is dropped: there is no weight for it");
        else if (j == 0)
          qconv_claims_warn_each (r->claims, t->name, "idle-scale",
                                  "is dropped: its weight is not quantized, and stays as it is");
      }
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  Reading r = { .directory = d, .claims = claims };

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = weight_beside (d, scale, LEGACY_SCALE, &layer);

      if (legacy_is_marker (scale) && !qconv_claims_taken (claims, scale))
        qconv_claims_drop (claims, scale);
      if (weight != NULL && holds_codes (weight) && !qconv_claims_taken (claims, weight)
          && !qconv_claims_taken (claims, scale))
        claim_layer (&r, layer, weight, scale);
    }
  drop_dummies (&r);
  return TRUE;
}

/* ---- Checking ---- */

static void
check_scale (const QconvTensor *t, const char *layer, const char *suffix, QconvSign sign, QconvProblems *problems)
{
  if (qconv_tensor_items (t) != 1)
    qconv_problems_add (problems, layer, "scale-shape", "%s is not one number", suffix + 1);
  if (t->dtype != QCONV_F32)
    qconv_problems_add (problems, layer, "dtype", "%s is %s instead of F32", suffix + 1, qconv_dtype_name (t->dtype));
  if (qconv_dtype_is_float (t->dtype) && !qconv_tensor_is_finite (t, sign))
    qconv_problems_add (problems, layer, "scale-value", "%s holds an invalid scale", suffix + 1);
}

static void
check_layer (const QconvDirectory *d, const char *layer, const QconvTensor *weight, const QconvTensor *scale,
             QconvProblems *problems)
{
  const QconvTensor *input = qconv_directory_find2 (d, layer, LEGACY_INPUT);

  check_scale (scale, layer, LEGACY_SCALE, QCONV_SIGN_NOT_NEGATIVE, problems);
  if (input != NULL)
    check_scale (input, layer, LEGACY_INPUT, QCONV_SIGN_POSITIVE, problems);
  if (weight->dtype != QCONV_F8_E4M3)
    qconv_problems_add (problems, layer, "dtype", "the weight is %s, which ComfyUI rounds to E4M3",
                        qconv_dtype_name (weight->dtype));
  if (weight->shape.rank != 2)
    qconv_problems_add (problems, layer, "weight-shape", "the weight is not a matrix");
  if (legacy_find_marker (d, layer) == NULL)
    qconv_problems_add (problems, layer, "no-marker", "its scale has no effect without " LEGACY_MARKER);
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  if (score (self, d) == 0)
    return;
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = weight_beside (d, scale, LEGACY_SCALE, &layer);

      if (weight != NULL)
        check_layer (d, layer, weight, scale, problems);
      else if (layer != NULL)
        qconv_problems_add (problems, layer, "missing", "%s.weight is missing", layer);
    }
}

const QconvReader legacy_reader = {
  .id = "legacy",
  .summary = N_ ("scaled FP8 with scale_weight and the marker scaled_fp8"),
  .score = score,
  .claim = claim,
  .check = check,
};
