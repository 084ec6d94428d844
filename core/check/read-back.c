/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads tensors in pieces, on all threads, and joins the checksums of the pieces. */
#include "check/read-back.h"

#include "plan/cost.h"

typedef struct {
  const GPtrArray *tensors; /* QconvTensor */
  Checksum *sums;           /* of each, as it was read */
  GMutex lock;
  gsize piece;
  Progress *progress;
} ReadBack;

static gsize
no_kept_cost (gpointer data, guint item)
{
  return 0;
}

static gsize
piece_cost (gpointer data, guint item)
{
  return ((ReadBack *) data)->piece;
}

static guint
n_pieces (gpointer data, guint item)
{
  const ReadBack *b = data;
  guint64 n = ((const QconvTensor *) g_ptr_array_index (b->tensors, item))->n_bytes;

  return (guint) MAX (n / b->piece + (n % b->piece != 0), 1);
}

static gboolean
read_piece (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  ReadBack *b = data;
  const QconvTensor *t = g_ptr_array_index (b->tensors, item);
  guint64 first = (guint64) task * b->piece;
  gsize n = (gsize) MIN (b->piece, t->n_bytes - first);
  Checksum sum = { 0 };

  if (!qconv_tensor_read (t, first, n, arena->base, error))
    return FALSE;
  qconv_checksum_add (&sum, arena->base, n, t->n_bytes - first - n);
  g_mutex_lock (&b->lock);
  b->sums[item].crc ^= sum.crc;
  g_mutex_unlock (&b->lock);
  qconv_progress_add (b->progress, n, t->name);
  return TRUE;
}

static gboolean
one_phase (gpointer data, guint item, gboolean *more, GError **error)
{
  *more = FALSE;
  return TRUE;
}

guint64
qconv_read_back_bytes (const GPtrArray *tensors)
{
  guint64 bytes = 0;

  for (guint i = 0; i < tensors->len; i++)
    bytes += ((const QconvTensor *) g_ptr_array_index (tensors, i))->n_bytes;
  return bytes;
}

Checksum *
qconv_read_back (const GPtrArray *tensors, const Limits *limits, Progress *progress, GError **error)
{
  static const ScheduleOps ops = { no_kept_cost, piece_cost, n_pieces, read_piece, one_phase };
  ReadBack b = { .tensors = tensors, .progress = progress };

  b.piece = (gsize) MIN (READ_BACK_PIECE, limits->memory);
  b.sums = g_new0 (Checksum, tensors->len + 1);
  g_mutex_init (&b.lock);
  if (!qconv_schedule_run (&ops, &b, tensors->len, limits, progress->listener->cancellable, error))
    g_clear_pointer (&b.sums, g_free);
  g_mutex_clear (&b.lock);
  return b.sums;
}
