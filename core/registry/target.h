/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets by name; qconv.h declares the list of all. */
#pragma once
#include "qconv.h"

/* Returns: (transfer none): the target called @name; NULL with QCONV_ERROR_NO_PLUGIN, whose message names the nearest
   target */
const QconvTargetInfo *qconv_target_find (const char *name, GError **error);
