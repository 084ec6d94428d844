/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder from floats of nf4, fp4 and af4. Nested absmax needs a pass over the layer first, because it depends
   on the absmax of all blocks. */
#include "nf4.h"

#include <string.h>

#include "quantizer-checks.h"

/* Bytes for the alignment and bookkeeping of scratch memory */
#define SLACK 1024

static gboolean
is_rtn (const QconvLayer *layer)
{
  return qconv_effort_is_rtn (layer);
}

/* Returns how many blocks @rows rows hold or touch, at most those of the layer. */
static gsize
blocks_of_rows (const QconvLayer *layer, guint64 rows)
{
  return (gsize) nf4_n_blocks (layer, MIN (rows, layer->rows));
}

static void
plan (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->scratch = SLACK;
  work->n_passes = 1;
  if (!nf4_is_nested (layer))
    return;
  work->chunk_rows = nf4_chunk_rows (layer);
  work->partial_size = blocks_of_rows (layer, work->chunk_rows) * sizeof (float);
  work->scratch_per_row = (gsize) (layer->cols / nf4_size (layer).block + 2) * sizeof (float);
}

static const float *
table_of (const QconvQuantizer *self, const QconvLayer *layer)
{
  const Nf4Scheme *scheme = self->data;

  return scheme->table (nf4_size (layer).block);
}

/* Finds the absmax of the tile, in its place in @partial */
static gboolean
accumulate_absmax (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const gsize first = (gsize) nf4_first_block (t->layer, t->first_row % nf4_chunk_rows (t->layer)) * sizeof (float);
  const gsize n = blocks_of_rows (t->layer, t->n_rows) * sizeof (float), table_bytes = NF4_LEVELS * sizeof (float);
  QconvBuffer *table = qconv_tile_scratch (t, table_bytes, error);
  QconvBuffer *absmax = qconv_tile_view (t, NULL, partial, QCONV_F32, first, n, error);
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (table),        QCONV_BUF (absmax),
                            QCONV_I (t->n_rows),   QCONV_I (t->layer->cols), QCONV_I (nf4_size (t->layer).block) };

  return table != NULL && absmax != NULL
         && qconv_stream_write (t->stream, table, 0, table_bytes, table_of (self, t->layer), error)
         && qconv_stream_run (t->stream, is_rtn (t->layer) ? "codebook4-absmax-rtn" : "codebook4-absmax-search", 1,
                              args, G_N_ELEMENTS (args), error);
}

/* Stores the table and the nested absmax. Chunks are whole runs, so the partial results form one array. */
static gboolean
finish_whole (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
              gboolean *exact, GError **error)
{
  memcpy (qconv_buffer_data (qconv_tile_component (t, "codebook")), table_of (self, t->layer),
          NF4_LEVELS * sizeof (float));
  if (nf4_is_nested (t->layer))
    {
      Nf4Nested nested = nf4_nested_of (t, FALSE);

      nf4_nest (&nested, partials, nf4_size (t->layer).blocks);
    }
  return TRUE;
}

/* Decodes the nested absmax first, so that searched codes are the nearest ones under it. With effort=rtn codes belong
   to the absmax before nesting, as in bitsandbytes. */
static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  gboolean nested = nf4_is_nested (t->layer), rtn = is_rtn (t->layer);
  QconvBuffer *absmax = nested ? nf4_absmax_of_nested (t, error) : qconv_tile_component (t, "absmax");
  const char *op = rtn ? "codebook4-encode-rtn" : nested ? "codebook4-encode-given" : "codebook4-encode-search";

  return absmax != NULL
         && qconv_stream_run (t->stream, op, 1,
                              (QconvArg[]) { QCONV_BUF (t->floats), QCONV_BUF (qconv_tile_component (t, "codebook")),
                                             QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (absmax),
                                             QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                                             QCONV_I (nf4_size (t->layer).block) },
                              7, error);
}

const QconvEncoder nf4_from_floats = {
  .operations = (const QconvOpName[]) { { "codebook4-absmax-rtn", 1 },
                                        { "codebook4-absmax-search", 1 },
                                        { "codebook4-encode-given", 1 },
                                        { "codebook4-encode-rtn", 1 },
                                        { "codebook4-encode-search", 1 },
                                        { NULL, 0 } },
  .work = plan,
  .accumulate = accumulate_absmax,
  .finish = finish_whole,
  .encode = encode,
};
