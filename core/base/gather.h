/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gathers lines about layers, tensors and keys, so that many lines of one kind become one with a count and the first
   names. Warnings of plugins and the changes of an edit are gathered. */
#pragma once
#include <glib.h>

typedef struct _Gather Gather;
Gather *qconv_gather_new (void);
void qconv_gather_free (Gather *g);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Gather, qconv_gather_free)
/* Adds "@name: @text". If a line of the same @kind exists, it gets the name, and @text is not used:
   "a, b, c, d, e, … (30 in all): TEXT". @name: (nullable): NULL: @text is a line of its own, and @kind may be NULL */
void qconv_gather_add (Gather *g, const char *name, const char *kind, const char *text);
void qconv_gather_add_valist (Gather *g, const char *name, const char *kind, const char *format, va_list args)
    G_GNUC_PRINTF (4, 0);
/* Returns: (transfer none) (element-type utf8): the lines, in the order of the first of each kind */
GPtrArray *qconv_gather_lines (const Gather *g);
