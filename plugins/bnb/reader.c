/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores, claims and checks bitsandbytes' 4-bit and 8-bit layers in a directory. */
#include "bnb.h"

#define SCORE 85

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return bnb_has_layers (d) ? SCORE : 0;
}

static void
claim_four_bits (const BnbLook *l, QconvClaims *claims)
{
  const BnbState *s = &l->state;
  g_autofree char *parameters = NULL;
  QconvClaim *c;

  /* af4 has no such option */
  parameters = g_strdup_printf ("block=%" G_GUINT64_FORMAT "%s", s->block, s->nested ? ",double-quant=on" : "");
  c = qconv_claims_layer (claims, l->layer->name, s->type, parameters, s->rows, s->cols, s->dtype);
  qconv_claim_bind (c, "codes", l->layer->spelling->low_first ? bnb_load_codes_low : bnb_load_codes_high, l->weight,
                    NULL);
  qconv_claim_bind (c, "codebook", NULL, l->map, NULL);
  qconv_claim_bind (c, "absmax", NULL, l->absmax, NULL);
  if (!s->nested)
    {
      qconv_claims_drop (claims, l->layer->state);
      return;
    }
  qconv_claim_bind (c, "nested_absmax", NULL, l->nested_absmax, NULL);
  qconv_claim_bind (c, "nested_map", NULL, l->nested_map, NULL);
  qconv_claim_bind (c, "nested_offset", bnb_load_offset, l->layer->state, NULL);
}

/* Claims an 8-bit layer. The file does not store the layer's type; F16 is the one that bitsandbytes quantizes from. */
static void
claim_eight_bits (const BnbLook *l, const QconvDirectory *d, QconvClaims *claims)
{
  const QconvTensor *bias = qconv_directory_find2 (d, l->layer->name, ".bias");
  QconvDType dtype = bias != NULL && qconv_dtype_is_float (bias->dtype) ? bias->dtype : QCONV_F16;
  QconvClaim *c = qconv_claims_layer (claims, l->layer->name, "bnb_int8", NULL, l->weight->shape.dim[0],
                                      l->weight->shape.dim[1], dtype);

  qconv_claim_bind (c, "codes", NULL, l->weight, NULL);
  qconv_claim_bind (c, "row_scale", NULL, l->rows, NULL);
  if (l->format != NULL)
    qconv_claims_drop (claims, l->format);
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) layers = bnb_layers (d);

  for (guint i = 0; i < layers->len; i++)
    {
      g_auto (BnbLook) l = { .layer = NULL };
      const QconvTrouble *fatal;

      bnb_look (&l, d, g_ptr_array_index (layers, i));
      if (l.weight != NULL && qconv_claims_taken (claims, l.weight))
        continue;
      fatal = qconv_troubles_fatal (l.troubles);
      if (fatal != NULL)
        return qconv_trouble_fail (fatal, error);
      if (l.strange_map)
        qconv_claims_warn_each (claims, l.layer->name, "quant-map",
                                "quant_map is not the table of its type; it is used as it is");
      if (l.layer->eight_bit)
        claim_eight_bits (&l, d, claims);
      else
        claim_four_bits (&l, claims);
    }
  return TRUE;
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) layers = bnb_layers (d);

  for (guint i = 0; i < layers->len; i++)
    {
      g_auto (BnbLook) l = { .layer = NULL };

      bnb_look (&l, d, g_ptr_array_index (layers, i));
      qconv_troubles_report (l.troubles, problems);
      if (l.strange_map && !qconv_problems_of_run (problems))
        qconv_problems_add (problems, l.layer->name, "quant-map", "quant_map is not the table of its type");
    }
}

const QconvReader bnb_reader = {
  .id = "bnb",
  .summary = N_ ("4-bit and 8-bit layers of bitsandbytes"),
  .score = score,
  .claim = claim,
  .check = check,
};
