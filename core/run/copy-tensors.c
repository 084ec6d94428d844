/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/copy-tensors.h"

#include "layer/tile.h"

guint64
qconv_copy_n_pieces (const PlannedLayer *l)
{
  guint64 n = 0;

  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (t->copied != NULL)
        n += t->copied->n_bytes / l->task_cost + (t->copied->n_bytes % l->task_cost != 0);
    }
  return MAX (n, 1); /* nothing takes a step, too */
}

/* Bytes [offset, offset + n) of a tensor through memory, in the order that the output wants */
static gboolean
copy_through_memory (const QconvTensor *from, guint64 offset, gsize n, guint64 to, Arena *arena, Save *save,
                     GError **error)
{
  guint8 *bytes = arena_take (arena, n);

  if (!qconv_tensor_read (from, offset, n, bytes, error))
    return FALSE;
  if (from->big_endian)
    qconv_swap_items (bytes, n, from->dtype);
  return qconv_save_write (save, to, bytes, n, error);
}

gboolean
qconv_copy_piece (const QconvOutput *o, const PlannedLayer *l, guint64 piece, Arena *arena, Save *save, GError **error)
{
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);
      const QconvTensor *from = t->copied, *to = qconv_planned_tensor (o, t);
      guint64 n_pieces = from != NULL ? from->n_bytes / l->task_cost + (from->n_bytes % l->task_cost != 0) : 0;
      guint64 offset = piece * l->task_cost;
      gboolean done = FALSE;

      if (piece >= n_pieces)
        {
          piece -= n_pieces;
          continue;
        }
      if (!from->big_endian
          && !qconv_save_copy (save, to->offset + offset, from->source, from->offset + offset,
                               MIN (l->task_cost, from->n_bytes - offset), &done, error))
        return FALSE;
      return done
             || copy_through_memory (from, offset, (gsize) MIN (l->task_cost, from->n_bytes - offset),
                                     to->offset + offset, arena, save, error);
    }
  return TRUE;
}
