/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of options: parses text by a plugin's option table and checks it. The program, core and plugins read them. */
#pragma once
#include "qconv-types.h"

/* Returns: (transfer full): the defaults of @table. @table: (nullable): NULL is a table without rows */
QconvValues *qconv_values_new (const QconvOption *table);
QconvValues *qconv_values_copy (const QconvValues *v);
void qconv_values_free (QconvValues *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvValues, qconv_values_free)

/* Sets one option. QCONV_ERROR_OPTION: an unknown name, with the nearest one, or a value out of range */
gboolean qconv_values_set (QconvValues *v, const char *name, const char *value, GError **error);
/* Sets an option that was named without a value: to "on" if it has that choice, else to "auto". QCONV_ERROR_OPTION: it
   needs a value */
gboolean qconv_values_set_bare (QconvValues *v, const char *name, GError **error);
/* Sets "key=value,key=value". @text: (nullable): NULL and "" change nothing */
gboolean qconv_values_parse (QconvValues *v, const char *text, GError **error);
/* Returns: (transfer none): the value of an option of any type as text, "" if it is unset or not in the table */
const char *qconv_values_text_of (const QconvValues *v, const char *name);
/* Returns whether the table has a row called @name */
gboolean qconv_values_knows (const QconvValues *v, const char *name);
/* Returns whether all rows with QCONV_OPTION_PARAMETER are equal; both must be of the same table */
gboolean qconv_values_same_parameters (const QconvValues *a, const QconvValues *b);
/* Returns: (transfer full): all rows as "key=value,…", with their defaults; a value that is unset has no "=" */
char *qconv_values_text (const QconvValues *v);
/* Copies to @v the values that are set in @other, which has the same table */
void qconv_values_override (QconvValues *v, const QconvValues *other);
/* Copies from @source each parameter that is not set in @v */
void qconv_values_follow (QconvValues *v, const QconvValues *source);
/* Returns the fault of a table that cannot be used, such as "has an option twice"; NULL if there is none */
const char *qconv_option_table_problem (const QconvOption *table);
