/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of ModelOpt: claims each layer in the scheme that holds its numbers, and warns where the configuration
   says otherwise than the shapes. The plugin's descriptor is here, too. */
#include <string.h>

#include "fp8-claim.h"
#include "kv-scales.h"
#include "load-rows.h"
#include "modelopt.h"

#define SCORE 85
/* The middle of 4-bit codes: qconv stores them without sign. */
#define MIDDLE 8
/* Bytes of INT4 codes that are read at once, unless a pair of rows has more. */
#define STRETCH 65536

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return mo_has_layers (d) ? SCORE : 0;
}

/* ---- INT4 ---- */

/* Returns the bytes of the pairs of rows that are read at once. */
static gsize
int4_scratch (guint64 cols)
{
  return (gsize) (MAX (STRETCH / cols, 1) * cols);
}

/* Stores one of the two rows that @pair holds. */
static void
store_row (const guint8 *pair, guint shift, guint64 cols, guint8 *dst)
{
  for (guint64 c = 0; c + 1 < cols; c += 2)
    dst[c / 2] = (guint8) (((pair[c] >> shift & 15) | (pair[c + 1] >> shift & 15) << 4) ^ (MIDDLE << 4 | MIDDLE));
  if (cols % 2 != 0)
    dst[cols / 2] = (pair[cols - 1] >> shift & 15) ^ MIDDLE;
}

/* Loads codes: a byte holds two rows, the even one low (modelopt: export/quant_utils.py pack_int4_in_uint8). */
static gboolean
load_int4 (const QconvLoad *load, GError **error)
{
  guint64 cols = load->layer->cols, end = load->first + load->n, at_once = int4_scratch (cols) / cols;
  g_autofree guint8 *bytes = g_malloc (at_once * cols);

  for (guint64 pair = load->first / 2; pair * 2 < end; pair += at_once)
    {
      guint64 n = MIN (at_once, (end + 1) / 2 - pair);

      if (!qconv_tensor_read (load->tensors[0], pair * cols, (gsize) (n * cols), bytes, error))
        return FALSE;
      for (guint64 row = MAX (pair * 2, load->first); row < MIN ((pair + n) * 2, end); row++)
        store_row (bytes + (row / 2 - pair) * cols, row % 2 * 4, cols,
                   (guint8 *) load->dst + (row - load->first) * (cols / 2 + cols % 2));
    }
  return TRUE;
}

static gboolean
load_middle (const QconvLoad *load, GError **error)
{
  gint16 *dst = load->dst;

  for (guint64 i = 0; i < load->n * load->component->shape.dim[1]; i++)
    dst[i] = MIDDLE;
  return TRUE;
}

static QconvClaim *
claim_int4 (const MoLook *l, QconvClaims *claims)
{
  g_autofree char *parameters = g_strdup_printf ("bits=4,group=%" G_GUINT64_FORMAT, l->group);
  QconvClaim *c = qconv_claims_layer (claims, l->layer, "gptq", parameters, l->rows, l->cols, QCONV_BF16);

  qconv_claim_bind (c, "codes", load_int4, l->codes, NULL);
  qconv_claim_bind (c, "scale", NULL, l->scale, NULL);
  qconv_claim_bind (c, "zero", load_middle, NULL, NULL);
  qconv_claim_cost (c, 2, int4_scratch (l->cols));
  return c;
}

/* ---- All others ---- */

static QconvClaim *
claim_nvfp4 (const MoLook *l, QconvClaims *claims)
{
  QconvClaim *c = qconv_claims_layer (claims, l->layer, "nvfp4", NULL, l->rows, l->cols, QCONV_BF16);

  qconv_claim_bind (c, "codes", qconv_load_rows, l->codes, NULL);
  qconv_claim_bind (c, "block_scale", NULL, l->scale, NULL);
  qconv_claim_bind (c, "tensor_scale", NULL, l->second, NULL);
  if (l->input != NULL)
    qconv_claim_bind (c, "input_scale", NULL, l->input, NULL);
  return c;
}

