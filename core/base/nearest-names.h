/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <glib.h>

/* What somebody may have meant by a regular expression that matches none of @names (element-type utf8).
   Returns: (transfer full): in quotes, a comma between two: those with a piece that is most like it, else the first */
char *qconv_nearest_names (const char *pattern, const GPtrArray *names);
