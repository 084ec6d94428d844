/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader: finds "NAME.codes" and "NAME.scale" in a directory and claims them as the layer NAME. Tensors that it
   does not claim are plain. */
#include <math.h>
#include <string.h>

#include "template.h"

static guint
score_directory (const QconvReader *self, const QconvDirectory *d)
{
  return g_str_equal (qconv_directory_container (d), "template") ? 100 : 0;
}

/* Loads the rows [first, first + n) of the component "codes". Core calls it from any thread */
gboolean
template_load_codes (const QconvLoad *load, GError **error)
{
  guint64 cols = load->layer->cols;
  gsize n = (gsize) (load->n * cols);
  guint8 *codes = load->dst;

  if (!qconv_tensor_read (load->tensors[0], load->first * cols, n, codes, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    codes[i] = (guint8) (codes[i] - TEMPLATE_CENTRE);
  return TRUE;
}

/* Returns: (transfer full) (nullable): the name of the layer if @t holds codes, else NULL */
static char *
layer_of_codes (const QconvTensor *t)
{
  return g_str_has_suffix (t->name, TEMPLATE_CODES) ? g_strndup (t->name, strlen (t->name) - strlen (TEMPLATE_CODES))
                                                    : NULL;
}

/* Claims one layer. Core compares the scale, which has no load function, with the quantizer's component; what a load
   function gets must be checked here */
static gboolean
claim_layer (QconvClaims *claims, const QconvDirectory *d, const char *name, const QconvTensor *codes, GError **error)
{
  const QconvTensor *scale = qconv_directory_find2 (d, name, TEMPLATE_SCALE);
  QconvClaim *layer;

  if (scale == NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": %s%s is missing", name, name, TEMPLATE_SCALE);
  if (codes->dtype != QCONV_U8 || codes->shape.rank != 2)
    return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": its codes are not a matrix of U8", name);
  layer = qconv_claims_layer (claims, name, "template", NULL, codes->shape.dim[0], codes->shape.dim[1], QCONV_F32);
  qconv_claim_bind (layer, "codes", template_load_codes, codes, NULL);
  qconv_claim_bind (layer, "scale", NULL, scale, NULL);
  return TRUE;
}

static gboolean
claim_all (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
           GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *name = layer_of_codes (t);

      if (name != NULL && !claim_layer (claims, d, name, t, error))
        return FALSE;
    }
  return TRUE;
}

/* Lists every scale that the loader of such files would refuse */
static void
check_scales (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      g_autofree char *name = layer_of_codes (qconv_directory_tensor (d, i));
      const QconvTensor *t = name != NULL ? qconv_directory_find2 (d, name, TEMPLATE_SCALE) : NULL;
      g_autoptr (GError) error = NULL;
      float scale = 0.0f;

      if (name == NULL)
        continue;
      if (t == NULL || t->dtype != QCONV_F32 || t->n_bytes != sizeof scale)
        qconv_problems_add (problems, name, "scale", "%s is missing, or not one F32", TEMPLATE_SCALE);
      else if (!qconv_tensor_read (t, 0, sizeof scale, &scale, &error))
        qconv_problems_add (problems, name, "scale", "%s", error->message);
      else if (!isfinite (scale) || scale <= 0.0f)
        qconv_problems_add (problems, name, "scale", "%g is not a positive number", (double) scale);
    }
}

const QconvReader template_reader = {
  .id = "template",
  .summary = N_ ("layers of an example file"),
  .score = score_directory,
  .claim = claim_all,
  .check = check_scales,
};
