/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums of a plan: those that the input states, and those that are laid out with the output. */
#include "plan/plan-checksums.h"

#include "base/checksum-map.h"
#include "io/source.h"
#include "plan/files.h"

#define SEE_VERIFY "; `qconv verify` shows all damage"

gboolean
qconv_plan_check_stated (const QconvPlan *p, GError **error)
{
  const QconvDirectory *d = p->model->directory;
  g_autoptr (GError) damaged = NULL;
  g_autoptr (ChecksumMap) stated = qconv_checksum_map_new (d, &damaged);
  g_autoptr (GPtrArray) lines = NULL;

  if (damaged != NULL || (stated != NULL && !qconv_checksum_map_check_types (stated, d, &damaged)))
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s" SEE_VERIFY, damaged->message);
  lines = stated != NULL ? qconv_checksum_map_changed_keys (stated, d) : NULL;
  for (guint i = 0; lines != NULL && i < lines->len; i++)
    qconv_warn (&p->warn, "%s: %s", qconv_source_name (p->model->source), (const char *) g_ptr_array_index (lines, i));
  return TRUE;
}

/* Fails with @refused (transfer full), and says so if the files could be laid out without checksums */
static void
fail_layout (QconvPlan *p, const FilesJob *job, GError *refused, GError **error)
{
  g_autoptr (GError) own = refused;
  g_autoptr (GPtrArray) without = NULL;

  qconv_output_set_metadata (&p->output, QCONV_CHECKSUMS, NULL);
  if (p->checksums && own->domain == QCONV_ERROR)
    without = qconv_files_new (job, NULL);
  if (without != NULL)
    qconv_fail (error, own->code, "%s; --no-checksums makes it fit", own->message);
  else
    g_propagate_error (error, g_steal_pointer (&own));
}

GPtrArray *
qconv_plan_lay_out (QconvPlan *p, const Checksum *sums, GError **error)
{
  GError *refused = NULL;
  const QconvContainer *c = qconv_registry_container (p->target->writer->container);
  g_autofree char *text = p->checksums ? qconv_checksum_map_text (p->output.directory, sums) : NULL;
  const FilesJob job = { &p->output, p->path, p->split };
  GPtrArray *files;

  if (c->lay_out == NULL)
    {
      qconv_fail (error, QCONV_ERROR_BUG, "container %s cannot be written", c->id);
      return NULL;
    }
  qconv_output_set_metadata (&p->output, QCONV_CHECKSUMS, text);
  files = qconv_files_new (&job, &refused);
  if (files == NULL)
    fail_layout (p, &job, refused, error);
  return files;
}

/* Returns whether all @files are as large as those of @p, and so are their headers */
static gboolean
same_sizes (const QconvPlan *p, const GPtrArray *files)
{
  for (guint i = 0; i < files->len; i++)
    {
      const Layout *a = &qconv_plan_file (p, i)->layout, *b = &((const PlannedFile *) files->pdata[i])->layout;

      if (a->file_size != b->file_size || a->header->len != b->header->len)
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_plan_set_checksums (QconvPlan *p, const Checksum *sums, GError **error)
{
  g_autoptr (GPtrArray) with = p->checksums ? qconv_plan_lay_out (p, sums, error) : NULL;

  if (with == NULL)
    return !p->checksums;
  if (with->len != p->files->len || !same_sizes (p, with))
    return qconv_fail (error, QCONV_ERROR_BUG, "container %s makes headers of two lengths from texts of one length",
                       p->target->writer->container);
  for (guint i = 0; i < with->len; i++) /* the run may have followed links, and somebody may hold the path */
    {
      PlannedFile *f = g_ptr_array_index (with, i);

      g_free (f->path);
      f->path = g_steal_pointer (&qconv_plan_file (p, i)->path);
    }
  g_ptr_array_unref (p->files);
  p->files = g_steal_pointer (&with);
  return TRUE;
}
