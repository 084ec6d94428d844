/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Goes on where an interrupted run stopped. The journal begins with the digests of the plan; each further line is a
   layer that is done: its number, whether the source's components were adopted, and the CRC-32 of each of its tensors.
   Nothing waits for the disk when a layer is noted: a line is a claim, and qconv_resume_take() believes only bytes that
   it has read. Layers that a power failure took away are thus done again. */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "base/error.h"
#include "check/read-back.h"
#include "io/journal.h"
#include "plan/plan-digest.h"
#include "run/resume.h"

#define HEAD "plan"

/* Note: a line of the journal about one layer. @sums: (nullable): CRC-32 of its tensors; NULL: there is no such line */
typedef struct {
  gboolean adopted;
  guint32 *sums;
} Note;

/**
 * Resume:
 * @saves: (element-type Save): of each file of the output. The lock of the first guards the journal
 * @found: a temporary file has bytes of an earlier run
 * @notes, @done: by number of the layer
 */
struct _Resume {
  const QconvPlan *plan;
  GPtrArray *saves;
  Journal *journal;
  gboolean found;
  Note *notes;
  gboolean *done;
};

static Save *
save_at (const Resume *r, guint i)
{
  return g_ptr_array_index (r->saves, i);
}

static const PlannedLayer *
layer_at (const Resume *r, guint i)
{
  return g_ptr_array_index (r->plan->output.layers, i);
}

/* ---- The journal ---- */

/* Returns: (transfer full): the first line of a journal */
static char *
head_line (const QconvPlan *p, GError **error)
{
  g_autoptr (GString) line = g_string_new (HEAD);

  for (guint i = 0; i < N_DIGEST_PARTS; i++)
    {
      g_autofree char *digest = qconv_plan_digest (p, i, error);

      if (digest == NULL)
        return NULL;
      g_string_append_printf (line, " %s", digest);
    }
  return g_string_free (g_steal_pointer (&line), FALSE);
}

/* Returns why a journal that begins with @found (nullable) is not one of the plan whose journal begins with @head; NULL
   if it is */
static const char *
difference (const char *found, const char *head)
{
  static const char *const reasons[] = { N_ ("the journal is damaged"), N_ ("qconv or a plugin is another one"),
                                         N_ ("an input has changed"), N_ ("the options or the output differ") };
  g_auto (GStrv) now = g_strsplit (head, " ", -1);
  g_auto (GStrv) then = g_strsplit (found != NULL ? found : "", " ", -1);

  G_STATIC_ASSERT (G_N_ELEMENTS (reasons) == 1 + N_DIGEST_PARTS);
  if (g_strv_length (then) != g_strv_length (now))
    return _ (reasons[0]);
  for (guint i = 0; now[i] != NULL; i++)
    if (strcmp (then[i], now[i]) != 0)
      return _ (reasons[i]);
  return NULL;
}

/* Takes a line about a layer. A later line about the same layer replaces it */
static void
take_note (Resume *r, const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  guint n_words = g_strv_length (words);
  g_autofree guint32 *sums = NULL;
  guint64 layer, adopted, sum;
  guint n;

  if (n_words < 2 || r->plan->output.layers->len == 0
      || !g_ascii_string_to_unsigned (words[0], 10, 0, r->plan->output.layers->len - 1, &layer, NULL)
      || !g_ascii_string_to_unsigned (words[1], 10, 0, 1, &adopted, NULL))
    return;
  n = layer_at (r, (guint) layer)->tensors->len;
  if (n_words != 2 + n)
    return;
  sums = g_new0 (guint32, n + 1);
  for (guint i = 0; i < n; i++)
    {
      if (!g_ascii_string_to_unsigned (words[2 + i], 16, 0, G_MAXUINT32, &sum, NULL))
        return;
      sums[i] = (guint32) sum;
    }
  g_free (r->notes[layer].sums);
  r->notes[layer] = (Note) { adopted != 0, g_steal_pointer (&sums) };
}

gboolean
qconv_resume_note (Resume *r, const OutputFile *file, guint layer, GError **error)
{
  const PlannedLayer *l = layer_at (r, layer);
  g_autoptr (GString) line = g_string_new (NULL);

  g_string_append_printf (line, "%u %d", layer, l->adopted);
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      g_string_append_printf (line, " %08x", file->sums[t->tensor].crc);
    }
  return qconv_journal_append (r->journal, line->str, error);
}

/* ---- Begin and end ---- */

