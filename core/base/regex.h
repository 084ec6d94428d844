/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regular expressions that many names are compared with, few of which match: those of family files. */
#pragma once
#include <glib.h>

typedef struct _Regex Regex;

/* Returns: (transfer full): NULL with an error of GRegex if @pattern is no regular expression */
Regex *qconv_regex_new (const char *pattern, GError **error);
void qconv_regex_free (Regex *r);
/* Returns whether @name is UTF-8 that @r matches */
gboolean qconv_regex_match (const Regex *r, const char *name);
/* Returns: (transfer none) */
GRegex *qconv_regex_compiled (const Regex *r);
/* Returns: (transfer full): a text that every match of @pattern contains, the longest that can be told without
   understanding groups; "" if there is none. Threads may call it side by side */
char *qconv_regex_needs (const char *pattern);
