/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What readers said about a directory, and the layers that follow from it. */
#pragma once
#include "layer/source-layer.h"

QconvClaims *qconv_claims_new (const QconvDirectory *d, gboolean allow_nonfinite);
void qconv_claims_free (QconvClaims *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvClaims, qconv_claims_free)
/* Says which reader claims next */
void qconv_claims_set_reader (QconvClaims *c, const QconvReader *reader);
/* Returns: (transfer none) (element-type utf8) */
GPtrArray *qconv_claims_warnings (const QconvClaims *c);
gboolean qconv_claims_metadata_dropped (const QconvClaims *c, const char *key);
/* Returns: (transfer full) (element-type SourceLayer): claimed layers and what is left, in the order of the directory.
   An error where a claim contradicts its quantizer */
GPtrArray *qconv_claims_finish (QconvClaims *c, GError **error);
