/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores, claims and checks AutoAWQ's layers in a directory. */
#include "autoawq.h"
#include "finite.h"
#include "trouble.h"

/* Tensors that only this form has */
#define SCORE 85

static void
ignore_broken (gpointer data, const char *file, const char *why)
{
}

static void
warn_of_file (gpointer data, const char *file, const char *why)
{
  qconv_trouble_add (data, QCONV_TROUBLE_WARN, file, "config", "a file beside the weights is ignored: %s", why);
}

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d);
  g_autoptr (QuantConfig) config = layers->len > 0 ? quant_config_read (d, ignore_broken, NULL) : NULL;

  for (guint i = 0; i < layers->len; i++)
    if (qweight_form (g_ptr_array_index (layers, i), config->object) != QWEIGHT_GPTQ)
      return SCORE;
  return 0;
}

/* The scales and zero points of the packing GEMV go along the rows, all others across. */
static void
claim_layer (const AutoawqLook *l, QconvClaims *claims)
{
  const QweightLayer *m = l->layer;
  gboolean gemm = l->form == QWEIGHT_GEMM;
  g_autofree char *parameters = g_strdup_printf ("bits=4,group=%" G_GUINT64_FORMAT, l->group);
  QconvDType dtype = m->scales->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16;
  QconvClaim *c = qconv_claims_layer (claims, m->name, "gptq", parameters, l->rows, l->cols, dtype);

  qconv_claim_bind (c, "codes", gemm ? autoawq_load_gemm_codes : autoawq_load_gemv_codes, m->qweight, NULL);
  qconv_claim_bind (c, "scale", gemm ? qweight_load_scales : autoawq_load_gemv_scales, m->scales, NULL);
  qconv_claim_bind (c, "zero", gemm ? autoawq_load_gemm_zeros : autoawq_load_gemv_zeros, m->qzeros, NULL);
  if (gemm)
    qconv_claim_cost (c, l->rows, QWEIGHT_SCRATCH);
  else
    qconv_claim_cost (c, 1, MAX (autoawq_gemv_scratch (m->scales), autoawq_gemv_scratch (m->qzeros)));
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d), troubles = qconv_troubles_new ();
  g_autoptr (QuantConfig) config = quant_config_read (d, warn_of_file, troubles);
  gboolean any = FALSE;

  qweight_refuse_tiling (config, troubles);
  for (guint i = 0; i < layers->len; i++)
    {
      const QweightLayer *layer = g_ptr_array_index (layers, i);
      QweightForm form = qweight_form (layer, config->object);
      g_auto (AutoawqLook) l = { .layer = NULL };

      if (form == QWEIGHT_GPTQ || qweight_taken (layer, claims))
        continue;
      if (!any && !qconv_troubles_claim (troubles, claims, error))
        return FALSE;
      any = TRUE;
      autoawq_look (&l, layer, form, config);
      if (!qconv_troubles_claim (l.troubles, claims, error))
        return FALSE;
      claim_layer (&l, claims);
    }
  return TRUE;
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d);
  g_autoptr (QuantConfig) config = quant_config_read (d, ignore_broken, NULL);

  for (guint i = 0; i < layers->len; i++)
    {
      const QweightLayer *layer = g_ptr_array_index (layers, i);
      QweightForm form = qweight_form (layer, config->object);
      g_auto (AutoawqLook) l = { .layer = NULL };

      if (form == QWEIGHT_GPTQ)
        continue;
      autoawq_look (&l, layer, form, config);
      qconv_troubles_report_mildly (l.troubles, problems);
      if (qconv_troubles_fatal (l.troubles) == NULL && !qconv_tensor_is_finite (layer->scales, QCONV_SIGN_ANY))
        qconv_problems_add (problems, layer->name, "scale-value", "scales holds Inf or NaN");
    }
}

const QconvReader autoawq_reader = {
  .id = "awq",
  .summary = N_ ("AutoAWQ's packings GEMM and GEMV"),
  .score = score,
  .claim = claim,
  .check = check,
};
