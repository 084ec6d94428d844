/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies tensors piece by piece. convert-layers.c calls it for layers whose tensors are all copied. */
#include "run/copy-tensors.h"

#include "base/dtype.h"
#include "layer/load.h"

static guint64
pieces_of (const PlannedLayer *l, const PlannedTensor *t)
{
  gsize size = l->tiling.task_cost;

  return t->copied != NULL ? t->copied->n_bytes / size + (t->copied->n_bytes % size != 0) : 0;
}

guint64
qconv_copy_n_pieces (const PlannedLayer *l)
{
  guint64 n = 0;

  for (guint i = 0; i < l->tensors->len; i++)
    n += pieces_of (l, g_ptr_array_index (l->tensors, i));
  return MAX (n, 1); /* an empty tensor still needs one task */
}

/* A stretch of a tensor: bytes [start, start + n) of @from go to @to of the output. @finite: Inf and NaN are refused */
typedef struct {
  const QconvTensor *from;
  guint64 start, to;
  gsize n;
  gboolean finite;
} Stretch;

static gboolean
copy_through_memory (const Stretch *s, Arena *arena, Save *save, GError **error)
{
  guint8 *bytes = arena->base; /* a task of copies has the block for itself */

  if (!qconv_tensor_read (s->from, s->start, s->n, bytes, error))
    return FALSE;
  if (s->from->big_endian)
    qconv_swap_items (bytes, s->n, s->from->dtype);
  if (s->finite && !qconv_floats_check (&QCONV_BUFFER (bytes, s->n, s->from->dtype), error))
    return FALSE;
  return qconv_save_write (save, s->to, bytes, s->n, error);
}

static gboolean
copy_stretch (const Stretch *s, Arena *arena, Save *save, GError **error)
{
  gboolean done = FALSE;

  if (!s->from->big_endian && !s->finite
      && !qconv_save_copy (save, s->to, &(SourceRange) { s->from->source, s->from->offset + s->start, s->n }, &done,
                           error))
    return FALSE;
  return done || copy_through_memory (s, arena, save, error);
}

gboolean
qconv_copy_piece (const OutputFile *file, const PlannedLayer *l, guint64 piece, Arena *arena, GError **error)
{
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);
      guint64 n_pieces = pieces_of (l, t), start = piece * l->tiling.task_cost;
      const QconvTensor *to = qconv_planned_tensor (file->output, t);

      if (piece < n_pieces)
        return copy_stretch (&(Stretch) { t->copied, start, to->offset + start,
                                          (gsize) MIN (l->tiling.task_cost, t->copied->n_bytes - start),
                                          l->finite && qconv_dtype_is_number (t->copied->dtype) },
                             arena, file->save, error);
      piece -= n_pieces;
    }
  return TRUE;
}
