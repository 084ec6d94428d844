/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Option values: parsing and checking text against a plugin's option table. */
#pragma once
#include "qconv-types.h"

/* Returns: (transfer full): all defaults. @table: (nullable): as a table without rows */
QconvValues *qconv_values_new (const QconvOption *table);
QconvValues *qconv_values_copy (const QconvValues *v);
void qconv_values_free (QconvValues *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvValues, qconv_values_free)

/* QCONV_ERROR_OPTION: unknown name (with the nearest one), or a value outside its range */
gboolean qconv_values_set (QconvValues *v, const char *name, const char *value, GError **error);
/* A name alone: what can be "on" is switched on, a choice that knows "auto" takes it; QCONV_ERROR_OPTION for
   others */
gboolean qconv_values_set_bare (QconvValues *v, const char *name, GError **error);
/* "key=value,key=value"; NULL and "" change nothing */
gboolean qconv_values_parse (QconvValues *v, const char *text, GError **error);
/* Whether the table has a row called @name */
gboolean qconv_values_knows (const QconvValues *v, const char *name);
/* Whether all QCONV_OPTION_PARAMETER rows agree; both are of the same table */
gboolean qconv_values_same_parameters (const QconvValues *a, const QconvValues *b);
/* Sets in @v what is set in @other, a table of the same options */
void qconv_values_override (QconvValues *v, const QconvValues *other);
/* Copies from @source each parameter that is not set in @v */
void qconv_values_follow (QconvValues *v, const QconvValues *source);
/* Returns: (nullable): why the table cannot be used (a default out of range, a duplicate), for the registry */
const char *qconv_option_table_problem (const QconvOption *table);
