/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan: what happens to every layer, and where every output tensor lies. qconv.h declares the functions. */
#pragma once
#include "base/checksum.h"
#include "base/warn.h"
#include "graph/mapping.h"
#include "plan/cost.h"
#include "plan/layout.h"
#include "plan/output.h"

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
 * @path: of the output
 * @layout: where the tensors lie, the bytes at the start of the file, and the bytes of the whole file
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
  Layout layout;
  Limits limits;
  gboolean verify, checksums, force, allow_nonfinite, in_place, resume;
  Warn warn;
};
