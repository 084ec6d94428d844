/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs or casts components, or writes them as they are, into the bytes of their tensors. convert-layers.c calls it for
   each tile. */
#include "run/write-tensors.h"

#include <string.h>

#include "kernels/stream.h"
#include "layer/hooks.h"

/* Pack: a QconvPack with the components for qconv_pack_component(). @pub comes first, because hooks get only @pub */
typedef struct {
  QconvPack pub;
  const Components *made;
} Pack;

gconstpointer
qconv_pack_component (const QconvPack *p, const char *name)
{
  const Components *made;
  gint i;

  g_return_val_if_fail (p != NULL && name != NULL, NULL);
  made = ((const Pack *) p)->made;
  i = qconv_layer_component_index (&made->layer->pub, name);
  return i >= 0 ? made->buffers[i].data : NULL;
}

/* Piece: bytes [first, first + n) of a tensor. @bytes: (nullable): NULL: zeros */
typedef struct {
  guint64 first, n;
  gconstpointer bytes;
} Piece;

static gboolean
exhausted (const char *what, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_BUG, "%s takes more memory than was planned", what);
}

static gboolean
run_pack (const QconvOutput *o, const PlannedTensor *t, const Components *made, const Rows *rows, Piece *piece,
          GError **error)
{
  Pack pack = { .made = made };

  pack.pub = (QconvPack) {
    .layer = &t->layer->layer->pub,
    .src = t->component >= 0 ? made->buffers[t->component].data : NULL,
    .first_row = rows->first,
    .n_rows = rows->n,
    .dst = arena_take (rows->arena, (gsize) piece->n),
    .n_dst = (gsize) piece->n,
    .data = t->data,
  };
  if (pack.pub.dst == NULL)
    return exhausted ("packing", error);
  memset (pack.pub.dst, 0, pack.pub.n_dst);
  piece->bytes = pack.pub.dst;
  return qconv_call_pack (o->writer, t->pack, &pack.pub, rows->arena, error);
}

static gboolean
cast_component (const PlannedTensor *t, QconvBuffer *from, Arena *arena, Piece *piece, GError **error)
{
  QconvBuffer to = QCONV_BUFFER (arena_take (arena, (gsize) piece->n), (gsize) piece->n, t->dtype);

  piece->bytes = to.data;
  if (to.data == NULL)
    return exhausted ("a cast", error);
  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (from), QCONV_BUF (&to) }, 2,
                           error);
}

static gboolean
make_piece (const QconvOutput *o, const PlannedTensor *t, const Components *made, const Rows *rows, Piece *piece,
            GError **error)
{
  QconvBuffer *from = t->component >= 0 ? &made->buffers[t->component] : NULL;

  if (t->pack != NULL)
    return run_pack (o, t, made, rows, piece, error);
  if (from == NULL)
    {
      piece->bytes = t->data != NULL ? g_bytes_get_data (t->data, NULL) : NULL;
      return TRUE;
    }
  if (from->dtype != t->dtype && qconv_dtype_is_float (from->dtype) && qconv_dtype_is_float (t->dtype))
    return cast_component (t, from, rows->arena, piece, error);
  piece->bytes = from->data;
  return TRUE;
}

gboolean
qconv_write_tensors (OutputFile *file, const PlannedLayer *l, Scope scope, const Components *made, const Rows *rows,
                     GError **error)
{
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);
      Piece piece = { 0, 0, NULL };

      if (t->copied != NULL || qconv_planned_by_rows (t) != (scope == SCOPE_ROWS))
        continue;
      qconv_planned_share (t, qconv_planned_tensor (file->output, t)->n_bytes, rows->first, rows->n, &piece.first,
                           &piece.n);
      if (!make_piece (file->output, t, made, rows, &piece, error)
          || !qconv_output_file_write (file, t, piece.first, piece.bytes, piece.n, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_write_given (OutputFile *file, GError **error)
{
  for (guint i = 0; i < file->output->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (file->output->tensors, i);
      gconstpointer bytes = t->data != NULL ? g_bytes_get_data (t->data, NULL) : NULL;

      if (t->layer == NULL
          && !qconv_output_file_write (file, t, 0, bytes, qconv_planned_tensor (file->output, t)->n_bytes, error))
        return FALSE;
    }
  return TRUE;
}
