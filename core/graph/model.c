/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a model: finds its container, lets the readers claim layers, and indexes the layers by name. Every command
   opens its input here; check.c opens the written file. */
#include "graph/model.h"

#include <string.h>

#include "base/error.h"
#include "base/warn.h"
#include "graph/container.h"
#include "graph/folder.h"
#include "graph/identify.h"
#include "graph/not-model.h"
#include "graph/odd-bias.h"
#include "graph/unwrap.h"
#include "graph/vision-file.h"
#include "io/directory.h"
#include "layer/hooks.h"
#include "registry/values.h"

void
qconv_model_free (QconvModel *m)
{
  g_clear_pointer (&m->by_name, g_hash_table_unref);
  g_clear_pointer (&m->by_tensor, g_hash_table_unref);
  g_clear_pointer (&m->layers, g_ptr_array_unref);
  g_clear_pointer (&m->claims, qconv_claims_free);
  for (guint i = 0; i < m->participants->len; i++)
    qconv_values_free (g_array_index (m->participants, Participant, i).values);
  g_array_unref (m->participants);
  g_ptr_array_unref (m->readers);
  g_clear_pointer (&m->directory, qconv_directory_free);
  g_clear_pointer (&m->source, qconv_source_free);
  g_clear_error (&m->unclaimed);
  qconv_knowledge_free (m->knowledge);
  g_free (m->path);
  g_free (m);
}

static void
add_participant (QconvModel *m, const char *id, const QconvOption *options)
{
  Participant p = { id, qconv_values_new (options) };

  g_array_append_val (m->participants, p);
}

static QconvValues *
values_of (const QconvModel *m, guint i)
{
  return g_array_index (m->participants, Participant, i).values;
}

/* Lets the container list the tensors. A file that it recognises but cannot read may be a piece of one, by its name */
static gboolean
list_tensors (QconvModel *m, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (qconv_call_open (m->container, m->source, values_of (m, 0), m->directory, &local))
    return TRUE;
  if (qconv_error_exit_status (local) == 3 && !qconv_not_model_check_name (qconv_source_name (m->source), error))
    return FALSE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

static gboolean
open_container (QconvModel *m, const QconvOpenOptions *o, GError **error)
{
  m->container = qconv_open_container (m->source, o->from, error);
  if (m->container == NULL)
    return FALSE;
  add_participant (m, m->container->id, m->container->options);
  m->directory = qconv_directory_new (m->container->id, m->source);
  return qconv_settings_apply (o->options, (const Participant *) m->participants->data, 1, FALSE, error)
         && list_tensors (m, error);
}

typedef struct {
  const QconvReader *reader;
  guint score;
} Scored;

static gint
compare_scores (gconstpointer a, gconstpointer b)
{
  const Scored *x = a, *y = b;

  return x->score != y->score ? (x->score < y->score ? 1 : -1) : strcmp (x->reader->id, y->reader->id);
}

static void
score_readers (QconvModel *m, const char *from)
{
  GPtrArray *readers = qconv_registry_readers ();
  g_autoptr (GArray) scored = g_array_new (FALSE, FALSE, sizeof (Scored));

  for (guint i = 0; i < readers->len; i++)
    {
      const QconvReader *r = g_ptr_array_index (readers, i);
      gboolean forced = g_strcmp0 (from, r->id) == 0;
      Scored s = { r, forced ? G_MAXUINT : r->score (r, m->directory) };

      s.score = forced ? s.score : MIN (s.score, 100);
      if (s.score > 0)
        g_array_append_val (scored, s);
    }
  g_array_sort (scored, compare_scores);
  for (guint i = 0; i < scored->len; i++)
    {
      const QconvReader *r = g_array_index (scored, Scored, i).reader;

      g_ptr_array_add (m->readers, (gpointer) r);
      add_participant (m, r->id, r->options);
    }
}

static gboolean
claim_layers (QconvModel *m, const QconvOpenOptions *o, GError **error)
{
  score_readers (m, o->from);
  if (!qconv_settings_apply (o->options, (const Participant *) m->participants->data, m->participants->len, FALSE,
                             error))
    return FALSE;
  m->claims = qconv_claims_new (m->directory, o->allow_nonfinite);
  if (!qconv_claims_judge (m->claims, o->plain, error))
    return FALSE;
  for (guint i = 0; i < m->readers->len; i++)
    {
      const QconvReader *r = g_ptr_array_index (m->readers, i);

      qconv_claims_set_reader (m->claims, r);
      if (!qconv_call_claim (r, m->directory, values_of (m, i + 1), m->claims, error))
        return FALSE;
    }
  m->layers = qconv_claims_finish (m->claims, error);
  return m->layers != NULL;
}

/* Keeps a broken model without layers if the caller verifies the file. Verify must open a broken file to report
   its problems */
static gboolean
tolerate_unclaimed (QconvModel *m, const QconvOpenOptions *o, GError **error)
{
  if (o->for_verify && m->unclaimed->domain == QCONV_ERROR && qconv_error_exit_status (m->unclaimed) == 3)
    {
      g_clear_pointer (&m->layers, g_ptr_array_unref);
      m->layers = g_ptr_array_new ();
      return TRUE;
    }
  g_propagate_error (error, g_steal_pointer (&m->unclaimed));
  return FALSE;
}

static void
pass_warnings (const QconvModel *m, const GPtrArray *warnings, const QconvOpenOptions *o)
{
  Warn warn = { o->warn, o->warn_data };

  for (guint i = 0; i < warnings->len; i++)
    qconv_warn (&warn, "%s: %s", qconv_source_name (m->source), (const char *) g_ptr_array_index (warnings, i));
}

static gboolean
index_names (QconvModel *m, GError **error)
{
  const Families *families = qconv_families_known (error);

  if (families == NULL)
    return FALSE;
  qconv_unwrap_layers (m, families);
  m->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  m->by_tensor = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < m->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (m->layers, i);

      if (s->stored_name != NULL)
        g_hash_table_insert (m->by_tensor, s->stored_name, s);
      g_hash_table_insert (m->by_tensor, s->plain_name, s);
      g_hash_table_insert (m->by_name, qconv_short_name (s->plain_name), s);
    }
  return TRUE;
}

