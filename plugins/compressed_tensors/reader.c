/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of compressed-tensors: claims each layer in the scheme that holds its numbers, and warns where config.json
   says otherwise than the shapes. Its only plugin descriptor is here, too. */
#include <string.h>

#include "ct.h"
#include "fp8-claim.h"
#include "kv-scales.h"
#include "load-rows.h"

#define SCORE 85

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return ct_has_layers (d) ? SCORE : 0;
}

/* ---- Claiming ---- */

static GBytes *
packing_of (const CtLook *l)
{
  guint64 items = 0;
  CtPacking p = { .cols = l->cols, .group = l->group, .bits = l->bits, .padded = l->padded };

  p.groups = l->cols / l->group + (l->cols % l->group != 0);
  p.one = l->scale != NULL && qconv_shape_items (&l->scale->shape, &items) && items == 1;
  return g_bytes_new (&p, sizeof p);
}

static void
claim_integers (const CtLook *l, QconvClaims *claims)
{
  g_autofree char *parameters = g_strdup_printf ("bits=%u,group=%" G_GUINT64_FORMAT ",act-order=%s", l->bits, l->group,
                                                 l->index != NULL ? "on" : "off");
  QconvClaim *c = qconv_claims_layer (claims, l->layer, "gptq", parameters, l->rows, l->cols, QCONV_BF16);
  g_autoptr (GBytes) packing = packing_of (l);
  gboolean packed = l->kind == CT_PACKED;

  qconv_claim_bind_data (c, "codes", packed ? ct_load_packed : ct_load_bytes, packing, l->codes, NULL);
  qconv_claim_bind_data (c, "scale", ct_load_scale, packing, l->scale, NULL);
  if (l->zero != NULL)
    qconv_claim_bind_data (c, "zero", packed ? ct_load_packed_zero : ct_load_byte_zero, packing, l->zero, NULL);
  else
    qconv_claim_bind_data (c, "zero", ct_load_middle, packing, NULL, NULL);
  if (l->index != NULL)
    qconv_claim_bind_data (c, "group_index", ct_load_index, packing, l->index, NULL);
  /* 32 rows of zeros share words */
  qconv_claim_cost (c, packed && l->zero != NULL ? MIN (32, l->rows) : 1,
                    ct_load_scratch (l->codes->n_bytes / l->rows));
}

/* Claims I8 codes with one scale, or one for each row, as int8, else as gptq. */
static void
claim_bytes (const CtLook *l, QconvClaims *claims)
{
  guint64 items = 0;
  gboolean one = qconv_shape_items (&l->scale->shape, &items) && items == 1;
  QconvClaim *c;

  if (l->zero != NULL || l->group != l->cols)
    {
      claim_integers (l, claims);
      return;
    }
  c = qconv_claims_layer (claims, l->layer, "int8", one ? "scaling=tensor" : "scaling=row", l->rows, l->cols,
                          QCONV_BF16);
  qconv_claim_bind (c, "codes", NULL, l->codes, NULL);
  qconv_claim_bind (c, one ? "tensor_scale" : "row_scale", NULL, l->scale, NULL);
}

static void
claim_nvfp4 (const CtLook *l, QconvClaims *claims)
{
  QconvClaim *c = qconv_claims_layer (claims, l->layer, "nvfp4_divided", NULL, l->rows, l->cols, QCONV_BF16);

  qconv_claim_bind (c, "codes", qconv_load_rows, l->codes, NULL);
  qconv_claim_bind (c, "block_scale", NULL, l->scale, NULL);
  qconv_claim_bind (c, "tensor_scale", NULL, l->global, NULL);
}

/* Claims MXFP4, or MXFP6 as mxfp8: E4M3 has all numbers of E2M3. */
static void
claim_mx (const CtLook *l, QconvClaims *claims)
{
  gboolean six = l->kind == CT_MXFP6;
  QconvClaim *c = qconv_claims_layer (claims, l->layer, six ? "mxfp8" : "mxfp4", NULL, l->rows, l->cols, QCONV_BF16);
  g_autoptr (GBytes) packing = packing_of (l);

  if (six)
    qconv_claim_bind_data (c, "codes", ct_load_sixes, packing, l->codes, NULL);
  else
    qconv_claim_bind (c, "codes", qconv_load_rows, l->codes, NULL);
  qconv_claim_bind (c, "block_scale", NULL, l->scale, NULL);
  qconv_claim_cost (c, 1, six ? ct_load_scratch (l->codes->n_bytes / l->rows) : 0);
}

/* Claims FP8, whose scale of the input has the meaning that the schemes give it. */
static gboolean
claim_float (const CtLook *l, const CtGroup *said, QconvClaims *claims, GError **error)
{
  guint64 one = 0;
  gboolean input = l->input != NULL && qconv_dtype_is_float (l->input->dtype) && l->input->dtype != QCONV_F64
                   && qconv_shape_items (&l->input->shape, &one) && one == 1;
  QconvFp8 w = { l->layer, l->codes, l->scale, input ? l->input : NULL, { 0, 0 } };

  if (said != NULL && said->block[0] > 0)
    memcpy (w.block, said->block, sizeof w.block);
  else if (said != NULL && said->group > 0)
    w.block[1] = (guint64) said->group;
  return qconv_claim_fp8 (claims, &w)
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "layer \"%s\": weight_scale is not one number, one for each row, or a grid of blocks",
                        l->layer);
}

