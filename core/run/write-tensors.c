/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/write-tensors.h"

#include <string.h>

/* What qconv_pack_component() looks into; the public part comes first */
typedef struct {
  QconvPack pub;
  const Components *made;
} Pack;

gconstpointer
qconv_pack_component (const QconvPack *p, const char *name)
{
  const Components *made = ((const Pack *) p)->made;
  gint i = qconv_layer_component_index (&made->layer->pub, name);

  return i >= 0 ? made->buffers[i].data : NULL;
}

/* Bytes [first, first + n) of the tensor, wherever they come from */
typedef struct {
  guint64 first, n;
  gconstpointer bytes;
} Piece;

static gboolean
run_pack (const PlannedTensor *t, const Components *made, guint64 first_row, guint64 n_rows, Arena *arena, Piece *piece,
          GError **error)
{
  Pack pack = { .made = made };

  pack.pub = (QconvPack) {
    .layer = &t->layer->layer->pub,
    .src = t->component >= 0 ? made->buffers[t->component].data : NULL,
    .first_row = first_row,
    .n_rows = n_rows,
    .dst = arena_take (arena, (gsize) piece->n),
    .n_dst = (gsize) piece->n,
    .data = t->planned.data,
  };
  if (pack.pub.dst == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": packing takes more memory than was planned",
                       t->layer->layer->name);
  memset (pack.pub.dst, 0, pack.pub.n_dst);
  piece->bytes = pack.pub.dst;
  return t->planned.pack (&pack.pub, error);
}

static gboolean
cast_component (const PlannedTensor *t, QconvBuffer *from, Arena *arena, Piece *piece, GError **error)
{
  QconvBuffer to = QCONV_BUFFER (arena_take (arena, (gsize) piece->n), (gsize) piece->n, t->planned.dtype);

  piece->bytes = to.data;
  if (to.data == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": a cast takes more memory than was planned",
                       t->layer->layer->name);
  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (from), QCONV_BUF (&to) }, 2,
                           error);
}

static gboolean
make_piece (const PlannedTensor *t, const Components *made, guint64 first_row, guint64 n_rows, Arena *arena,
            Piece *piece, GError **error)
{
  QconvBuffer *from = t->component >= 0 ? &made->buffers[t->component] : NULL;

  if (t->planned.pack != NULL)
    return run_pack (t, made, first_row, n_rows, arena, piece, error);
  if (from == NULL)
    {
      piece->bytes = t->planned.data != NULL ? g_bytes_get_data (t->planned.data, NULL) : NULL;
      return TRUE;
    }
  if (from->dtype != t->planned.dtype && qconv_dtype_is_float (from->dtype) && qconv_dtype_is_float (t->planned.dtype))
    return cast_component (t, from, arena, piece, error);
  piece->bytes = from->data;
  return TRUE;
}

gboolean
qconv_pack_tensors (const QconvOutput *o, const PlannedLayer *l, Parts parts, const Components *made, guint64 first,
                    guint64 n, Arena *arena, Save *save, GError **error)
{
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);
      const QconvTensor *tensor = qconv_planned_tensor (o, t);
      Piece piece = { 0, 0, NULL };

      if (t->copied != NULL || qconv_planned_by_rows (t) != (parts == PARTS_ROWS))
        continue;
      qconv_planned_share (t, tensor, first, n, &piece.first, &piece.n);
      if (!make_piece (t, made, first, n, arena, &piece, error))
        return FALSE;
      /* Nothing to write is zeros, which the file holds already */
      if (piece.bytes != NULL
          && !qconv_save_write (save, tensor->offset + piece.first, piece.bytes, (gsize) piece.n, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_pack_file (const QconvPlan *plan, Save *save, GError **error)
{
  if (!qconv_save_write (save, 0, plan->header->data, plan->header->len, error))
    return FALSE;
  for (guint i = 0; i < plan->output.tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (plan->output.tensors, i);
      const QconvTensor *tensor = qconv_planned_tensor (&plan->output, t);

      if (t->layer == NULL && t->planned.data != NULL
          && !qconv_save_write (save, tensor->offset, g_bytes_get_data (t->planned.data, NULL), (gsize) tensor->n_bytes,
                                error))
        return FALSE;
    }
  return TRUE;
}