/* Makes all files as large as those of the output; from now on they stay */
static gboolean
keep_all (Resume *r, GError **error)
{
  for (guint i = 0; i < r->saves->len; i++)
    if (!qconv_save_keep (save_at (r, i), error))
      return FALSE;
  return TRUE;
}

static gboolean
empty_all (Resume *r, GError **error)
{
  for (guint i = 0; i < r->saves->len; i++)
    if (!qconv_save_empty (save_at (r, i), error))
      return FALSE;
  return TRUE;
}

/* Takes the notes of the same plan, or empties all files for this one */
static gboolean
begin (Resume *r, GError **error)
{
  const char *const *lines = qconv_journal_lines (r->journal);
  g_autofree char *head = head_line (r->plan, error);
  const char *reason;

  if (head == NULL)
    return FALSE;
  reason = r->found ? difference (lines[0], head) : NULL;
  if (reason != NULL)
    qconv_warn (&r->plan->warn, _ ("%s: all work of the interrupted run is done anew: %s"), qconv_plan_output (r->plan),
                reason);
  if (r->found && reason == NULL)
    {
      for (guint i = 1; lines[i] != NULL; i++)
        take_note (r, lines[i]);
      return keep_all (r, error);
    }
  /* Bytes without a journal would be taken for a stranger's, so they go first and come last */
  r->found = FALSE;
  return empty_all (r, error) && qconv_journal_start (r->journal, head, error) && keep_all (r, error);
}

/* Opens the temporary files. One that is missing is made: its layers do not have the checksums of their notes */
static gboolean
open_all (Resume *r, GError **error)
{
  for (guint i = 0; i < r->plan->files->len; i++)
    {
      const PlannedFile *f = qconv_plan_file (r->plan, i);
      gboolean found = FALSE;
      Save *s = qconv_save_open_kept (f->path, f->layout.file_size, &found, error);

      if (s == NULL)
        return FALSE;
      g_ptr_array_add (r->saves, s);
      r->found |= found;
    }
  return TRUE;
}

Resume *
qconv_resume_open (const QconvPlan *p, GError **error)
{
  g_autoptr (Resume) r = g_new0 (Resume, 1);
  g_autofree char *path = qconv_save_journal_path (qconv_plan_output (p));

  r->plan = p;
  r->notes = g_new0 (Note, p->output.layers->len + 1);
  r->done = g_new0 (gboolean, p->output.layers->len + 1);
  r->saves = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_save_free);
  r->journal = open_all (r, error) ? qconv_journal_open (path, error) : NULL;
  if (r->journal == NULL)
    return NULL;
  if (r->found && qconv_journal_lines (r->journal) == NULL)
    {
      qconv_journal_remove (r->journal);
      qconv_fail (error, QCONV_ERROR_OPTION, "%s: there is no journal of qconv for it: move it away",
                  qconv_save_temporary (save_at (r, 0)));
      return NULL;
    }
  if (begin (r, error))
    return g_steal_pointer (&r);
  if (!r->found) /* the temporary files do not stay either */
    qconv_journal_remove (r->journal);
  return NULL;
}

void
qconv_resume_free (Resume *r)
{
  for (guint i = 0; i < r->plan->output.layers->len; i++)
    g_free (r->notes[i].sums);
  g_free (r->notes);
  g_free (r->done);
  g_clear_pointer (&r->journal, qconv_journal_free);
  g_ptr_array_unref (r->saves); /* the last */
  g_free (r);
}

Save *const *
qconv_resume_saves (Resume *r)
{
  return (Save *const *) r->saves->pdata;
}

void
qconv_resume_end (Resume *r, const GError *error)
{
  int status = error != NULL ? qconv_error_exit_status (error) : 0;
  gboolean in_vain = status == 3 || status == 4; /* the input or the result is at fault */

  if (error != NULL && !in_vain)
    {
      g_message (_ ("%s: the work that is done stays; --resume goes on with it"), qconv_plan_output (r->plan));
      return;
    }
  qconv_journal_remove (r->journal);
  for (guint i = 0; in_vain && i < r->saves->len; i++)
    qconv_save_drop (save_at (r, i));
}

/* ---- What is done ---- */

gboolean
qconv_resume_is_done (const Resume *r, guint layer)
{
  return r->done[layer];
}

/* Returns: (transfer full) (element-type QconvTensor): the tensors of all layers that have notes, as tensors of
   @sources, the files */
