/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <glib.h>

/* Returns: (transfer none) (nullable): the name that a person who typed @word may have meant. @names is
   NULL-terminated */
const char *qconv_nearest (const char *word, const char *const *names);