static QconvClaim *
claim_mxfp4 (const MoLook *l, QconvClaims *claims)
{
  QconvClaim *c = qconv_claims_layer (claims, l->layer, "mxfp4", NULL, l->rows, l->cols, QCONV_BF16);

  qconv_claim_bind (c, "codes", qconv_load_rows, l->codes, NULL);
  qconv_claim_bind (c, "block_scale", qconv_load_rows, l->scale, NULL);
  return c;
}

static gboolean
claim_layer (const MoLook *l, guint64 block, QconvClaims *claims, GError **error)
{
  const QconvFp8 fp8 = { l->layer, l->codes, l->scale, l->input, { block, block } };
  QconvClaim *c;

  if (l->kind == MO_FP8 || l->kind == MO_MXFP8)
    return qconv_claim_fp8 (claims, &fp8)
           || qconv_fail (error, QCONV_ERROR_INPUT,
                          "layer \"%s\": weight_scale is not one number, one for each row, or a grid of blocks",
                          l->layer);
  c = l->kind == MO_NVFP4   ? claim_nvfp4 (l, claims)
      : l->kind == MO_MXFP4 ? claim_mxfp4 (l, claims)
                            : claim_int4 (l, claims);
  if (l->pre != NULL)
    qconv_claim_bind (c, "pre_quant_scale", NULL, l->pre, NULL);
  if (l->input != NULL && !qconv_claims_taken (claims, l->input))
    qconv_claims_drop (claims, l->input);
  return TRUE;
}

/* Warns of each kind of disagreement once. The tensors count. */
static void
compare (const MoLook *l, const MoConfig *config, const char *algorithm, gint64 group, QconvClaims *claims)
{
  static const char *const words[] = { "NVFP4", "FP8", "MXFP8", "MXFP4", "AWQ" };
  const char *file = mo_config_file (config);

  if (mo_config_excludes (config, l->layer))
    qconv_claims_warn_each (claims, l->layer, "config-ignore", "%s excludes it, but it is quantized", file);
  if (algorithm != NULL && strstr (algorithm, words[l->kind]) == NULL)
    qconv_claims_warn_each (claims, l->layer, "config-format", "%s says %.40s, but its tensors are those of %s", file,
                            algorithm, words[l->kind]);
  if (group > 0 && l->group > 0 && (guint64) group != l->group)
    qconv_claims_warn_each (claims, l->layer, "config-group",
                            "%s says groups of %" G_GINT64_FORMAT ", but its tensors have groups of %" G_GUINT64_FORMAT,
                            file, group, l->group);
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
  g_autoptr (MoConfig) config = mo_config_read (d, warn_of_file, claims);
  g_autoptr (GPtrArray) looks = mo_looks (d, claims);

  for (guint i = 0; i < looks->len; i++)
    {
      const MoLook *l = g_ptr_array_index (looks, i);
      const QconvTrouble *fatal = qconv_troubles_fatal (l->troubles);
      gint64 group = 0;
      g_autofree char *algorithm = mo_config_algorithm (config, l->layer, &group);

      if (fatal != NULL)
        return qconv_trouble_fail (fatal, error);
      compare (l, config, algorithm, group, claims);
      if (!claim_layer (l, (guint64) MAX (group, 0), claims, error))
        return FALSE;
    }
  if (looks->len > 0)
    qconv_drop_kv_scales (d, claims);
  return TRUE;
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) looks = NULL;

  if (!mo_has_layers (d))
    return;
  looks = mo_looks (d, NULL);
  for (guint i = 0; i < looks->len; i++)
    qconv_troubles_report (((const MoLook *) g_ptr_array_index (looks, i))->troubles, problems);
}

static const QconvReader reader = {
  .id = "modelopt",
  .summary = N_ ("layers of NVIDIA's ModelOpt, with its hf_quant_config.json"),
  .score = score,
  .claim = claim,
  .check = check,
};

QCONV_PLUGIN_DEFINE (modelopt, .summary = N_ ("layers of NVIDIA's ModelOpt"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE, .readers = (const QconvReader *const[]) { &reader, NULL })
