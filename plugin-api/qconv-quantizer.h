/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A quantizer is the arithmetic of one scheme: it encodes float rows into components and decodes components into float
   rows. It must keep no state: results of its passes are components. */
#pragma once
#include "qconv-backend.h"
#include "qconv-layer.h"
G_BEGIN_DECLS

/* The option that --effort sets. A quantizer that can search must have it, with these choices: "rtn" gives the bytes of
   the scheme's reference formula, "search" never has a larger error. */
#define QCONV_EFFORT "effort"
#define QCONV_EFFORT_RTN "rtn"
#define QCONV_EFFORT_CHOICES ((const char *const[]) { QCONV_EFFORT_RTN, "search", NULL })

/**
 * QconvTile: some rows of one layer. A tile starts and ends where the runs of all components and tensors do.
 *
 * @layer: the layer to encode or to decode; its options are in layer->values
 * @source: (nullable): for an encoder with @from: the layer that is adopted, which qconv_tile_source() reads
 * @first_row, @n_rows: rows [first_row, first_row + n_rows) of the layer
 * @floats: (nullable): [n_rows, cols], F32 or one of the quantizer's float_dtypes. encode() reads them, and they are
 *   finite; decode() fills them. NULL for an encoder with @from
 * @stream: where operations go; qconv_stream_parallel() runs tasks of encode() on several threads
 * @n_threads: the most threads that encode() gets at once from qconv_stream_parallel(): worker numbers are smaller. It
 *   is 1 unless #QconvWork.whole, because core runs the tiles of other layers at once. The bytes must not depend on it
 */
typedef struct {
  const QconvLayer *layer;
  const QconvLayer *source;
  guint64 first_row, n_rows;
  QconvBuffer *floats;
  QconvStream *stream;
  guint n_threads;
} QconvTile;
/* Returns: (transfer none) (nullable): the share of component @name that these rows own, or all of it if it belongs to
   the whole layer; NULL if it is optional and absent. Whole-layer components hold no values before finish(). */
QCONV_API QconvBuffer *qconv_tile_component (const QconvTile *t, const char *name);
/* Returns: (transfer none) (nullable): the same of component @name of @source. */
QCONV_API QconvBuffer *qconv_tile_source (const QconvTile *t, const char *name);
/* Returns: (transfer none): @n bytes as a buffer of F32, valid until the hook returns. The quantizer must declare them
   in QconvWork: more is QCONV_ERROR_BUG. decode() may use scratch up to the size of its float output without declaring
   it. */
QCONV_API QconvBuffer *qconv_tile_scratch (const QconvTile *t, gsize n, GError **error);
/* Points @again (nullable), the result of an earlier call, or a new buffer at bytes [first, first + n) of @of, as items
   of @dtype: a few rows of a component or of the floats, or scratch of another type than F32. Beyond the end of @of:
   QCONV_ERROR_BUG. Up to 16 views of a hook, for each of its threads, need no declared scratch.
   Returns: (transfer none): the view, valid until the hook returns. */
QCONV_API QconvBuffer *qconv_tile_view (const QconvTile *t, QconvBuffer *again, QconvBuffer *of, QconvDType dtype,
                                        gsize first, gsize n, GError **error);
/* Returns: (transfer none) (nullable): F32 [cols], a statistic of the layer's input ("amax", "sum", "sum2"), or NULL
   without --stats. This core has no --stats yet and always returns NULL. */
QCONV_API const float *qconv_tile_statistics (const QconvTile *t, const char *name);
/* Reports that @done parts of @total of the hook's work are done, for the progress of the run; any thread, as often as
   is convenient. The parts should take about the same time. A hook that does not know the total states the most that it
   may be. Only encode() is heard. */
QCONV_API void qconv_tile_progress (const QconvTile *t, guint64 done, guint64 total);
/* Says that the hook begins round @round, from 1 on, of at most @n_rounds, for the progress of the run. It counts no
   work as done. Only encode() is heard. */
QCONV_API void qconv_tile_round (const QconvTile *t, guint round, guint n_rounds);
/* Returns: (transfer none) (nullable): the cancellable of the run. A hook that takes long should check it often. */
QCONV_API GCancellable *qconv_tile_cancellable (const QconvTile *t);