/* Warns of the first bias that does not fit its weight */
static void
warn_of_biases (const QconvModel *m, const Warn *warn)
{
  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i), *bias = qconv_odd_bias (m, s, FALSE);

      if (bias != NULL)
        {
          g_autofree char *text = qconv_odd_bias_text (bias, s);

          qconv_warn (warn, "%s: %s", qconv_source_name (m->source), text);
          return;
        }
    }
}

/* Lists and claims the tensors. An error of the system comes before all others, which it may have led to */
static gboolean
look_inside (QconvModel *m, const QconvOpenOptions *o, const char *file, GError **error)
{
  Warn warn = { o->warn, o->warn_data };
  g_autoptr (GError) own = NULL;
  gboolean ok = open_container (m, o, &own) && qconv_vision_file_add (m, &warn, &own)
                && (claim_layers (m, o, &m->unclaimed) || tolerate_unclaimed (m, o, &own));

  if (!qconv_source_check_reads (m->source, error))
    return FALSE;
  if (!ok)
    {
      g_propagate_error (error, g_steal_pointer (&own));
      qconv_error_name_file (error, file);
    }
  return ok;
}

gboolean
qconv_model_check_reads (const QconvModel *m, GError **error)
{
  return qconv_source_check_reads (m->source, error);
}

/* @source: (transfer full): the opened file; @file: its path; @path: as the user named it */
static QconvModel *
open_source (QconvSource *source, const char *file, const char *path, const QconvOpenOptions *o, GError **error)
{
  g_autoptr (QconvModel) m = g_new0 (QconvModel, 1);
  Warn warn = { o->warn, o->warn_data };

  m->source = source;
  m->path = g_strdup (path);
  m->knowledge = qconv_knowledge_new (o->family_file);
  m->participants = g_array_new (FALSE, FALSE, sizeof (Participant));
  m->readers = g_ptr_array_new ();
  if (o->family_file != NULL && qconv_model_families (m, error) == NULL)
    return NULL;
  if (!look_inside (m, o, file, error))
    return NULL;
  pass_warnings (m, qconv_directory_warnings (m->directory), o);
  if (m->claims != NULL)
    pass_warnings (m, qconv_claims_warnings (m->claims), o);
  if (!index_names (m, error))
    return NULL;
  warn_of_biases (m, &warn);
  return g_steal_pointer (&m);
}

QconvModel *
qconv_model_open (const char *path, const QconvOpenOptions *options, GError **error)
{
  static const QconvOpenOptions none;
  g_autofree char *file = qconv_open_entry (path, error);
  QconvSource *source = file != NULL ? qconv_source_open (file, error) : NULL;

  return source != NULL ? open_source (source, file, path, options != NULL ? options : &none, error) : NULL;
}

QconvModel *
qconv_model_open_set (const SourceName *files, guint n, const QconvOpenOptions *options, GError **error)
{
  QconvSource *source = qconv_source_open_set (files, n, error);

  return source != NULL ? open_source (source, files[0].path, files[0].path, options, error) : NULL;
}

SourceLayer *
qconv_model_find (const QconvModel *m, const char *name)
{
  g_autofree char *key = qconv_short_name (name);

  return g_hash_table_lookup (m->by_name, key);
}

SourceLayer *
qconv_model_find_tensor (const QconvModel *m, const char *plain_name)
{
  return g_hash_table_lookup (m->by_tensor, plain_name);
}

GPtrArray *
qconv_model_verbatim (const QconvModel *m, GError **error)
{
  g_autoptr (QconvClaims) none = qconv_claims_new (m->directory, FALSE);

  return qconv_claims_finish (none, error);
}

const QconvDirectory *
qconv_model_directory (const QconvModel *m)
{
  return m->directory;
}

const char *
qconv_model_format (const QconvModel *m)
{
  g_autoptr (GHashTable) votes = g_hash_table_new (NULL, NULL);
  const QconvReader *best = NULL;
  guint most = 0;

  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i);
      guint n = s->reader != NULL ? GPOINTER_TO_UINT (g_hash_table_lookup (votes, s->reader)) + 1 : 0;

      if (s->reader != NULL)
        g_hash_table_insert (votes, (gpointer) s->reader, GUINT_TO_POINTER (n));
      if (n > most)
        {
          most = n;
          best = s->reader;
        }
    }
  return best != NULL ? best->id : m->container->id;
}

const char *
qconv_model_family (const QconvModel *m)
{
  const Identity *id = qconv_model_known (m, NULL);

  return id != NULL ? qconv_family_id (id->family) : NULL;
}

const char *
qconv_model_variant (const QconvModel *m)
{
  const Identity *id = qconv_model_known (m, NULL);

  return id != NULL ? id->variant : NULL;
}

GArray *
qconv_model_weights (const QconvModel *m)
{
  GArray *weights = g_array_new (FALSE, FALSE, sizeof (QconvWeightInfo));

  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i);
      QconvWeightInfo w = {
        .name = s->name,
        .scheme = s->layer->scheme,
        .dtype = qconv_dtype_name (s->layer->pub.dtype),
        .shape = s->layer->pub.shape,
        .bytes = s->bytes,
        .markers = s->layer->hints,
      };

      if (qconv_source_layer_is_weight (s))
        g_array_append_val (weights, w);
    }
  return weights;
}
