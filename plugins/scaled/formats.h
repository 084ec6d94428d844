/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of formats whose tensors the reader recognises but cannot decode. */
#pragma once
#include "group.h"

/* Returns: (transfer none): the scheme of codes that are not decoded: "foreign:" and the format, or
   "unknown-scaled". */
const char *scaled_foreign_scheme (const ScaledGroup *g);
