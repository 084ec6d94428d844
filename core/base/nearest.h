/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Suggests names for a mistyped one; qconv.h declares qconv_nearest(). */
#pragma once
#include <glib.h>

/* Returns: (transfer full): "; did you mean X?" with the member of @names (NULL-terminated) that is nearest to @word,
   or
   "" if none is near */
char *qconv_did_you_mean (const char *word, const char *const *names);
/* Returns: (transfer full): up to three of @names (element-type utf8), in quotes, of which a piece is most like the
   regular expression @pattern; the first of @names if none is like it. @pattern matches none of @names */
char *qconv_nearest_names (const char *pattern, const GPtrArray *names);
