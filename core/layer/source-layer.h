/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers of a file, and layers composed of their rows. Claims make the first, the mapping of names and LoRAs the
   second; planning, running and checking work on both. */
#pragma once
#include "layer/layer.h"
#include "qconv-reader.h"

/**
 * Binding: the source of one component of a source layer.
 *
 * @load: (nullable): unpacks @tensors into the component; NULL: the only tensor is stored as the component is
 * @tensors: (element-type QconvTensor): NULL-terminated
 * @data: (nullable): what the reader gave for @load
 */
typedef struct {
  char *component;
  QconvLoadFunc load;
  GPtrArray *tensors;
  GBytes *data;
} Binding;

/**
 * Part: rows of one layer, in the order in which they are stacked.
 *
 * @source: index in the composed layer's sources
 * @first, @stride, @n: rows first, first + stride, …: @n of them
 * @transposed: the rows are columns [first, first + n) of the source
 * @column: the first column of the rows in the composed layer. If it is not 0, the part lies to the right of the part
 *   before it and has as many rows
 * @skip, @width: of each row, the part has @width items from item @skip on; @width 0: all
 */
typedef struct {
  guint source;
  guint64 first, stride, n;
  gboolean transposed;
  guint64 column, skip, width;
} Part;

/**
 * SourceLayer: one layer that can be loaded. It is either claimed or composed:
 * - claimed: a reader bound tensors to its components (of a plain layer: to "weight", with a load function), or it is
 *   one plain tensor that nobody claimed. @bindings is set,
 *   @sources, @parts and @deltas are NULL.
 * - composed: @parts of @sources, all of which are claimed. @bindings is NULL; @deltas may be set.
 *
 * @bindings: (nullable) (element-type Binding)
 * @sources, @parts: (nullable) (element-type SourceLayer, Part): see compose.h
 * @deltas: (nullable) (element-type Delta): the deltas that are added to the rows, see delta.h
 * @name: of the layer, without ".weight"
 * @plain_name: name of the whole weight tensor in a plain file
 * @stored_name: (nullable): @plain_name with the wrappers that it has in the file, see graph/unwrap.h
 * @error: (nullable): of a plain claimed layer: fills the largest error of each item, see qconv_claim_error()
 * @reader: (nullable): the reader that claimed it; NULL: no reader
 * @min_rows, @scratch: as in qconv_claim_cost()
 * @bytes: of the stored weight and its scales
 */
typedef struct {
  Layer *layer;
  GPtrArray *bindings;
  GPtrArray *sources;
  GArray *parts;
  GPtrArray *deltas;
  char *name, *plain_name, *stored_name;
  QconvLoadFunc error;
  const QconvReader *reader;
  guint64 min_rows;
  gsize scratch;
  guint64 bytes;
} SourceLayer;
void qconv_source_layer_free (SourceLayer *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SourceLayer, qconv_source_layer_free)

/* Returns whether all of it is stored as plain numbers of its type, in one tensor or several */
gboolean qconv_source_layer_plain (const SourceLayer *s);
/* Returns whether any of it is stored as codes of a scheme */
gboolean qconv_source_layer_quantized (const SourceLayer *s);
/* Returns whether it is a weight: quantized, or a tensor whose name ends in ".weight". Biases and buffers are not */
gboolean qconv_source_layer_is_weight (const SourceLayer *s);
/* Returns whether rows of it, or of one of its sources, are columns of the stored tensors, so that all rows are worth
   loading at once */
gboolean qconv_source_layer_by_columns (const SourceLayer *s);
/* Returns: (nullable): the tensor whose bytes, row by row, are the whole of a plain layer */
const QconvTensor *qconv_source_layer_tensor (const SourceLayer *s);
/* Returns whether loaded plugins can decode it to floats */
gboolean qconv_source_layer_decodes (const SourceLayer *s);
/* Returns whether it is stored as plain floats of 16 bits or more, which the check compares without a conversion */
gboolean qconv_source_layer_plain_floats (const SourceLayer *s);
/* Returns whether it can be loaded as floats: plain numbers, or codes that decode */
gboolean qconv_source_layer_has_floats (const SourceLayer *s);
/* Returns: (nullable): the binding of @component; NULL if the source lacks the component or is composed */
const Binding *qconv_source_layer_binding (const SourceLayer *s, const char *component);

/* Returns the claimed layer whose rows part @i of a composed layer takes */
const SourceLayer *qconv_composed_source (const SourceLayer *s, guint i);
/* Returns the number of rows from the start of part @i of a composed layer to that of the part behind it, which is 0 if
   the parts lie side by side */
guint64 qconv_composed_step (const SourceLayer *s, guint i);
/* Returns the items of one row of part @i */
guint64 qconv_composed_width (const SourceLayer *s, guint i);
/* Returns whether a composed layer consists of whole rows of its sources, none beside another */
gboolean qconv_composed_has_rows (const SourceLayer *s);
/* Returns whether a composed layer consists of all rows of one claimed layer, in their order */
gboolean qconv_composed_whole (const SourceLayer *s);
/* Returns whether the hook stack() of @q makes component @c of the composed layer @s */
gboolean qconv_composed_makes (const SourceLayer *s, const QconvQuantizer *q, const QconvComponent *c);
/* Returns whether @s is composed, and stack() of its quantizer makes any of its components */
gboolean qconv_source_layer_stacked (const SourceLayer *s);
