/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "graph/model.h"

/* Returns: (transfer none): NULL with QCONV_ERROR_NO_PLUGIN and the nearest name */
const QconvTargetInfo *qconv_target_find (const char *name, GError **error);
/* Returns: (transfer full): <stem>-<target><suffix> beside the input, whose stem lost shard number, scheme and
   extension */
char *qconv_target_derive_output (const QconvTargetInfo *t, const QconvModel *m);
