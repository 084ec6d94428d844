/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regular expressions that are compiled for speed when a name first meets them: most of those in family files never
   do, and the compilation takes longer than the first hundred matches save. */
#pragma once
#include <glib.h>

typedef struct _Pattern Regex;

/* Returns: (transfer full): NULL with an error of GRegex if @text is no regular expression. @text must live as long */
Regex *qconv_regex_new (const char *text, GError **error);
void qconv_regex_free (Regex *p);
/* Returns: (transfer none). Threads may call it side by side */
GRegex *qconv_regex_compiled (Regex *p);
/* Returns whether @name is UTF-8 that @p matches */
gboolean qconv_regex_match (Regex *p, const char *name);
