/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of formats whose tensors the reader recognises but cannot decode. */
#pragma once
#include "group.h"

/* Returns: (transfer none) (nullable): the format that a JSON file beside the weights names, if it is one of those
   that cannot be decoded. */
const char *scaled_stated_format (const QconvDirectory *d);
/* Returns: (transfer full): the scheme of codes that are not decoded: "foreign:" and the format, or "unknown-scaled".
   @stated: (nullable): the format if the tensors do not tell; @advice: (transfer none) (nullable): what the user can
   do */
char *scaled_foreign_scheme (const ScaledGroup *g, const char *stated, const char **advice);
