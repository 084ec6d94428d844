/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers as core keeps them: the public part first, then who made them and what they are made of. */
#pragma once
#include "qconv-quantizer.h"

#define QCONV_PLAIN "plain"

/**
 * Layer:
 * @quantizer: (nullable): NULL for the scheme "plain" and while the scheme's plugin is missing
 * @components: QconvComponent, owned; what pub.components shows
 * @hints: (nullable): key → value
 * @edited: (nullable): keys of hints that an edit changed
 */
typedef struct {
  QconvLayer pub;
  const QconvQuantizer *quantizer;
  QconvValues *values;
  GPtrArray *components;
  GHashTable *hints, *edited;
  char *name, *scheme;
} Layer;

/* Returns: (transfer full): without components. @values: (transfer full) (nullable) */
Layer *qconv_layer_new (const char *name, const char *scheme, const QconvQuantizer *quantizer, QconvValues *values,
                        QconvDType dtype, guint64 rows, guint64 cols);
/* Returns: (transfer full): a plain tensor with its component "weight" */
Layer *qconv_layer_new_plain (const char *name, QconvDType dtype, const QconvShape *shape);
/* Says that @l, a plain tensor, is made from @rows rows of @cols items, however its own axes are cut */
void qconv_layer_set_rows (Layer *l, guint64 rows, guint64 cols);
void qconv_layer_free (Layer *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Layer, qconv_layer_free)

/* Lets the quantizer put what is meant in the place of "auto" in the values of @l, which is planned */
void qconv_layer_settle (Layer *l);
/* Asks the quantizer which components there are and checks what it says */
gboolean qconv_layer_ask_components (Layer *l, GError **error);
/* @l has no hints yet */
void qconv_layer_set_hint (Layer *l, const char *key, const char *value);
/* Forgets a component that is not there: optional ones that a source lacks or nobody gives */
void qconv_layer_drop_component (Layer *l, const char *name);
/* Returns: index of the component, or -1 */
gint qconv_layer_component_index (const QconvLayer *l, const char *name);

/* The items along axis 0 of @c that rows [first, first + n) of @l own; all of it for a whole-layer component */
void qconv_component_share (const QconvLayer *l, const QconvComponent *c, guint64 first, guint64 n, guint64 *first_item,
                            guint64 *n_items);
/* Returns: bytes of one item along axis 0 */
gsize qconv_component_stride (const QconvComponent *c);
/* Returns: bytes of the share of @n_rows rows, at most */
gsize qconv_component_share_bytes (const QconvLayer *l, const QconvComponent *c, guint64 n_rows);
/* Returns: the multiple of @align rows at which the runs of all components of @l start; 0 on overflow */
guint64 qconv_layer_alignment (const Layer *l, guint64 align);
/* Returns: least common multiple, or 0 on overflow */
guint64 qconv_lcm (guint64 a, guint64 b);
