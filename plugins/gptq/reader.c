/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores, claims and checks GPTQ layers in a directory. */
#include "finite.h"
#include "gptq.h"
#include "trouble.h"

/* Tensors that only this form has */
#define SCORE 85

static gboolean
is_gptq (const QweightLayer *l, const GptqConfig *config)
{
  return qweight_form (l, config->json->object) == QWEIGHT_GPTQ;
}

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d), ignored = NULL;
  g_autoptr (GptqConfig) config = NULL;

  if (layers->len == 0)
    return 0;
  ignored = qconv_troubles_new ();
  config = gptq_config_read (d, ignored);
  for (guint i = 0; i < layers->len; i++)
    if (is_gptq (g_ptr_array_index (layers, i), config))
      return SCORE;
  return 0;
}

/* Claims one layer. The type of its scales is that in which the model computes. */
static void
claim_layer (const GptqLook *l, QconvClaims *claims)
{
  const GptqShape *s = &l->shape;
  const QweightLayer *m = l->layer;
  g_autoptr (GBytes) data = g_bytes_new (s, sizeof *s);
  g_autofree char *parameters = g_strdup_printf ("bits=%u,group=%" G_GUINT64_FORMAT "%s", s->packing.bits, s->group,
                                                 s->indexed ? ",act-order=on" : "");
  QconvDType dtype = m->scales->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16;
  QconvClaim *c = qconv_claims_layer (claims, m->name, s->centred ? "int8" : gptq_quantizer.id,
                                      s->centred ? NULL : parameters, s->rows, s->cols, dtype);

  qconv_claim_bind_data (c, "codes", gptq_load_codes, data, m->qweight, NULL);
  if (s->centred)
    {
      qconv_claim_bind (c, "row_scale", NULL, m->scales, NULL);
      qconv_claims_drop (claims, m->qzeros);
    }
  else
    {
      qconv_claim_bind (c, "scale", qweight_load_scales, m->scales, NULL);
      qconv_claim_bind_data (c, "zero", gptq_load_zeros, data, m->qzeros, NULL);
    }
  if (s->indexed)
    qconv_claim_bind_data (c, "group_index", gptq_load_index, data, m->g_idx, NULL);
  else if (m->g_idx != NULL)
    qconv_claims_drop (claims, m->g_idx);
  qconv_claim_cost (c, s->rows, QWEIGHT_SCRATCH);
}

static GptqAsk
ask_of (const QconvValues *options)
{
  const char *text = qconv_values_string (options, "zeros");

  return g_str_equal (text, "v1")          ? GPTQ_ASK_V1
         : g_str_equal (text, "v1-packed") ? GPTQ_ASK_V1_PACKED
         : g_str_equal (text, "v2")        ? GPTQ_ASK_V2
                                           : GPTQ_ASK_AUTO;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d), troubles = qconv_troubles_new ();
  g_autoptr (GptqConfig) config = gptq_config_read (d, troubles);
  gboolean any = FALSE;

  for (guint i = 0; i < layers->len; i++)
    {
      const QweightLayer *layer = g_ptr_array_index (layers, i);
      g_auto (GptqLook) l = { .layer = NULL };

      if (!is_gptq (layer, config) || qweight_taken (layer, claims))
        continue;
      if (!any && !qconv_troubles_claim (troubles, claims, error))
        return FALSE;
      any = TRUE;
      gptq_look (&l, layer, config, ask_of (options));
      if (!qconv_troubles_claim (l.troubles, claims, error))
        return FALSE;
      claim_layer (&l, claims);
    }
  return TRUE;
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) layers = qweight_layers (d), troubles = qconv_troubles_new ();
  g_autoptr (GptqConfig) config = gptq_config_read (d, troubles);
  gboolean any = FALSE;

  for (guint i = 0; i < layers->len; i++)
    {
      const QweightLayer *layer = g_ptr_array_index (layers, i);
      g_auto (GptqLook) l = { .layer = NULL };

      if (!is_gptq (layer, config))
        continue;
      if (!any)
        qconv_troubles_report_mildly (troubles, problems);
      any = TRUE;
      gptq_look (&l, layer, config, GPTQ_ASK_AUTO);
      qconv_troubles_report_mildly (l.troubles, problems);
      if (qconv_troubles_fatal (l.troubles) == NULL && !qconv_tensor_is_finite (layer->scales, QCONV_SIGN_ANY))
        qconv_problems_add (problems, layer->name, "scale-value", "scales holds Inf or NaN");
    }
}

static const QconvOption options[] = {
  { .name = "zeros",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "v1", "v1-packed", "v2", NULL },
    .help = N_ ("meaning of stored zero points; v1: one less (AutoGPTQ), v1-packed: one less with borrows (GPTQModel), "
                "v2: as they are; auto: what the file and the JSON beside it tell") },
  { .name = NULL },
};

const QconvReader gptq_reader = {
  .id = "gptq",
  .summary = N_ ("GPTQ: 2 to 8 bits, with act-order, of AutoGPTQ and GPTQModel"),
  .options = options,
  .score = score,
  .claim = claim,
  .check = check,
};
