/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A load function leaves items unset. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_load_unset

static gboolean claim_with_holes (const QconvReader *self, const QconvDirectory *d, const QconvValues *options,
                                  QconvClaims *claims, GError **error);

#define BROKEN_CLAIM claim_with_holes
#include "broken.h"

static gboolean
load_some (const QconvLoad *l, GError **error)
{
  return qconv_tensor_read (l->tensors[0], l->first * 4, l->n / 2 * 4, l->dst, error);
}

static gboolean
claim_with_holes (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
                  GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *codes = qconv_directory_tensor (d, i);
      g_autofree char *name = g_strndup (codes->name, MAX (strlen (codes->name), 6) - 6);
      const QconvTensor *scale = qconv_directory_find2 (d, name, ".scale");
      QconvClaim *l;

      if (scale == NULL || !g_str_has_suffix (codes->name, ".codes"))
        continue;
      l = qconv_claims_layer (claims, name, BROKEN_ID, NULL, codes->shape.dim[0], codes->shape.dim[1], QCONV_F32);
      qconv_claim_bind (l, "codes", NULL, codes, NULL);
      qconv_claim_bind (l, "scale", load_some, scale, NULL);
    }
  qconv_claims_drop_metadata (claims, BROKEN_ID);
  return TRUE;
}
