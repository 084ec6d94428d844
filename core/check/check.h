/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares a written file with its source. The run calls it. */
#pragma once
#include "plan/plan.h"
#include "schedule/progress.h"

/* Written: the files that a run wrote, and the checksums of what it meant to write, by index in the planned directory.
   @paths: (array): of the temporary files, in the order of p->files */
typedef struct {
  const char *const *paths;
  const Checksum *sums;
} Written;

/* Opens the written files by the reader that the writer names. If the reader refuses them, qconv wrote a wrong file:
   QCONV_ERROR_CHECK. @paths: as in #Written. Returns: (transfer full) */
QconvModel *qconv_check_open_written (const QconvPlan *p, const char *const *paths, GError **error);
/* Returns: (transfer none) (nullable): the layer of the written file that @l planned; NULL if the file lacks it */
const SourceLayer *qconv_check_find_written (const QconvModel *written, const PlannedLayer *l);
/* Checks the files that @p planned: its structure, and with p->verify every byte and the numbers of every layer. Adds
   problems to the report; fails only if the check itself cannot be done. Returns: (transfer full) */
QconvReport *qconv_check_plan (const QconvPlan *p, const Written *files, const Listener *listener, GError **error);
