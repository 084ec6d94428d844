/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers and their components: the words in which readers, quantizers and writers talk. */
#pragma once
#include "qconv-container.h"
G_BEGIN_DECLS

/* How a component or a packed tensor follows the rows of its weight: every @rows rows own @n consecutive items of
   axis 0 (component) or bytes (packed tensor); the last run takes what is left, less or more (padding).
   rows 0: it belongs to the whole layer. Tiles are cut where all runs of a layer start. */
typedef struct {
  guint64 rows, n;
} QconvRun;
#define QCONV_WHOLE ((QconvRun) { 0, 0 })
#define QCONV_ROWWISE ((QconvRun) { 1, 1 })

typedef enum {
  QCONV_COMPONENT_OPTIONAL = 1, /* a source may lack it; decode then does without */
  QCONV_COMPONENT_SHARED = 2,   /* one for all layers with the same input; made by share(), which this core does not
                                   call yet: such a scheme is refused */
  QCONV_COMPONENT_GIVEN = 4,    /* never made from the weights: comes with the source or from the user, or is absent.
                                   "input_scale" F32 [] is filled from --input-scale */
} QconvComponentFlags;

/**
 * QconvComponent: one array of an encoded layer in canonical order: axis 0 follows the weight's rows, no packing, no
 * padding. Which there are is said by the quantizer alone. The scheme "plain" is core's: one component "weight" of any
 * dtype, whose items are those of the layer's shape.
 *
 * @name: "codes", "block_scale", "tensor_scale", "lora_down" …
 * @run: with @shape's axis 0 as unit of n
 */
typedef struct {
  const char *name;
  QconvDType dtype;
  QconvShape shape;
  QconvRun run;
  guint32 flags;
  gconstpointer reserved[2];
} QconvComponent;

/**
 * QconvLayer: one layer as found (reader) or as planned (quantizer, writer). Allocated by core only; grows at its end.
 *
 * @name: without ".weight"; planned: in the target's spelling. Plain tensors: the tensor's whole name
 * @scheme: id of a quantizer, or "plain"
 * @values: (nullable): options of that scheme; NULL for "plain" and while the scheme's plugin is missing
 * @dtype: of the weight before it was quantized; BF16 if unknown
 * @rows, @cols: logical weight [out, in]; other ranks: dim[0] × product of the rest; rank 0: 1 × 1
 * @shape: the weight as a plain tensor; [rows, cols] unless said otherwise
 * @role: (nullable): role class of the family ("modulation", "attn_q" …)
 * @part_rows: rows of each part that was stacked, in order; @n_parts 1: not fused
 */
typedef struct {
  const char *name;
  const char *scheme;
  const QconvValues *values;
  QconvDType dtype;
  guint64 rows, cols;
  QconvShape shape;
  const char *role;
  const guint64 *part_rows;
  guint n_parts;
  guint n_components;
  const QconvComponent *const *components;
} QconvLayer;
/* Returns: (transfer none) (nullable): by name */
QCONV_API const QconvComponent *qconv_layer_component (const QconvLayer *l, const char *name);
/* Of a layer that is encoded: "true" where the model's family advises that its products are made in full precision */
#define QCONV_HINT_FULL_PRECISION "full-precision-mm"
/* Returns: (transfer none) (nullable): what a reader told writers by qconv_claim_hint(), only while components are
   moved to the same scheme; or what the model's family advises */
QCONV_API const char *qconv_layer_hint (const QconvLayer *l, const char *key);
/* Whether an edit has set or removed it: writers refuse that for what follows from the layer */
QCONV_API gboolean qconv_layer_hint_edited (const QconvLayer *l, const char *key);
/* Returns: (transfer container): all keys that an edit has set or removed, sorted, NULL-terminated */
QCONV_API const char **qconv_layer_hints_edited (const QconvLayer *l);
/* Returns: (transfer container): all keys of such hints, sorted, NULL-terminated */
QCONV_API const char **qconv_layer_hint_keys (const QconvLayer *l);
G_END_DECLS
