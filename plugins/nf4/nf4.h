/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the quantizers nf4, fp4 and af4 of this plugin: a table of 16 levels, and the largest magnitude
   ("absmax") of every block. */
#pragma once
#include "qconv-plugin.h"

#define NF4_LEVELS 16
#define NF4_NESTED_BLOCK 256
#define NF4_MAP 256

/* One scheme, which is the data of its quantizer. @table: returns levels by code, or NULL if the scheme has none for
   such blocks */
typedef struct {
  const float *(*table) (guint64 block);
  double bound; /* of blocks of 64 */
} Nf4Scheme;
extern const Nf4Scheme nf4_scheme, nf4_scheme_fp4, nf4_scheme_af4;

/**
 * Nf4Size: the places of blocks in a matrix. They run over all weights, row after row.
 *
 * @blocks: the number of blocks; the last one may be shorter
 * @run: run of plain absmax: the fewest rows that are whole blocks, and the number of these blocks
 */
typedef struct {
  guint64 block, blocks;
  QconvRun run;
} Nf4Size;
/* Returns the places of blocks. @layer: not empty, with as many weights as fit 63 bits */
Nf4Size nf4_size (const QconvLayer *layer);
/* Return the first block of a tile, and the number of its blocks. The last tile may end inside a block. */
guint64 nf4_first_block (const QconvLayer *layer, guint64 first_row);
guint64 nf4_n_blocks (const QconvLayer *layer, guint64 n_rows);
gboolean nf4_is_nested (const QconvLayer *layer);
/* Returns the rows of one partial result, whole runs. Follows from the layer alone. */
guint64 nf4_chunk_rows (const QconvLayer *layer);

/* Nested absmax: a byte for each, which is an index of @map */
typedef struct {
  guint8 *codes;
  float *absmax, *map, *offset;
} Nf4Nested;
/* Returns the nested absmax of @t, or of its source if @source. */
Nf4Nested nf4_nested_of (const QconvTile *t, gboolean source);
void nf4_nest (const Nf4Nested *nested, const float *absmax, guint64 n);
/* The same group by group: nf4_nest_begin() gets the sum and the number of all absmax, nf4_nest_group() those of group
   @group, at most NF4_NESTED_BLOCK. */
void nf4_nest_begin (const Nf4Nested *nested, double sum, guint64 n);
void nf4_nest_group (const Nf4Nested *nested, guint64 group, const float *absmax, guint64 n);
/* Decodes the absmax of blocks [first, first + n). */
void nf4_unnest (const Nf4Nested *nested, guint64 first, guint64 n, float *absmax);

/* Returns: (transfer none): the absmax of a tile whose absmax are nested, as scratch memory; NULL with @error. */
QconvBuffer *nf4_absmax_of_nested (const QconvTile *t, GError **error);

/* Make the nested absmax of a stacked layer, and bound its error: see QconvQuantizer. */
gboolean nf4_stack (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n,
                    GError **error);
double nf4_stack_bound (const QconvQuantizer *self, const QconvLayer *layer);

extern const QconvEncoder nf4_from_floats;
/* Turn nested absmax into plain absmax; no value changes. */
extern const QconvEncoder nf4_from_nested, nf4_from_nested_fp4;