static GPtrArray *
noted_tensors (const Resume *r, const GPtrArray *sources)
{
  GPtrArray *tensors = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < r->plan->output.layers->len; i++)
    for (guint k = 0; r->notes[i].sums != NULL && k < layer_at (r, i)->tensors->len; k++)
      {
        const PlannedTensor *t = g_ptr_array_index (layer_at (r, i)->tensors, k);
        QconvTensor *copy = g_memdup2 (qconv_planned_tensor (&r->plan->output, t), sizeof *copy);

        copy->source = g_ptr_array_index (sources, copy->file);
        g_ptr_array_add (tensors, copy);
      }
  return tensors;
}

/* Returns: (transfer full) (element-type QconvSource): the temporary files */
static GPtrArray *
open_sources (const Resume *r, GError **error)
{
  g_autoptr (GPtrArray) sources = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_source_free);

  for (guint i = 0; i < r->saves->len; i++)
    {
      QconvSource *s = qconv_source_open (qconv_save_temporary (save_at (r, i)), error);

      if (s == NULL)
        return NULL;
      g_ptr_array_add (sources, s);
    }
  return g_steal_pointer (&sources);
}

/* Returns: (transfer full): the checksums of noted_tensors() as they are in the files */
static Checksum *
read_noted (const Resume *r, const Listener *listener, GError **error)
{
  g_autoptr (GPtrArray) sources = open_sources (r, error);
  g_autoptr (GPtrArray) tensors = sources != NULL ? noted_tensors (r, sources) : NULL;
  Progress counter;
  Checksum *sums;

  if (sources == NULL)
    return NULL;
  qconv_progress_init (&counter, qconv_read_back_bytes (tensors), "checking", listener);
  sums = qconv_read_back (tensors, &r->plan->limits, &counter, error);
  if (sums != NULL && tensors->len > 0)
    qconv_progress_finish (&counter);
  qconv_progress_clear (&counter);
  return sums;
}

/* Takes a layer as done if @found, the checksums of its tensors in the files, are those of its note */
static void
take_layer (Resume *r, guint i, const Checksum *found, OutputFile *file)
{
  PlannedLayer *l = g_ptr_array_index (r->plan->output.layers, i);

  for (guint k = 0; k < l->tensors->len; k++)
    if (found[k].crc != r->notes[i].sums[k])
      return;
  r->done[i] = TRUE;
  l->adopted = r->notes[i].adopted;
  for (guint k = 0; k < l->tensors->len; k++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, k);

      file->sums[t->tensor] = (Checksum) { found[k].crc, qconv_planned_tensor (file->output, t)->n_bytes };
    }
}

/* Clears all bytes of file @i but those of @whole, a set of tensors */
static gboolean
clear_file (const Resume *r, guint i, GHashTable *whole, GError **error)
{
  const Layout *l = &qconv_plan_file (r->plan, i)->layout;
  guint64 end = 0;

  for (guint k = 0; k < l->n; k++)
    if (g_hash_table_contains (whole, l->tensors[k]))
      {
        if (!qconv_save_clear (save_at (r, i), end, l->tensors[k]->offset - end, error))
          return FALSE;
        end = l->tensors[k]->offset + l->tensors[k]->n_bytes;
      }
  return qconv_save_clear (save_at (r, i), end, l->file_size - end, error);
}

/* Clears all bytes but those of the layers that are done: the run leaves zeros of a new file as they are */
static gboolean
clear_rest (const Resume *r, const OutputFile *file, GError **error)
{
  g_autoptr (GHashTable) whole = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < file->output->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (file->output->tensors, i);

      if (file->sums[t->tensor].n > 0)
        g_hash_table_add (whole, (gpointer) qconv_planned_tensor (file->output, t));
    }
  for (guint i = 0; i < r->saves->len; i++)
    if (!clear_file (r, i, whole, error))
      return FALSE;
  return TRUE;
}

gboolean
qconv_resume_take (Resume *r, OutputFile *file, const Listener *listener, GError **error)
{
  g_autofree Checksum *found = NULL;
  guint n = r->plan->output.layers->len, n_done = 0, tensor = 0;

  if (!r->found)
    return TRUE;
  found = read_noted (r, listener, error);
  if (found == NULL)
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (r->notes[i].sums != NULL)
      {
        take_layer (r, i, found + tensor, file);
        tensor += layer_at (r, i)->tensors->len;
        n_done += r->done[i];
      }
  g_message (_ ("%s: goes on with an interrupted run: %u of %u layers are done"), qconv_plan_output (r->plan), n_done,
             n);
  return clear_rest (r, file, error);
}
