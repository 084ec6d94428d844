/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls the hooks of plugins that can fail. Core calls them nowhere else, so that every broken contract becomes
   QCONV_ERROR_BUG with the names of the plugin, the feature and the hook. */
#pragma once
#include "layer/tile.h"
#include "qconv-writer.h"

/**
 * Hook: one hook of one feature, for messages.
 *
 * @kind: "container", "reader", "quantizer", "writer"
 * @feature: (nullable): the table; its first member is the id
 * @name: of the hook
 * @layer: (nullable): the layer that it was called for; NULL if the caller adds it, or for the whole file
 */
typedef struct {
  const char *kind;
  gconstpointer feature;
  const char *name;
  const char *layer;
} Hook;
/* Fails with QCONV_ERROR_BUG: "layer "L": plugin P: NAME() of KIND "ID" …" */
gboolean qconv_hook_broke (const Hook *hook, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Every function that returns gboolean fails as its hook does. It fails with QCONV_ERROR_BUG if the hook returns FALSE
   without an error, returns TRUE with one, or writes beyond a buffer */

/* ---- Containers ---- */

/* Layout: what lay_out() gets and fills */
typedef struct {
  const QconvDirectory *planned;
  QconvTensor **tensors;
  guint n;
  GByteArray *header;
  guint64 file_size;
} Layout;
gboolean qconv_call_open (const QconvContainer *c, QconvSource *source, const QconvValues *options,
                          QconvDirectory *directory, GError **error);
gboolean qconv_call_lay_out (const QconvContainer *c, Layout *layout, GError **error);
/* The hooks of c->split */
gboolean qconv_call_part_metadata (const QconvContainer *c, const QconvDirectory *whole, guint no, guint n,
                                   QconvDirectory *part, GError **error);
gboolean qconv_call_index (const QconvContainer *c, const QconvDirectory *whole, const char *const *parts,
                           GByteArray *text, GError **error);
gboolean qconv_call_complete (const QconvContainer *c, const Layout *layout, QconvFile *file, GError **error);

/* ---- Readers ---- */

gboolean qconv_call_claim (const QconvReader *r, const QconvDirectory *d, const QconvValues *options,
                           QconvClaims *claims, GError **error);
/* @reader: (nullable): the reader that bound @f; @arena: holds load->dst */
gboolean qconv_call_load (const QconvReader *reader, QconvLoadFunc f, const QconvLoad *load, const Arena *arena,
                          GError **error);

/* ---- Quantizers ---- */

gboolean qconv_call_components (const QconvQuantizer *q, const QconvLayer *layer, QconvComponents *out, GError **error);
/* Sets @bound to the bound of @layer. Fails with QCONV_ERROR_BUG unless it is a finite number, at least 0 */
gboolean qconv_call_bound (const QconvQuantizer *q, const QconvLayer *layer, double *bound, GError **error);

/* Pass: one pass of an encoder, for accumulate() and finish() */
typedef struct {
  const QconvQuantizer *quantizer;
  const QconvEncoder *encoder;
  guint number;
} Pass;
gboolean qconv_call_accumulate (const Pass *pass, const Tile *tile, QconvBuffer *partial, GError **error);
gboolean qconv_call_finish (const Pass *pass, const Tile *tile, gconstpointer partials, gsize n, gboolean *exact,
                            GError **error);
gboolean qconv_call_encode (const QconvQuantizer *q, const QconvEncoder *e, const Tile *tile, GError **error);
gboolean qconv_call_decode (const QconvQuantizer *q, const Tile *tile, GError **error);
/* Returns TRUE if @q has no hook validate() */
gboolean qconv_call_validate (const QconvQuantizer *q, const Tile *tile, GError **error);
/* Does nothing if @q has no hook examine(). @counts: one for each of its findings */
gboolean qconv_call_examine (const QconvQuantizer *q, const Tile *tile, guint64 *counts, GError **error);
/* Returns the number of kinds that the hook examine() of @q counts; 0: it has no such hook. @q: (nullable) */
guint qconv_n_findings (const QconvQuantizer *q);
gboolean qconv_call_stack (const QconvQuantizer *q, const Tile *tile, const QconvStackPart *parts, guint n,
                           GError **error);
/* The same as qconv_call_bound() of the hook stack_bound(). Sets @bound to 0 if @q has no such hook */
gboolean qconv_call_stack_bound (const QconvQuantizer *q, const QconvLayer *layer, double *bound, GError **error);

/* ---- Writers ---- */

gboolean qconv_call_layer (const QconvWriter *w, QconvOutput *o, const QconvLayer *layer, GError **error);
gboolean qconv_call_keep (const QconvWriter *w, QconvOutput *o, const QconvLayer *tensor, GError **error);
/* Returns TRUE if @w has no hook end() */
gboolean qconv_call_end (const QconvWriter *w, QconvOutput *o, GError **error);
/* @arena: holds pack->dst */
gboolean qconv_call_pack (const QconvWriter *w, QconvPackFunc f, const QconvPack *pack, const Arena *arena,
                          GError **error);
