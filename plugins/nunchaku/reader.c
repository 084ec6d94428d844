/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader: claims SVDQuant layers and the AWQ modulation layers beside them, and lists what loaders would refuse.
   Kind, rank and types come from the tensors; the metadata decide nothing. */
#include "nunchaku.h"

#include "check.h"
#include "load.h"
#include "packing.h"

#define SCORE 85

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return nunchaku_has_layers (d) ? SCORE : 0;
}

/* ---- Claiming ---- */

/* Returns whether the format adds the bias of @l: the projections "out_proj" and "mlp_fc2" of a single block of FLUX.1
   are the columns of one layer. The second has its bias; the first has zeros, so that every layer has one. */
static gboolean
is_added (const NunchakuLook *l)
{
  return nunchaku_name_added (l->name) && nunchaku_all_zero (l->members[NUNCHAKU_BIAS]);
}

/* Claims the bias as a plain tensor: loaders of plain weights want its items in order. The bias of the first half of a
   layer is added to that of the second if it is not zero. */
static void
claim_bias (const QconvDirectory *d, const NunchakuLook *l, QconvClaims *claims)
{
  const QconvTensor *bias = l->members[NUNCHAKU_BIAS], *halves[2], *added = NULL;
  gboolean raised = l->kind == NUNCHAKU_AWQ, computed;
  g_autofree char *name = g_strconcat (l->name, ".bias", NULL);
  g_autoptr (GBytes) data = raised ? nunchaku_chunk_data (l) : l->shifted ? nunchaku_shift_data (l) : NULL;
  QconvClaim *c;

  if (bias == NULL || qconv_claims_taken (claims, bias))
    return;
  if (is_added (l))
    {
      qconv_claims_drop (claims, bias);
      return;
    }
  if (nunchaku_bias_halves (d, l, halves) && !nunchaku_all_zero (halves[0]) && !qconv_claims_taken (claims, halves[0]))
    {
      if (halves[0] == bias)
        return;
      added = halves[0];
      qconv_claims_warn_each (claims, added->name, "bias",
                              "files of nunchaku have zeros for it; it is added to that of mlp_fc2");
    }
  computed = raised || l->shifted || added != NULL;
  c = qconv_claims_layer (claims, name, "plain", NULL, l->rows, 1, computed ? QCONV_F32 : bias->dtype);
  qconv_claim_shape (c, &QCONV_SHAPE1 (l->rows));
  qconv_claim_bind_data (c, "weight",
                         raised          ? nunchaku_load_awq_bias
                         : l->shifted    ? nunchaku_load_shifted_bias
                         : added != NULL ? nunchaku_load_bias_sum
                                         : nunchaku_load_bias,
                         data, bias, added, NULL);
  if (computed)
    qconv_claim_error (c, raised       ? nunchaku_awq_bias_error
                          : l->shifted ? nunchaku_shifted_bias_error
                                       : nunchaku_bias_sum_error);
  qconv_claim_cost (c, raised ? l->rows : NUNCHAKU_BLOCK, nunchaku_bias_scratch (l));
}

static void
bind (QconvClaim *c, const NunchakuLook *l, NunchakuMember member, const char *component, QconvLoadFunc load)
{
  if (l->members[member] != NULL)
    qconv_claim_bind (c, component, load, l->members[member], NULL);
}