/**
 * QconvWork: the passes and the memory that encode one layer. Core sets all members to zero before it calls work().
 *
 * @n_passes: the number of times that the rows are read before encode()
 * @chunk_rows: rows of one partial result; 0: core's constant, which never depends on memory or threads
 * @partial_size: bytes of one partial result, whose buffer has the type F32. 0: passes read nothing, and core calls
 *   only finish(), for whole-layer components that do not depend on the rows
 * @whole: encode() needs all rows in one tile, whose floats must then fit --memory (else QCONV_ERROR_LIMIT), and may
 *   also fill components that belong to the whole layer. It is for encode() alone: accumulate() still gets chunks, and
 *   decode() gets any tile that starts and ends with the runs of the components. If decode() needs all rows, too, give
 *   a component the run { layer->rows, all its items }
 * @scratch: bytes that every call of accumulate() and encode() takes from qconv_tile_scratch(), for any number of rows;
 *   finish() and validate() have none
 * @scratch_per_row: further bytes for each row
 * @scratch_per_thread: further bytes for each of the threads of #QconvTile.n_threads, which may all take part at once
 */
typedef struct {
  guint n_passes;
  guint64 chunk_rows;
  gsize partial_size;
  gboolean whole;
  gsize scratch, scratch_per_row, scratch_per_thread;
  gconstpointer reserved[3];
} QconvWork;

typedef struct _QconvQuantizer QconvQuantizer;

/**
 * QconvEncoder: one way into a scheme: from float rows, or from the components of another scheme that it adopts
 * exactly.
 *
 * @from: (nullable): the scheme whose components it takes; NULL: it takes float rows
 * @operations: (nullable): all operations that accumulate() and encode() run; ends with { NULL }. One that runs another
 *   operation fails with QCONV_ERROR_BUG. If a device has them all, these hooks may get buffers of the device, of which
 *   qconv_buffer_data() is NULL: they may touch bytes by operations, qconv_stream_read() and qconv_stream_write()
 *   alone. A hook that must see all bytes of a layer declines the device for it with QCONV_ERROR_DEVICE; core then
 *   calls it again with host memory. NULL: they get host memory, and may run any operation of the CPU
 * @work: (nullable): fills @work from the layer; NULL: all zero
 * @accumulate: (nullable): adds one chunk of rows to @partial (partial_size bytes, zeroed at first). Core runs chunks
 *   in any order on any thread. The rows of one chunk may come in several calls, in order; each call must continue with
 *   the contents of @partial from the call before. NULL if passes read nothing
 * @finish: fills whole-layer components, which are in host memory here, from all @n partials, which lie in the order of
 *   chunks back to back in host memory. It may set *exact = FALSE if these data do not fit; core then takes the next
 *   encoder. The last encoder may not set it
 * @encode: fills the components that follow rows; with #QconvWork.whole any component
 * @bound: with @from: the worst relative MSE that the check accepts between the layer and the one that it takes, as
 *   where one scheme divides by a scale and the other multiplies by its reciprocal; 0: no value may change
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
  double bound;
  gconstpointer reserved[3];
} QconvEncoder;

/**
 * QconvStackPart: rows of a source of a stacked layer, in the order of the stacked layer.
 *
 * @source: the layer and its components that belong to the whole layer, in host memory, for qconv_tile_component()
 * @first, @stride, @n: rows first, first + stride, …: @n of them. @stride is 1 unless every row is a run by itself
 */
typedef struct {
  const QconvTile *source;
  guint64 first, stride, n;
} QconvStackPart;

/**
 * QconvFinding: one kind of odd item that examine() counts in the components of a layer.
 *
 * @code: as in qconv_problems_add()
 * @text: what was found and what loaders make of it. Core puts the count before it: "scales in wscales are NaN". The
 *   text of a QCONV_FINDING_NONE has no count: "lora_up holds only zeros"
 */
typedef enum {
  QCONV_FINDING_PROBLEM, /* a problem of `qconv verify` if any were counted */
  QCONV_FINDING_WARNING, /* a warning if any were counted */
  QCONV_FINDING_NONE,    /* a warning if none were counted */
} QconvFindingKind;
typedef struct {
  QconvFindingKind kind;
  const char *code, *text;
} QconvFinding;

