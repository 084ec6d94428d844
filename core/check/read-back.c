/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads tensors in pieces, on all threads, and joins the checksums of the pieces. */
#include "check/read-back.h"

#include <string.h>

#include "base/checksum.h"
#include "plan/cost.h"

typedef struct {
  const QconvDirectory *directory;
  Checksum *sums; /* of each tensor, as it was read */
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
  guint64 n = qconv_directory_tensor (b->directory, item)->n_bytes;

  return (guint) MAX (n / b->piece + (n % b->piece != 0), 1);
}

static gboolean
read_piece (gpointer data, guint item, guint task, Arena *arena, GError **error)
{
  ReadBack *b = data;
  const QconvTensor *t = qconv_directory_tensor (b->directory, item);
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

/* Compares what was read. @sums loses the tensors that the file has */
static void
compare_sums (const ReadBack *b, GHashTable *sums, QconvReport *r)
{
  g_autoptr (GList) lost = NULL;

  for (guint i = 0; i < qconv_directory_n_tensors (b->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (b->directory, i);
      gpointer crc;
      gboolean stated = g_hash_table_lookup_extended (sums, t->name, NULL, &crc);

      r->n_checksums += stated;
      if (!stated)
        qconv_report_problem (r, t->name, "checksum", "nothing states the checksum of this tensor");
      else if (b->sums[i].crc != GPOINTER_TO_UINT (crc))
        qconv_report_problem (r, t->name, "checksum",
                              "the bytes are not those that were written: their CRC-32 is %08x instead of %08x",
                              b->sums[i].crc, GPOINTER_TO_UINT (crc));
      g_hash_table_remove (sums, t->name);
    }
  lost = g_list_sort (g_hash_table_get_keys (sums), (GCompareFunc) strcmp);
  for (const GList *i = lost; i != NULL; i = i->next)
    qconv_report_problem (r, i->data, "checksum", "the tensor was written, the file lacks it");
}

guint64
qconv_read_back_bytes (const QconvModel *m)
{
  guint64 bytes = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (m->directory); i++)
    bytes += qconv_directory_tensor (m->directory, i)->n_bytes;
  return bytes;
}

gboolean
qconv_read_back (const QconvModel *m, GHashTable *sums, const Limits *limits, Progress *progress, QconvReport *r,
                 GError **error)
{
  static const ScheduleOps ops = { no_kept_cost, piece_cost, n_pieces, read_piece, one_phase };
  guint n = qconv_directory_n_tensors (m->directory);
  ReadBack b = { .directory = m->directory, .progress = progress };
  gboolean ok;

  b.piece = (gsize) MIN (READ_BACK_PIECE, limits->memory);
  b.sums = g_new0 (Checksum, n + 1);
  g_mutex_init (&b.lock);
  ok = qconv_schedule_run (&ops, &b, n, limits, progress->listener->cancellable, error);
  if (ok)
    compare_sums (&b, sums, r);
  g_mutex_clear (&b.lock);
  g_free (b.sums);
  return ok;
}
