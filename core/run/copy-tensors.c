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

/* A stretch of a tensor: bytes [start, start + n) of the source. @finite: Inf and NaN are refused */
typedef struct {
  const PlannedTensor *tensor;
  guint64 start;
  gsize n;
  gboolean finite;
} Stretch;

/* Fails if the numbers at @bytes must be finite and are not */
static gboolean
check_finite (const Stretch *s, guint8 *bytes, GError **error)
{
  return !s->finite || qconv_floats_check (&QCONV_BUFFER (bytes, s->n, s->tensor->copied->dtype), NULL, error);
}

static gboolean
copy_through_memory (OutputFile *file, const Stretch *s, guint8 *bytes, GError **error)
{
  const QconvTensor *from = s->tensor->copied;

  if (!qconv_tensor_read (from, s->start, s->n, bytes, error))
    return FALSE;
  if (from->big_endian)
    qconv_swap_items (bytes, s->n, from->dtype);
  return check_finite (s, bytes, error) && qconv_output_file_write (file, s->tensor, s->start, bytes, s->n, error);
}

static gboolean
copy_stretch (OutputFile *file, const Stretch *s, Arena *arena, GError **error)
{
  const QconvTensor *from = s->tensor->copied;
  guint8 *room = arena->base; /* a task of copies has the block for itself */
  gboolean done = FALSE;

  if (!from->big_endian
      && !qconv_output_file_copy (file, s->tensor, s->start,
                                  &(SourceRange) { from->source, from->offset + s->start, s->n }, room, &done, error))
    return FALSE;
  return done ? check_finite (s, room, error) : copy_through_memory (file, s, room, error);
}

gboolean
qconv_copy_piece (OutputFile *file, const PlannedLayer *l, guint64 piece, Arena *arena, GError **error)
{
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);
      guint64 n_pieces = pieces_of (l, t), start = piece * l->tiling.task_cost;

      if (piece < n_pieces)
        return copy_stretch (file,
                             &(Stretch) { t, start, (gsize) MIN (l->tiling.task_cost, t->copied->n_bytes - start),
                                          l->finite && qconv_dtype_is_number (t->copied->dtype) },
                             arena, error);
      piece -= n_pieces;
    }
  return TRUE;
}
