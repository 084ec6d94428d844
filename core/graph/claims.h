/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the claims of readers in a directory, and makes layers of them. Opening a model calls it. */
#pragma once
#include "layer/source-layer.h"

/* Returns: (transfer full): no claims yet. @allow_nonfinite: readers may claim scales that are not finite */
QconvClaims *qconv_claims_new (const QconvDirectory *d, gboolean allow_nonfinite);
void qconv_claims_free (QconvClaims *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvClaims, qconv_claims_free)
/* Makes layers that nothing decodes of unclaimed tensors that may be codes, unless a reader or the user states that
   they are plain. @plain: (nullable): NULL-terminated GRegex: names of tensors of which the user states it */
gboolean qconv_claims_judge (QconvClaims *c, const char *const *plain, GError **error);
/* Sets the reader whose claims come next */
void qconv_claims_set_reader (QconvClaims *c, const QconvReader *reader);
/* Returns: (transfer none) (element-type utf8): the warnings of readers */
GPtrArray *qconv_claims_warnings (const QconvClaims *c);
/* Returns whether a reader dropped the metadata @key, so that it is not copied */
gboolean qconv_claims_metadata_dropped (const QconvClaims *c, const char *key);
/* Returns: (transfer full) (element-type SourceLayer): the claimed layers, and each unclaimed tensor as a plain layer,
   in the order of the directory. QCONV_ERROR_INPUT, QCONV_ERROR_BUG: a claim contradicts its quantizer */
GPtrArray *qconv_claims_finish (QconvClaims *c, GError **error);
