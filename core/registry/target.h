/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets: the registry makes them from the tables of writers, and the plan finds them by name. */
#pragma once
#include "registry/features.h"

/* @offered: targets that can be made; @others: targets that cannot, with the reason */
typedef struct {
  GPtrArray *offered, *others; /* QconvTargetInfo */
} Targets;

/* Returns: (transfer full): the targets of all writers in @f, sorted by name. A second target of one name is left out
   with a warning */
Targets *qconv_targets_new (const Features *f);
/* Returns: (transfer none): the target called @name; NULL with QCONV_ERROR_NO_PLUGIN, whose message says why it is not
   offered, or names the nearest target */
const QconvTargetInfo *qconv_target_find (const char *name, GError **error);