/* Leaves out what only loaders of the format use. */
static void
drop_rest (const CtLook *l, QconvClaims *claims)
{
  const QconvTensor *const rest[] = { l->shape, l->input, l->input_global, l->input_zero };

  for (guint i = 0; i < G_N_ELEMENTS (rest); i++)
    if (rest[i] != NULL && !qconv_claims_taken (claims, rest[i]))
      qconv_claims_drop (claims, rest[i]);
}

static gboolean
claim_layer (const CtLook *l, const CtGroup *said, QconvClaims *claims, GError **error)
{
  switch (l->kind)
    {
    case CT_PACKED:
      claim_integers (l, claims);
      break;
    case CT_INT:
      claim_bytes (l, claims);
      break;
    case CT_NVFP4:
      claim_nvfp4 (l, claims);
      break;
    case CT_MXFP4:
    case CT_MXFP6:
      claim_mx (l, claims);
      break;
    default:
      if (!claim_float (l, said, claims, error))
        return FALSE;
    }
  drop_rest (l, claims);
  return TRUE;
}

/* ---- Against config.json ---- */

static gboolean
is_general (const char *format)
{
  return format == NULL || g_str_equal (format, "naive-quantized") || g_str_equal (format, "mixed-precision")
         || g_str_equal (format, "dense");
}

/* Warns of each kind of disagreement once. The tensors count. */
static void
compare (const CtLook *l, const CtConfig *config, const CtGroup *said, QconvClaims *claims)
{
  const char *file = ct_config_file (config);

  if (ct_config_ignores (config, l->layer))
    qconv_claims_warn_each (claims, l->layer, "config-ignore", "%s lists it in ignore, but it is quantized", file);
  if (said == NULL)
    return;
  if (!is_general (said->format) && !g_str_equal (said->format, ct_kind_name (l->kind)))
    qconv_claims_warn_each (claims, l->layer, "config-format", "%s says %.40s, but its tensors are those of %s", file,
                            said->format, ct_kind_name (l->kind));
  /* INT stores fewer bits in bytes, too */
  if (said->bits > 0 && said->bits != l->bits && l->kind != CT_INT)
    qconv_claims_warn_each (claims, l->layer, "config-bits",
                            "%s says %" G_GINT64_FORMAT " bits, but its tensors have %u", file, said->bits, l->bits);
  if (said->group > 0 && l->group > 0 && (guint64) said->group != l->group
      && !((guint64) said->group > l->cols && l->group == l->cols))
    qconv_claims_warn_each (claims, l->layer, "config-group",
                            "%s says groups of %" G_GINT64_FORMAT ", but its tensors have groups of %" G_GUINT64_FORMAT,
                            file, said->group, l->group);
}

static void
warn_of_file (gpointer data, const char *file, const char *why)
{
  qconv_claims_warn (data, "%s is not used: %s", file, why);
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (CtConfig) config = ct_config_read (d, warn_of_file, claims);
  /* A reader without a score claims only because the user forces it */
  gboolean ours = ct_config_ours (config) || !ct_has_layers (d);
  g_autoptr (GPtrArray) looks = ct_looks (d, config, ours, claims);

  for (guint i = 0; i < looks->len; i++)
    {
      const CtLook *l = g_ptr_array_index (looks, i);
      const QconvTrouble *fatal = qconv_troubles_fatal (l->troubles);
      const CtGroup *said = ct_config_group (config, l->layer);

      if (fatal != NULL)
        return qconv_trouble_fail (fatal, error);
      compare (l, config, said, claims);
      if (!claim_layer (l, said, claims, error))
        return FALSE;
    }
  if (looks->len > 0)
    qconv_drop_kv_scales (d, claims);
  return TRUE;
}

/* ---- Checking ---- */

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (CtConfig) config = NULL;
  g_autoptr (GPtrArray) looks = NULL;

  if (!ct_has_layers (d))
    return;
  config = ct_config_read (d, NULL, NULL);
  looks = ct_looks (d, config, ct_config_ours (config), NULL);
  for (guint i = 0; i < looks->len; i++)
    qconv_troubles_report (((const CtLook *) g_ptr_array_index (looks, i))->troubles, problems);
}

static const QconvReader reader = {
  .id = "compressed-tensors",
  .summary = N_ ("layers of compressed-tensors, as llm-compressor writes them"),
  .score = score,
  .claim = claim,
  .check = check,
};

QCONV_PLUGIN_DEFINE (compressed_tensors, .summary = N_ ("layers of compressed-tensors"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE, .readers = (const QconvReader *const[]) { &reader, NULL })
