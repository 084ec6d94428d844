/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LoRAs that become part of the weights. */
#pragma once
#include "graph/mapping.h"

typedef struct _Loras Loras;

/**
 * qconv_loras_apply: replaces layers of @x by their sums with what @files say.
 *
 * @files: NULL-terminated "FILE[:STRENGTH]"; added in this order
 * @partial: keys that belong to no layer are told by @warn (nullable) instead of being an error
 * Returns: (transfer full): must outlive what is loaded from @x. QCONV_ERROR_OPTION: keys that belong to no layer;
 *   QCONV_ERROR_INPUT: shapes that do not fit; QCONV_ERROR_UNSUPPORTED: a kind that cannot be merged
 */
Loras *qconv_loras_apply (const char *const *files, gboolean partial, const QconvModel *m, Mapping *x,
                          QconvWarnFunc warn, gpointer warn_data, GError **error);
void qconv_loras_free (Loras *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Loras, qconv_loras_free)
