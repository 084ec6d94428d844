/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dimensions of a model by name, and what family files say with them: expressions, conditions, templates. */
#pragma once
#include <json-glib/json-glib.h>

/* Most tensors that one family file may stand for; also most fillings of one template; and the
   highest number that may count blocks or experts */
enum { QCONV_GRAPH_MAX_TENSORS = 200000, QCONV_GRAPH_MAX_INDEX = 16384 };

typedef struct _Dims Dims;

Dims *qconv_dims_new (void);
Dims *qconv_dims_copy (const Dims *d);
void qconv_dims_free (Dims *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Dims, qconv_dims_free)

void qconv_dims_set (Dims *d, const char *name, gint64 value);
/* 0 where absent; also in all that follows */
gint64 qconv_dims_get (const Dims *d, const char *name);
gboolean qconv_dims_known (const Dims *d, const char *name);
/* Whether both know the same names with the same values; absent and 0 are the same */
gboolean qconv_dims_equal (const Dims *a, const Dims *b);

/* @expression: an integer or text: sums and differences of products ("2*hidden+kv"), no parentheses */
gboolean qconv_dims_evaluate (const Dims *d, JsonNode *expression, gint64 *value, GError **error);
/* As qconv_dims_evaluate(); every name must be known */
gboolean qconv_dims_check (const Dims *d, JsonNode *expression, GError **error);
/* @condition: (nullable): "a & !b": these are, and those are not, other than zero */
gboolean qconv_dims_hold (const Dims *d, const char *condition);
/* Whether @condition is well formed and every name is known */
gboolean qconv_dims_check_condition (const Dims *d, const char *condition, GError **error);

/* All fillings of the {variable}s of @index (nullable) in @templates (NULL-terminated) at once; the last variable
   moves fastest. @index: variable -> [low, high) or {"values": [text …]}; other braces stay.
   Returns: (transfer full) (element-type GStrv): one as long as @templates for each combination */
GPtrArray *qconv_dims_fill (const Dims *d, JsonObject *index, const char *const *templates, GError **error);
