/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Suggestions for what a person typed; qconv.h declares qconv_nearest(). */
#pragma once
#include <glib.h>

/* Returns: (transfer full): "; did you mean X?" with the member of @names (NULL-terminated) that is nearest to @word,
   or
   "" if none is near */
char *qconv_did_you_mean (const char *word, const char *const *names);
/* Returns: (transfer full): up to three of @names (element-type utf8), in quotes, that hold a piece most like the
   regular expression @pattern, which matches none of them; the first of @names if nothing is like it */
char *qconv_nearest_names (const char *pattern, const GPtrArray *names);