typedef struct _QconvComponents QconvComponents;
/* Appends a copy of @component and its name. */
QCONV_API void qconv_components_add (QconvComponents *out, const QconvComponent *component);

/**
 * QconvQuantizer: one scheme.
 *
 * @id: the name of the scheme. A plugin that knows many block types has one table for each
 * @data: for the plugin, which tells such tables apart by it
 * @options: (nullable): ends with { NULL }. Readers set those with QCONV_OPTION_PARAMETER too; core compares them
 *   before it moves components
 * @statistics: (nullable): names of the statistics that the encoders can use; ends with NULL. This core does not read
 *   it yet
 * @float_dtypes: 1 << QCONV_BF16 | …: types of floats that it reads and writes besides F32
 * @cols_multiple: core encodes a layer whose cols are not a multiple only if the user names it; 0: any
 * @components: lists the components of @layer, whose other members are all set. Must fail with QCONV_ERROR_UNSUPPORTED
 *   and the reason if the shape does not suit the scheme
 * @bound: (nullable): returns the worst relative MSE that the check accepts for a layer; NULL: exact, or without bound
 * @encoders: (nullable): tried in order; ends with NULL, at least one. NULL: decode only
 * @decode_operations: (nullable): as in #QconvEncoder
 * @decode: (nullable): fills tile->floats from the components. A scale that is not a number must decode to the numbers
 *   that the format defines for it; core checks the result. NULL: encode only
 * @validate: (nullable): fails if these components would break a loader; core calls it before it moves them without
 *   decoding
 * @share: (nullable): fills the QCONV_COMPONENT_SHARED components of @n layers with one input; a tile of all rows each,
 *   in host memory. This core never calls it, and refuses schemes with such components (QCONV_ERROR_UNSUPPORTED)
 * @settle: (nullable): replaces "auto", and values that the shape of a planned layer rules out, by
 *   qconv_values_replace(), so that components(), the writer and the comparison with a source see one value. Readers
 *   must claim settled parameters
 * @stack: (nullable): core stacks rows of layers with equal parameters, in another order, and moves the components that
 *   follow rows. stack() makes those that belong to the whole layer, except QCONV_COMPONENT_ANY_ROWS, from the same
 *   components of the @n sources, in host memory and without scratch. NULL: core decodes such layers, unless each of
 *   these components is one number or has that flag, and is equal in all sources
 * @stack_bound: (nullable): returns the worst relative MSE of a stacked layer against the rows that it is made of;
 *   NULL: stack() changes no value
 * @findings: (nullable): what examine() counts; ends with a @code of NULL
 * @examine: (nullable): adds to @counts, one for each of @findings, what the components of the tile hold. Core calls it
 *   from any thread for the tiles of a layer that it decodes to check a file, so nothing is read twice, and adds up the
 *   counts of all tiles. Components of the whole layer must be counted in the tile of row 0 alone
 */
struct _QconvQuantizer {
  const char *id, *summary;
  gconstpointer data;
  const QconvOption *options;
  const char *const *statistics;
  guint32 float_dtypes;
  guint32 cols_multiple;
  gboolean (*components) (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error);
  double (*bound) (const QconvQuantizer *self, const QconvLayer *layer);
  const QconvEncoder *const *encoders;
  const QconvOpName *decode_operations;
  gboolean (*decode) (const QconvQuantizer *self, const QconvTile *t, GError **error);
  gboolean (*validate) (const QconvQuantizer *self, const QconvTile *t, GError **error);
  gboolean (*share) (const QconvQuantizer *self, const QconvTile *const *tiles, guint n, GError **error);
  void (*settle) (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values);
  gboolean (*stack) (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n,
                     GError **error);
  double (*stack_bound) (const QconvQuantizer *self, const QconvLayer *layer);
  const QconvFinding *findings;
  void (*examine) (const QconvQuantizer *self, const QconvTile *t, guint64 *counts);
  gconstpointer reserved[3];
};
G_END_DECLS
