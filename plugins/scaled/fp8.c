/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FP8 weights whose scales multiply the codes: one for the tensor, for each row, for blocks of any size, for experts
   (transformers: integrations/finegrained_fp8.py Fp8Dequantize). I8 with exponents are pairs of FP4 codes there. */
#include "fp8.h"

#include "fp8-claim.h"
#include "load-rows.h"
#include "quant-config.h"
#include "tensor-kind.h"

#define MX_BLOCK 32

void
scaled_read_block_size (const QconvDirectory *d, guint64 *block)
{
  g_autoptr (QuantConfig) config = quant_config_read (d, NULL, NULL);
  g_autoptr (GVariant) size = NULL;

  if (config->object != NULL)
    size = g_variant_lookup_value (config->object, "weight_block_size", G_VARIANT_TYPE ("av"));
  if (size == NULL || g_variant_n_children (size) != 2)
    return;
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GVariant) boxed = g_variant_get_child_value (size, i), side = g_variant_get_variant (boxed);

      if (g_variant_is_of_type (side, G_VARIANT_TYPE_INT64) && g_variant_get_int64 (side) > 0)
        block[i] = (guint64) g_variant_get_int64 (side);
    }
}

/* Returns: (transfer none) (nullable): the scale, if nothing else but scales of the input stands beside the codes. */
static const QconvTensor *
only_scale (const ScaledGroup *g)
{
  const QconvTensor *scale = NULL;

  for (guint i = 0; i < g->members->len; i++)
    {
      ScaledRole role = g_array_index (g->roles, ScaledRole, i);

      if (role == SCALED_INPUT)
        continue;
      if (role != SCALED_FACTOR || scale != NULL)
        return NULL;
      scale = g_ptr_array_index (g->members, i);
    }
  return scale != NULL
                 && (qconv_is_exponent (scale) || (qconv_dtype_is_float (scale->dtype) && scale->dtype != QCONV_F64))
             ? scale
             : NULL;
}

/* Leaves out the scales of the input: another scheme than that of the file has no place for them. */
static void
drop_inputs (const ScaledGroup *g, QconvClaims *claims)
{
  for (guint i = 0; i < g->members->len; i++)
    if (g_array_index (g->roles, ScaledRole, i) == SCALED_INPUT)
      qconv_claims_drop (claims, g_ptr_array_index (g->members, i));
}

/* Claims I8 codes with an exponent for every 16 of them. */
static gboolean
claim_pairs (const ScaledGroup *g, const QconvTensor *scale, QconvClaims *claims)
{
  const QconvShape *w = &g->codes->shape, *s = &scale->shape;
  QconvClaim *l;

  if (g->codes->dtype != QCONV_I8 || !qconv_is_exponent (scale) || w->rank != 2 || s->rank != 2
      || s->dim[0] != w->dim[0] || w->dim[0] == 0 || s->dim[1] == 0 || w->dim[1] % (MX_BLOCK / 2) != 0
      || w->dim[1] / (MX_BLOCK / 2) != s->dim[1])
    return FALSE;
  l = qconv_claims_layer (claims, g->layer, "mxfp4", NULL, w->dim[0], w->dim[1] * 2, QCONV_BF16);
  qconv_claim_bind (l, "codes", qconv_load_rows, g->codes, NULL);
  qconv_claim_bind (l, "block_scale", NULL, scale, NULL);
  return TRUE;
}

gboolean
scaled_claim_fp8 (const ScaledGroup *g, const guint64 *block, QconvClaims *claims, char **why)
{
  const QconvTensor *scale = only_scale (g);
  const QconvFp8 w = { g->layer, g->codes, scale, NULL, { block[0], block[1] } };

  if (scale == NULL || !(qconv_tensor_is_fp8 (g->codes) || g->codes->dtype == QCONV_I8))
    return FALSE;
  if (!qconv_tensor_is_fp8 (g->codes))
    {
      if (!claim_pairs (g, scale, claims))
        return FALSE;
    }
  else if (!qconv_claim_fp8 (claims, &w))
    {
      *why = g_strdup ("the scale is not one number, one for each row, or a grid of blocks");
      return FALSE;
    }
  drop_inputs (g, claims);
  return TRUE;
}
