/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reader binds a tensor that no container has listed. broken.sh says what a user then sees. */
#include <string.h>

#include "qconv-plugin.h"

#define BROKEN broken_claim_foreign

static guint
score_always (const QconvReader *self, const QconvDirectory *d)
{
  return 100;
}

static gboolean
load_nothing (const QconvLoad *l, GError **error)
{
  memset (l->dst, 0, l->n * qconv_dtype_bits (l->component->dtype) / 8);
  return TRUE;
}

static gboolean
claim_foreign (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
               GError **error)
{
  static const QconvTensor codes = { .name = "mine", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (4, 4), .n_bytes = 16 };
  const QconvTensor *t = qconv_directory_tensor (d, 0);
  QconvClaim *l = qconv_claims_layer (claims, "layer", "broken_claim_foreign", NULL, 4, 4, QCONV_F32);

  qconv_claim_bind (l, "codes", NULL, &codes, NULL);
  qconv_claim_bind (l, "scale", load_nothing, t, NULL);
  return TRUE;
}

#define BROKEN_SCORE score_always
#define BROKEN_CLAIM claim_foreign
#include "broken.h"
