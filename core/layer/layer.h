/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A layer as core keeps it: the public part first, then its quantizer and its components. */
#pragma once
#include "qconv-quantizer.h"

#define QCONV_PLAIN "plain"

/**
 * Layer:
 *
 * @quantizer: (nullable): NULL for the scheme "plain", and if the plugin of the scheme is missing
 * @components: (element-type QconvComponent): pub.components points into it
 * @hints: (nullable): key → value
 * @edited: (nullable): the keys of hints that an edit changed
 */
typedef struct {
  QconvLayer pub;
  const QconvQuantizer *quantizer;
  QconvValues *values;
  GPtrArray *components;
  GHashTable *hints, *edited;
  char *name, *scheme;
  gatomicrefcount refs;
} Layer;

/* The encoding of a layer's numbers. @quantizer, @values: NULL if there is none */
typedef struct {
  const char *scheme;
  const QconvQuantizer *quantizer;
  QconvValues *values;
} Encoding;
/* Returns: (transfer full): a layer of @rows rows without components. @encoding: its values are (transfer full);
   @dtype: of the numbers before they were encoded */
Layer *qconv_layer_new (const char *name, const Encoding *encoding, QconvDType dtype, guint64 rows, guint64 cols);
/* Returns: (transfer full): a plain tensor with its one component "weight" */
Layer *qconv_layer_new_plain (const char *name, QconvDType dtype, const QconvShape *shape);
/* Reads @l, a plain tensor of any shape, as @rows rows of @cols items */
void qconv_layer_set_rows (Layer *l, guint64 rows, guint64 cols);
/* Returns: (transfer full): @l, for a second owner. Neither may change it from now on */
Layer *qconv_layer_ref (Layer *l);
void qconv_layer_unref (Layer *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Layer, qconv_layer_unref)

/* Lets the quantizer replace "auto" in the values of the planned layer @l by the value for this layer */
void qconv_layer_settle (Layer *l);
/* Asks the quantizer for the components of @l and checks them. QCONV_ERROR_BUG: they contradict the layer */
gboolean qconv_layer_ask_components (Layer *l, GError **error);
/* Sets the first hint of @l */
void qconv_layer_set_hint (Layer *l, const char *key, const char *value);
/* Adds a component that the quantizer does not list */
void qconv_layer_add_component (Layer *l, const QconvComponent *component);
/* Removes a component that neither the source nor the user gives */
void qconv_layer_drop_component (Layer *l, const char *name);
/* Returns index of the component, or -1 */
gint qconv_layer_component_index (const QconvLayer *l, const char *name);

/* Returns whether all runs of @rows rows start within @n items (or bytes), and no more than QCONV_MAX_PADDING runs of
   padding follow them. run->rows may not be 0 */
gboolean qconv_run_fits (const QconvRun *run, guint64 rows, guint64 n);
/* Finds the items along axis 0 of @c that rows [first, first + n) of @l own: all items if @c belongs to the whole layer
 */
void qconv_component_share (const QconvLayer *l, const QconvComponent *c, guint64 first, guint64 n, guint64 *first_item,
                            guint64 *n_items);
/* Returns the bytes of one item along axis 0 */
gsize qconv_component_stride (const QconvComponent *c);
/* Returns the most bytes of @c that @n_rows rows of @l own */
gsize qconv_component_share_bytes (const QconvLayer *l, const QconvComponent *c, guint64 n_rows);
/* Returns the multiple of @align rows at which the runs of all components of @l start; 0 on overflow */
guint64 qconv_layer_alignment (const Layer *l, guint64 align);
/* Returns least common multiple, or 0 on overflow */
guint64 qconv_lcm (guint64 a, guint64 b);
