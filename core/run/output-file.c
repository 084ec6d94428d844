/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes tensors and adds their bytes to the checksums before they leave the memory. */
#include "run/output-file.h"

#include "base/checksum-map.h"

void
qconv_output_file_init (OutputFile *f, const QconvOutput *output, Save *const *saves, struct _Resume *resume)
{
  f->output = output;
  f->saves = saves;
  f->resume = resume;
  f->sums = g_new0 (Checksum, output->tensors->len + 1);
  g_mutex_init (&f->lock);
}

void
qconv_output_file_clear (OutputFile *f)
{
  g_clear_pointer (&f->sums, g_free);
  g_mutex_clear (&f->lock);
}

static Save *
save_of (const OutputFile *f, const PlannedTensor *t)
{
  return f->saves[qconv_planned_tensor (f->output, t)->file];
}

static void
add_sum (OutputFile *f, const PlannedTensor *t, guint64 first, gconstpointer bytes, guint64 n)
{
  Checksum piece = { 0 };

  qconv_checksum_add (&piece, bytes, n, qconv_planned_tensor (f->output, t)->n_bytes - first - n);
  g_mutex_lock (&f->lock);
  f->sums[t->tensor].crc ^= piece.crc;
  f->sums[t->tensor].n += n;
  g_mutex_unlock (&f->lock);
}

gboolean
qconv_output_file_write (OutputFile *f, const PlannedTensor *t, guint64 first, gconstpointer bytes, guint64 n,
                         GError **error)
{
  add_sum (f, t, first, bytes, n);
  return bytes == NULL
         || qconv_save_write (save_of (f, t), qconv_planned_tensor (f->output, t)->offset + first, bytes, (gsize) n,
                              error);
}

gboolean
qconv_output_file_copy (OutputFile *f, const PlannedTensor *t, guint64 first, const SourceRange *from, void *room,
                        gboolean *done, GError **error)
{
  if (!qconv_save_copy (save_of (f, t), qconv_planned_tensor (f->output, t)->offset + first, from, done, error))
    return FALSE;
  if (!*done)
    return TRUE;
  if (!qconv_source_read (from->source, from->start, (gsize) from->n, room, error))
    return FALSE;
  add_sum (f, t, first, room, from->n);
  return TRUE;
}

gboolean
qconv_output_file_complete (const OutputFile *f, GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (f->output->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (f->output->directory, i);

      if (f->sums[i].n != t->n_bytes)
        return qconv_fail (error, QCONV_ERROR_BUG,
                           "tensor \"%s\" has %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " were written", t->name,
                           t->n_bytes, f->sums[i].n);
    }
  return TRUE;
}

gboolean
qconv_output_file_check_copies (const OutputFile *f, GError **error)
{
  g_autoptr (GError) damaged = NULL;
  g_autoptr (ChecksumMap) stated = qconv_checksum_map_new (f->output->model->directory, &damaged);

  if (damaged != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&damaged));
      return FALSE;
    }
  for (guint i = 0; stated != NULL && i < f->output->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (f->output->tensors, i);
      const QconvTensor *from = t->copied;
      gpointer crc;

      if (from != NULL && !from->big_endian && g_hash_table_lookup_extended (stated->tensors, from->name, NULL, &crc)
          && GPOINTER_TO_UINT (crc) != f->sums[t->tensor].crc)
        return qconv_fail (error, QCONV_ERROR_INPUT,
                           "tensor \"%s\" is damaged: its CRC-32 is %08x, the file states %08x; `qconv verify` shows "
                           "all damage",
                           from->name, f->sums[t->tensor].crc, GPOINTER_TO_UINT (crc));
    }
  return TRUE;
}
