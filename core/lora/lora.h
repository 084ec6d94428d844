/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Merges LoRA files into the weights of a model; the plan calls it for --lora. */
#pragma once
#include "base/warn.h"
#include "graph/mapping.h"

typedef struct _Loras Loras;

/**
 * LoraJob: the files that one run merges.
 *
 * @files: NULL-terminated "FILE[:STRENGTH]"; added in this order
 * @partial: keys that belong to no layer and layers of another shape are a warning instead of an error
 * @warn: gets the warnings
 */
typedef struct {
  const char *const *files;
  gboolean partial;
  Warn warn;
} LoraJob;

/* Replaces layers of @x by their sums with the deltas of @job's files. Returns: (transfer full): must outlive the
   layers of @x. QCONV_ERROR_OPTION: keys belong to no layer; QCONV_ERROR_INPUT: shapes do not fit;
   QCONV_ERROR_UNSUPPORTED: a kind of LoRA that cannot be merged */
Loras *qconv_loras_apply (const LoraJob *job, const QconvModel *m, Mapping *x, GError **error);
void qconv_loras_free (Loras *l);
/* Appends to @paths (element-type utf8) the files that were read: they must not become the output */
void qconv_loras_list_files (const Loras *l, GPtrArray *paths);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Loras, qconv_loras_free)
