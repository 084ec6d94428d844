/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairs the layers of the written files with their sources, which expected.c compares. run.c calls it after a run. */
#include "check/check.h"

#include <string.h>

#include "base/names.h"
#include "check/expected.h"
#include "layer/hooks.h"
#include "plan/encoder.h"

/* Sets the bound of a pair: that of the written scheme, or that of moving if @l was moved or adopted */
static gboolean
find_bound (Pair *p, const PlannedLayer *l, GError **error)
{
  const Layer *from = p->reference->layer;

  p->moved = l->how == HOW_MOVE || l->adopted;
  if (!p->moved)
    return qconv_expected_bound (p->got, &p->bound, error);
  p->bound = 0;
  if (qconv_source_layer_stacked (p->reference)
      && !qconv_call_stack_bound (from->quantizer, &from->pub, &p->bound, error))
    return FALSE;
  for (guint i = 0; l->adopted && qconv_encoder (l, i) != NULL; i++)
    if (qconv_encoder (l, i)->from != NULL)
      p->bound = MAX (p->bound, qconv_encoder (l, i)->bound);
  return TRUE;
}

const SourceLayer *
qconv_check_find_written (const QconvModel *written, const PlannedLayer *l)
{
  g_autofree char *name = l->layer->quantizer != NULL ? qconv_weight_name (l->layer->name) : g_strdup (l->layer->name);

  return qconv_model_find_tensor (written, name);
}

static gboolean
pair_plan (const QconvPlan *p, const QconvModel *written, Expected *e, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      const SourceLayer *got = qconv_check_find_written (written, l);

      if (l->copies || !qconv_planned_is_weight (l) || !qconv_source_layer_has_floats (l->source))
        continue;
      if (got == NULL)
        qconv_report_problem (e->report, l->layer->name, "missing", "the layer is not in the file");
      else if (qconv_source_layer_has_floats (got))
        {
          Pair pair = { .reference = l->source, .got = got };

          if (!find_bound (&pair, l, error))
            return FALSE;
          qconv_expected_add (e, &pair);
        }
      else if (strcmp (got->layer->scheme, l->layer->scheme) == 0)
        qconv_report_layer (e->report, got->name, got->layer->scheme, -1);
      else
        qconv_report_problem (e->report, got->name, "scheme", "the layer is %s in the file instead of %s",
                              got->layer->scheme, l->layer->scheme);
    }
  return TRUE;
}

/* Returns: (transfer full): the files at @paths. Those of a set go by the names that they will have: that is how one
   finds the others. The strings belong to @names */
static SourceName *
name_files (const QconvPlan *p, const char *const *paths, GPtrArray *names)
{
  SourceName *files = g_new (SourceName, p->files->len);

  for (guint i = 0; i < p->files->len; i++)
    {
      char *name = g_path_get_basename (p->files->len > 1 ? qconv_plan_file (p, i)->path : paths[i]);

      g_ptr_array_add (names, name);
      files[i] = (SourceName) { paths[i], name };
    }
  return files;
}

QconvModel *
qconv_check_open_written (const QconvPlan *p, const char *const *paths, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree SourceName *files = name_files (p, paths, names);
  const QconvWriter *w = p->target->writer;
  gboolean quantized = w->reader != NULL && (p->edit != NULL || p->target->quantizer != NULL);
  QconvOpenOptions options
      = { .from = quantized ? w->reader : w->container, .for_verify = p->target->target->scheme == NULL };
  g_autoptr (GError) refused = NULL;
  QconvModel *written = qconv_model_open_set (files, p->files->len, &options, &refused);

  if (written != NULL)
    return written;
  if (refused->domain == QCONV_ERROR)
    qconv_fail (error, QCONV_ERROR_CHECK, "%s: the written file cannot be read back: %s", qconv_plan_output (p),
                refused->message);
  else
    g_propagate_prefixed_error (error, g_steal_pointer (&refused),
                                "%s: the written file cannot be read back: ", qconv_plan_output (p));
  return NULL;
}

/* Returns: (transfer none): file @i as the check of the model opened it */
static QconvSource *
file_source (const QconvPlan *p, const QconvModel *written, guint i, GError **error)
{
  g_autofree char *name = g_path_get_basename (qconv_plan_file (p, i)->path);

  return i == 0 ? written->source : qconv_source_sibling (written->source, name, error);
}

/* Compares the start of file @i, which holds the header and the metadata, with the planned bytes */
static gboolean
check_header (const QconvPlan *p, const QconvModel *written, guint i, QconvReport *r, GError **error)
{
  const GByteArray *header = qconv_plan_file (p, i)->layout.header;
  QconvSource *source = file_source (p, written, i, error);
  guint8 bytes[16384];
  gboolean same = TRUE;
  guint n;

  if (source == NULL)
    return FALSE;
  for (guint at = 0; same && at < header->len; at += n)
    {
      n = MIN (header->len - at, sizeof bytes);
      if (!qconv_source_read (source, at, n, bytes, error))
        return FALSE;
      same = memcmp (bytes, header->data + at, n) == 0;
    }
  if (!same)
    qconv_report_problem (r, NULL, "header", "the header is not the one that was written");
  return TRUE;
}

static gboolean
check_headers (const QconvPlan *p, const QconvModel *written, QconvReport *r, GError **error)
{
  for (guint i = 0; i < p->files->len; i++)
    if (!check_header (p, written, i, r, error))
      return FALSE;
  return TRUE;
}

/* Returns: (transfer full): name → CRC-32 of the planned tensors */
static GHashTable *
sums_by_name (const QconvPlan *p, const Checksum *sums)
{
  GHashTable *by_name = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < qconv_directory_n_tensors (p->output.directory); i++)
    g_hash_table_insert (by_name, (char *) qconv_directory_tensor (p->output.directory, i)->name,
                         GUINT_TO_POINTER (sums[i].crc));
  return by_name;
}

QconvReport *
qconv_check_plan (const QconvPlan *p, const Written *files, const Listener *listener, GError **error)
{
  g_autoptr (QconvModel) written = qconv_check_open_written (p, files->paths, error);
  g_autoptr (QconvReport) r = NULL;
  g_auto (Expected) e = { 0 };
  gboolean verbatim = p->target->target->scheme == NULL; /* no reader has to understand the copy */

  if (written == NULL)
    return NULL;
  r = qconv_report_new ();
  if (!verbatim)
    qconv_report_structure (r, written, TRUE);
  if (!qconv_model_check_reads (written, error))
    return NULL;
  if (!p->verify)
    return g_steal_pointer (&r);
  qconv_expected_init (&e, written, r, r);
  e.sums = sums_by_name (p, files->sums);
  if (!check_headers (p, written, r, error) || (!verbatim && !pair_plan (p, written, &e, error))
      || !qconv_expected_compare (&e, &p->limits, listener, error))
    return NULL;
  return g_steal_pointer (&r);
}