static void
claim_svdq (const NunchakuLook *l, QconvClaims *claims)
{
  gboolean fp4 = l->kind == NUNCHAKU_FP4;
  g_autofree char *parameters
      = g_strdup_printf ("rank=%" G_GUINT64_FORMAT ",scale-dtype=%s", l->rank, l->half == QCONV_F16 ? "f16" : "bf16");
  QconvClaim *c = qconv_claims_layer (claims, l->name, fp4 ? nunchaku_svdq_fp4.id : nunchaku_svdq_int4.id, parameters,
                                      l->rows, l->cols, l->half);

  bind (c, l, NUNCHAKU_QWEIGHT, "codes", nunchaku_load_codes);
  if (fp4)
    bind (c, l, NUNCHAKU_WSCALES, "block_scale", nunchaku_load_block_scale);
  else
    bind (c, l, NUNCHAKU_WSCALES, "group_scale", nunchaku_load_numbers);
  bind (c, l, NUNCHAKU_WTSCALE, "tensor_scale", NULL);
  bind (c, l, NUNCHAKU_WCSCALES, "row_scale", nunchaku_load_numbers);
  bind (c, l, NUNCHAKU_SMOOTH, "smooth", nunchaku_load_numbers);
  bind (c, l, NUNCHAKU_SMOOTH_ORIG, "smooth_orig", nunchaku_load_numbers);
  bind (c, l, NUNCHAKU_DOWN, "lora_down", nunchaku_load_down);
  bind (c, l, NUNCHAKU_UP, "lora_up", nunchaku_load_up);
  qconv_claim_cost (c, NUNCHAKU_BLOCK, nunchaku_load_scratch (l));
}

static void
claim_awq (const NunchakuLook *l, QconvClaims *claims)
{
  g_autofree char *parameters = g_strdup_printf ("group=%d,centre=0,scale-dtype=%s", NUNCHAKU_GROUP_INT4,
                                                 l->half == QCONV_F16 ? "f16" : "bf16");
  g_autoptr (GBytes) chunks = nunchaku_chunk_data (l);
  QconvClaim *c = qconv_claims_layer (claims, l->name, "awq", parameters, l->rows, l->cols, l->half);

  qconv_claim_bind_data (c, "codes", nunchaku_load_awq_codes, chunks, l->members[NUNCHAKU_QWEIGHT], NULL);
  qconv_claim_bind_data (c, "scale", nunchaku_load_awq_scale, chunks, l->members[NUNCHAKU_WSCALES], NULL);
  qconv_claim_bind_data (c, "zero", nunchaku_load_awq_scale, chunks, l->members[NUNCHAKU_WZEROS], NULL);
  qconv_claim_cost (c, l->rows, nunchaku_load_scratch (l));
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  static const char *const keys[]
      = { "quantization_config", "comfy_config", "model_class", "full_config", "metadata_source", "enhanced_by" };
  g_autoptr (GPtrArray) looks = nunchaku_looks (d), own = g_ptr_array_new ();

  for (guint i = 0; i < looks->len; i++)
    {
      NunchakuLook *l = g_ptr_array_index (looks, i);

      if (l->members[NUNCHAKU_QWEIGHT] != NULL && qconv_claims_taken (claims, l->members[NUNCHAKU_QWEIGHT]))
        continue;
      if (l->troubles->len > 0)
        return qconv_trouble_fail (g_ptr_array_index (l->troubles, 0), error);
      if (l->kind == NUNCHAKU_AWQ)
        claim_awq (l, claims);
      else
        claim_svdq (l, claims);
      claim_bias (d, l, claims);
      g_ptr_array_add (own, l);
    }
  if (own->len == 0) /* other readers took all, so the metadata are not this form's */
    return TRUE;
  nunchaku_warn_of_metadata (d, own, claims);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    qconv_claims_drop_metadata (claims, keys[i]);
  return TRUE;
}

/* ---- Checking ---- */

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) looks = NULL;
  NunchakuFile file;

  if (score (self, d) == 0)
    return;
  looks = nunchaku_looks (d);
  for (guint i = 0; i < looks->len; i++)
    qconv_troubles_report (((const NunchakuLook *) g_ptr_array_index (looks, i))->troubles, problems);
  nunchaku_file_init (&file, d, looks);
  nunchaku_check_metadata (&file, problems);
  nunchaku_check_modules (&file, problems);
  nunchaku_check_numbers (d, looks, problems);
}

const QconvReader nunchaku_reader = {
  .id = "nunchaku",
  .summary = N_ ("SVDQuant files of nunchaku: W4A4 layers, and AWQ modulation layers"),
  .score = score,
  .claim = claim,
  .check = check,
};
