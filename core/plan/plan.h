/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan: what happens to every layer, and where every output tensor lies. qconv.h declares the public functions. */
#pragma once
#include "base/checksum.h"
#include "base/warn.h"
#include "graph/mapping.h"
#include "plan/cost.h"
#include "plan/files.h"
#include "plan/output.h"
#include "plan/plan-device.h"

#define QCONV_DEFAULT_MEMORY ((guint64) 1 << 30)

/**
 * QconvPlan:
 *
 * @edit: (nullable): the edit, which then owns @target; @changes: (nullable) (element-type utf8): what it changes
 * @mapping: (nullable): NULL for edits and verbatim copies
 * @error_lora: (nullable): a second file that the run writes
 * @loras: (nullable): the files that the deltas of the layers of @mapping read
 * @verbatim: (nullable) (element-type SourceLayer): every tensor by itself, for targets whose files need no reader
 * @inputs: (element-type utf8): paths of the files that were read besides the model: they must not become the output
 * @path: of the output as the user named it: of its file, or of the folder or the stem of the names of several files
 * @split: bytes of tensors that one file may have; 0: any number
 * @files: (element-type PlannedFile): of the output
 * @verify: compare the written numbers with the source; @checksums: the header states one of each tensor
 * @force: an existing file may be replaced; @in_place: the file that was read is replaced
 * @resume: a run that ends early leaves its work for the next one
 */
struct _QconvPlan {
  QconvModel *model;
  struct _Edit *edit;
  GPtrArray *changes;
  Mapping *mapping;
  struct _Loras *loras;
  struct _ErrorLora *error_lora;
  GPtrArray *verbatim, *inputs;
  const QconvTargetInfo *target;
  QconvOutput output;
  char *path;
  guint64 split;
  GPtrArray *files;
  Limits limits;
  PlanDevice device;
  gboolean verify, checksums, force, allow_nonfinite, in_place, resume;
  Warn warn;
};

/* Returns: (transfer none): file @i of the output */
static inline PlannedFile *
qconv_plan_file (const QconvPlan *p, guint i)
{
  return g_ptr_array_index (p->files, i);
}
/* Returns whether the writer named the files, so that they lie in a folder of their own */
gboolean qconv_plan_is_folder (const QconvPlan *p);
