/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reader claims a layer without rows. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_claim_no_rows

static guint
score_always (const QconvReader *self, const QconvDirectory *d)
{
  return 100;
}

static gboolean
load_nothing (const QconvLoad *l, GError **error)
{
  return TRUE;
}

static gboolean
claim_nothing (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
               GError **error)
{
  const QconvTensor *t = qconv_directory_tensor (d, 0);
  QconvClaim *l = qconv_claims_layer (claims, "layer", "broken_claim_no_rows", NULL, 0, 0, QCONV_F32);

  qconv_claim_bind (l, "codes", load_nothing, t, NULL);
  qconv_claim_bind (l, "scale", load_nothing, t, NULL);
  return TRUE;
}

#define BROKEN_SCORE score_always
#define BROKEN_CLAIM claim_nothing
#include "broken.h"
