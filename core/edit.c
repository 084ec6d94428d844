/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit.h"

#include <string.h>

#include "directory.h"
#include "input-scale.h"

/* What is no quantized layer stays as it is */
static const QconvTarget same_form = { .name = "edit", .scheme = QCONV_PLAIN, .dtype = QCONV_OPAQUE };

struct _Edit {
  const QconvJob *job;
  QconvTargetInfo target;
  gboolean *found; /* for each change: it changed something */
};

/* The writer whose files come back as this form; for files without quantized layers, that of plain ones */
static const QconvWriter *
find_writer (const QconvModel *model)
{
  GPtrArray *writers = qconv_registry_writers ();
  const char *format = qconv_model_format (model);

  for (guint i = 0; i < writers->len; i++)
    {
      const QconvWriter *w = g_ptr_array_index (writers, i);

      if (strcmp (w->reader != NULL ? w->reader : w->container, format) == 0)
        return w;
    }
  return NULL;
}

Edit *
qconv_edit_new (const QconvModel *model, const QconvJob *job, GError **error)
{
  Edit *e = g_new0 (Edit, 1);

  e->job = job;
  e->found = g_new0 (gboolean, job->n_hints + 1);
  e->target = (QconvTargetInfo) { .name = (char *) qconv_model_format (model),
                                  .writer = find_writer (model),
                                  .target = &same_form };
  if (e->target.writer != NULL)
    return e;
  qconv_fail (error, QCONV_ERROR_OPTION, "nothing writes files of the form %s, so there is nothing to edit in it",
              e->target.name);
  qconv_edit_free (e);
  return NULL;
}

void
qconv_edit_free (Edit *e)
{
  g_free (e->found);
  g_free (e);
}

const QconvTargetInfo *
qconv_edit_target (const Edit *e)
{
  return &e->target;
}

static GHashTable *
copy_hints (GHashTable *hints)
{
  GHashTable *copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  if (hints == NULL)
    return copy;
  g_hash_table_iter_init (&iter, hints);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy, g_strdup (key), g_strdup (value));
  return copy;
}

void
qconv_edit_hints (Edit *e, PlannedLayer *l)
{
  GHashTable *hints = copy_hints (l->layer->hints);

  l->layer->edited = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < e->job->n_hints; i++)
    {
      const QconvHintChange *change = &e->job->hints[i];

      gboolean there = g_hash_table_contains (hints, change->key);

      if (change->value == NULL ? !there : there && change->if_absent)
        {
          e->found[i] |= change->value != NULL;
          continue;
        }
      e->found[i] = TRUE;
      g_hash_table_add (l->layer->edited, g_strdup (change->key));
      if (change->value == NULL)
        g_hash_table_remove (hints, change->key);
      else
        g_hash_table_replace (hints, g_strdup (change->key), g_strdup (change->value));
    }
  g_clear_pointer (&l->layer->hints, g_hash_table_unref);
  l->layer->hints = hints;
}

void
qconv_edit_metadata (const Edit *e, QconvOutput *o)
{
  for (guint i = 0; e->job->metadata != NULL && e->job->metadata[i] != NULL; i++)
    {
      const char *change = e->job->metadata[i], *equals = strchr (change, '=');
      g_autofree char *key = equals != NULL ? g_strndup (change, (gsize) (equals - change)) : g_strdup (change);

      qconv_output_set_metadata (o, key, equals != NULL ? equals + 1 : NULL);
    }
}

/* The tensor that holds what @t is going to be, byte for byte */
static const QconvTensor *
same_tensor (const PlannedLayer *l, const PlannedTensor *t, const QconvTensor *planned)
{
  const QconvComponent *c = t->component >= 0 ? l->layer->pub.components[t->component] : NULL;
  const Binding *b = c != NULL ? qconv_source_layer_binding (l->source, c->name) : NULL;
  const QconvTensor *tensor = b != NULL && b->tensors->len == 2 ? g_ptr_array_index (b->tensors, 0) : NULL;

  if (tensor == NULL || b->load != t->planned.load || (t->planned.pack != NULL) != (t->planned.load != NULL)
      || (l->has_input_scale && strcmp (c->name, QCONV_INPUT_SCALE) == 0))
    return NULL;
  return tensor->dtype == planned->dtype && tensor->n_bytes == planned->n_bytes
                 && qconv_shape_equal (&tensor->shape, &planned->shape) && !tensor->big_endian
             ? tensor
             : NULL;
}

void
qconv_edit_settle (PlannedLayer *l, const QconvOutput *o)
{
  l->copies = TRUE;
  for (guint i = 0; i < l->tensors->len; i++)
    {
      PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      t->copied = same_tensor (l, t, qconv_planned_tensor (o, t));
      l->copies &= t->copied != NULL || !qconv_planned_by_rows (t);
    }
  for (guint i = 0; !l->copies && i < l->tensors->len; i++)
    ((PlannedTensor *) g_ptr_array_index (l->tensors, i))->copied = NULL;
}

gboolean
qconv_edit_check (const Edit *e, GError **error)
{
  for (guint i = 0; i < e->job->n_hints; i++)
    if (!e->found[i])
      return qconv_fail (error, QCONV_ERROR_OPTION, "\"%s\" changes nothing: no quantized layer that was named has it",
                         e->job->hints[i].key);
  return TRUE;
}

gboolean
qconv_edit_in_place (const QconvModel *model, const QconvJob *job, GError **error)
{
  if (job->output != NULL)
    return FALSE;
  for (guint i = 0; i < qconv_directory_n_tensors (model->directory); i++)
    if (qconv_directory_tensor (model->directory, i)->source != model->source)
      {
        qconv_fail (error, QCONV_ERROR_OPTION, "%s: a set of files is not edited in place: name an output",
                    model->path);
        return FALSE;
      }
  return TRUE;
}
