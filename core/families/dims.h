/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dimensions of a model by name. Evaluates expressions and conditions of family files and fills their templates. */
#pragma once
#include "families/family-data.h"

/* The most tensors that a family file, or a template of it, may stand for; and the highest number of a block or expert
 */
enum { QCONV_GRAPH_MAX_TENSORS = 200000, QCONV_GRAPH_MAX_INDEX = 16384 };

typedef struct _Dims Dims;

Dims *qconv_dims_new (void);
Dims *qconv_dims_copy (const Dims *d);
void qconv_dims_free (Dims *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Dims, qconv_dims_free)

void qconv_dims_set (Dims *d, const char *name, gint64 value);
/* Returns the value of a dimension, or 0 if it is absent. All functions below take an absent dimension as 0. @d may be
   NULL. */
gint64 qconv_dims_get (const Dims *d, const char *name);
gboolean qconv_dims_known (const Dims *d, const char *name);
/* Returns TRUE if each dimension has the same value in both */
gboolean qconv_dims_equal (const Dims *a, const Dims *b);

/* Sets @value to the value of @e: an integer, or sums and differences of products ("2*hidden+kv"), no parentheses */
gboolean qconv_dims_evaluate (const Dims *d, const FamilyExpression *e, gint64 *value, GError **error);
/* Does the same, but fails unless every name is known */
gboolean qconv_dims_check (const Dims *d, const FamilyExpression *e, GError **error);
/* Returns TRUE if @condition holds: "a & !b" if a is not 0 and b is 0. NULL always holds. */
gboolean qconv_dims_hold (const Dims *d, const char *condition);
/* Fails unless @condition is well formed and every name is known */
gboolean qconv_dims_check_condition (const Dims *d, const char *condition, GError **error);

/* Returns all fillings of the {variable}s of @index in @templates (NULL-terminated): one list, as long as @templates,
   for each combination of values. The last variable moves fastest. Other braces stay. (transfer full) (element-type
   GStrv) */
GPtrArray *qconv_dims_fill (const Dims *d, const FamilyIndex *index, const char *const *templates, GError **error);
