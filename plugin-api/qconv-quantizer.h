/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quantizers hold the arithmetic of one scheme. No state of their own: what passes find out is a component. */
#pragma once
#include "qconv-backend.h"
#include "qconv-layer.h"
G_BEGIN_DECLS

/**
 * QconvTile: some rows of one layer. A tile starts and ends where the runs of all components and tensors do.
 *
 * @layer: being made, or being decoded; its options are in layer->values
 * @source: (nullable): encoder with @from: the layer where qconv_tile_source() looks
 * @floats: (nullable): [n_rows, cols], finite; in for encode, out for decode. F32 or one of the quantizer's
 *   float_dtypes; NULL for an encoder with @from
 * @n_threads: this call may use; never changes the bytes
 */
typedef struct {
  const QconvLayer *layer;
  const QconvLayer *source;
  guint64 first_row, n_rows;
  QconvBuffer *floats;
  QconvStream *stream;
  guint n_threads;
} QconvTile;
/* Returns: (transfer none) (nullable): the share of these rows (run.rows > 0) or all of it; NULL: optional and absent.
   Whole-layer components hold no values before finish() */
QCONV_API QconvBuffer *qconv_tile_component (const QconvTile *t, const char *name);
/* The same of @source */
QCONV_API QconvBuffer *qconv_tile_source (const QconvTile *t, const char *name);
/* Returns: (transfer none): @n bytes until the call returns, as a buffer of type F32; declared in QconvWork. decode()
   may take as much as its floats without a word */
QCONV_API QconvBuffer *qconv_tile_scratch (const QconvTile *t, gsize n, GError **error);
/* Returns: (transfer none) (nullable): F32 [cols] of the layer's input ("amax", "sum", "sum2"); NULL without --stats */
QCONV_API const float *qconv_tile_statistics (const QconvTile *t, const char *name);
/* Returns: (transfer none) (nullable): whole-layer work looks at it now and then */
QCONV_API GCancellable *qconv_tile_cancellable (const QconvTile *t);

/**
 * QconvWork: what encoding one layer takes. Zero before work() fills it.
 *
 * @n_passes: readings of the rows before encode()
 * @chunk_rows: rows of one partial result; 0: core's constant, which never depends on memory or threads
 * @partial_size: bytes of one partial result; its buffer has the type F32. 0: passes read nothing and only finish()
 *   is called, for whole-layer components that do not depend on the rows
 * @whole: encode() needs all rows in one tile
 * @scratch, @scratch_per_row: bytes wanted beside rows and components
 */
typedef struct {
  guint n_passes;
  guint64 chunk_rows;
  gsize partial_size;
  gboolean whole;
  gsize scratch, scratch_per_row;
  gconstpointer reserved[4];
} QconvWork;

typedef struct _QconvQuantizer QconvQuantizer;

/**
 * QconvEncoder: a way into a scheme: from float rows, or (adopting) from the components of another scheme where that
 * is exact.
 *
 * @from: NULL: float rows; else the scheme whose components are taken
 * @operations: needed; ends with { NULL }. NULL: plain C on qconv_buffer_data(), CPU only
 * @work: NULL: all zero
 * @accumulate: NULL where passes read nothing; one chunk → @partial (partial_size bytes, zeroed). Chunks run in any
 *   order on any thread. The rows of a chunk may come in several calls, in order, which go on with what the last one
 *   left in @partial
 * @finish: all @n partials in chunk order, back to back in host memory: fill whole-layer components (host memory here).
 *   *exact = FALSE: these data do not fit, core takes the next encoder; not for the last one
 * @encode: fill the components that follow rows
 */
typedef struct {
  const char *from;
  const QconvOpName *operations;
  void (*work) (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work);
  gboolean (*accumulate) (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial,
                          GError **error);
  gboolean (*finish) (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
                      gboolean *exact, GError **error);
  gboolean (*encode) (const QconvQuantizer *self, const QconvTile *t, GError **error);
  gconstpointer reserved[4];
} QconvEncoder;

typedef struct _QconvComponents QconvComponents;
/* @component is copied with its name */
QCONV_API void qconv_components_add (QconvComponents *out, const QconvComponent *component);

/**
 * QconvQuantizer: one scheme.
 *
 * @id: is the scheme; one row per block type where a plugin knows many
 * @data: the plugin's own, to tell such rows apart
 * @options: QCONV_OPTION_PARAMETER: said by readers too, compared before moving
 * @statistics: (nullable): names of those it can use
 * @float_dtypes: 1 << QCONV_BF16 | … it takes and gives besides F32
 * @cols_multiple: layers whose cols are not a multiple are encoded only when asked for by name; 0: any
 * @encoders: (nullable): tried in order; NULL: decode only
 */
struct _QconvQuantizer {
  const char *id, *summary;
  gconstpointer data;
  const QconvOption *options;
  const char *const *statistics;
  guint32 float_dtypes;
  guint32 cols_multiple;
  /* From all of @layer but its components. QCONV_ERROR_UNSUPPORTED says why the shape will not do */
  gboolean (*components) (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error);
  /* Returns: worst relative MSE that the check accepts for a layer; NULL: exact or not bounded */
  double (*bound) (const QconvQuantizer *self, const QconvLayer *layer);
  const QconvEncoder *const *encoders;
  const QconvOpName *decode_operations; /* as in QconvEncoder */
  /* Components → tile->floats. Scales that are no numbers decode to what the format says; core looks at the result.
     NULL: encode only */
  gboolean (*decode) (const QconvQuantizer *self, const QconvTile *t, GError **error);
  /* Optional: are these components, about to be moved without decoding, ones that a loader survives? */
  gboolean (*validate) (const QconvQuantizer *self, const QconvTile *t, GError **error);
  /* Optional: fill QCONV_COMPONENT_SHARED components of layers with one input; one whole tile each, host memory */
  gboolean (*share) (const QconvQuantizer *self, const QconvTile *const *tiles, guint n, GError **error);
  /* Optional: puts what is meant for a planned layer in the place of "auto" and of what its shape rules out, so that
     components(), the writer and the comparison with a source see the same. Readers claim settled parameters */
  void (*settle) (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values);
  gconstpointer reserved[7];
};
G_END_DECLS
