/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers and their components: readers claim them, quantizers encode them, writers pack them. All three include
   this. */
#pragma once
#include "qconv-container.h"
G_BEGIN_DECLS

/* The way in which a component or a packed tensor follows the rows of its weight: every @rows rows own @n consecutive
   items of axis 0 (component) or @n bytes (packed tensor). The last run takes all that is left, which may be fewer
   items or, because of padding, more. With rows 0 the array belongs to the whole layer. Core cuts tiles only where all
   runs of a layer start. Example: an array with one scale for every 128 rows has { 128, 1 }. Unless rows is 0, n must
   not be 0, every run must start within the array, and padding may not be longer than QCONV_MAX_PADDING runs. */
typedef struct {
  guint64 rows, n;
} QconvRun;
#define QCONV_MAX_PADDING 256
#define QCONV_WHOLE ((QconvRun) { 0, 0 })
#define QCONV_ROWWISE ((QconvRun) { 1, 1 })

typedef enum {
  QCONV_COMPONENT_OPTIONAL = 1, /* a source may lack it; decode() must then do without it */
  QCONV_COMPONENT_SHARED = 2,   /* one for all layers with the same input, filled by share(). This core does not call
                                   share() yet and refuses such schemes */
  QCONV_COMPONENT_GIVEN = 4,    /* no encoder makes it: it comes with the source or from the user, or is absent.
                                   Core fills "input_scale" (F32, []) from --input-scale */
  QCONV_COMPONENT_ANY_ROWS = 8, /* it belongs to the whole layer and holds for any of its rows in any order: a table of
                                   levels, a factor for each column. One number holds for any rows without this flag,
                                   unless stack() makes it */
} QconvComponentFlags;

/**
 * QconvComponent: one array of an encoded layer in canonical order: row-major, axis 0 follows the weight's rows, no
 * packing, no padding. Only the quantizer lists the components of a scheme. The scheme "plain" is core's own: one
 * component "weight" of any dtype, with as many items as the layer's shape.
 *
 * @name: "codes", "block_scale", "tensor_scale", "lora_down" …
 * @run: the unit of n is one step along axis 0 of @shape
 * @flags: of #QconvComponentFlags
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
 * QconvLayer: one layer as a reader found it, or as it is planned for a quantizer and a writer. Only core allocates
 * it; later versions add members at the end.
 *
 * @name: without ".weight"; planned: in the spelling of the target. Of a plain tensor its whole name
 * @scheme: id of a quantizer, or "plain"
 * @values: (nullable): the options of @scheme; NULL for "plain" and if no plugin has the scheme
 * @dtype: of the weight before it was quantized; BF16 if it is not known
 * @rows, @cols: the logical weight [out, in]. Other ranks: axis 0 × the product of the rest; rank 0: 1 × 1
 * @shape: of the weight as a plain tensor; [rows, cols] unless the reader set another one
 * @role: (nullable): the family's role class ("modulation", "attn_q" …). This core always leaves it NULL
 * @part_rows: rows of each of the @n_parts that were stacked, in order; @n_parts is 1 if the layer is not fused. This
 *   core always says 1, also of fused layers
 * @components: @n_components of them
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
/* Returns: (transfer none) (nullable): the component called @name. */
QCONV_API const QconvComponent *qconv_layer_component (const QconvLayer *l, const char *name);

/* The component that core adds to a layer if the model has a bias for it and the writer takes biases (#QconvWriter):
   F32 [rows], of the whole layer, filled before encode(). No quantizer lists it. */
#define QCONV_BIAS "bias"
/* A hint of an encoded layer: "true" if the model's family advises full precision for the products of this layer. */
#define QCONV_HINT_FULL_PRECISION "full-precision-mm"
/* The scheme of weights whose codes no loaded plugin decodes and whose format is unknown. No quantizer has this id. */
#define QCONV_UNKNOWN_SCALED "unknown-scaled"
/* A hint of a layer that a reader claims although no plugin decodes its scheme: the reason, which errors repeat. */
#define QCONV_HINT_UNDECODED "undecoded"
/* Returns: (transfer none) (nullable): the value of a hint. Hints come from qconv_claim_hint() while components move to
   the same scheme, from edits, and from the model's family. */
QCONV_API const char *qconv_layer_hint (const QconvLayer *l, const char *key);
/* Returns whether an edit set or removed the hint. Edits reach only the hints that the writer lists (#QconvWriter). It
   must refuse an edit of a value that follows from the weights. */
QCONV_API gboolean qconv_layer_hint_edited (const QconvLayer *l, const char *key);
/* Returns: (transfer container): the keys of all hints that an edit set or removed, sorted; ends with NULL. */
QCONV_API const char **qconv_layer_hints_edited (const QconvLayer *l);
/* Returns: (transfer container): the keys of all hints, sorted; ends with NULL. */
QCONV_API const char **qconv_layer_hint_keys (const QconvLayer *l);
G_END_DECLS
