/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans an edit: the changes of markers and metadata, and the tensors that stay. The plan calls it. */
#include "plan/edit.h"

#include <string.h>

#include "base/checksum-map.h"
#include "base/json-text.h"
#include "base/names.h"
#include "io/directory.h"
#include "plan/output-name.h"
#include "rules/input-scale.h"

/* The target of an edit: plain layers stay plain */
static const QconvTarget same_form = { .name = "edit", .scheme = QCONV_PLAIN, .dtype = QCONV_OPAQUE };
/* The target of an edit of metadata in a file that no loaded plugin decodes or writes: core copies every tensor */
static const QconvTarget same_tensors = { .name = "edit" };

/* @known: the keys of markers that some layer of the file has */
struct _Edit {
  const QconvJob *job;
  GHashTable *known;
  QconvTargetInfo target;
  gboolean *found;   /* for each change whether it changed something */
  GPtrArray *values; /* (element-type utf8): for each change its value as JSON, or NULL */
};

/* Returns the writer for @format: files of it are read as that format. If @format is a container, it is the writer of
   plain files */
static const QconvWriter *
find_writer (const char *format)
{
  GPtrArray *writers = qconv_registry_writers ();

  for (guint i = 0; i < writers->len; i++)
    {
      const QconvWriter *w = g_ptr_array_index (writers, i);

      if (strcmp (w->reader != NULL ? w->reader : w->container, format) == 0)
        return w;
    }
  return NULL;
}

static gboolean
has_undecoded (const QconvModel *model)
{
  for (guint i = 0; i < model->layers->len; i++)
    if (!qconv_source_layer_decodes (g_ptr_array_index (model->layers, i)))
      return TRUE;
  return FALSE;
}

/* Returns the target of an edit. If it leaves markers alone, it does not need to understand the layers, and copies
   those whose biases would be made anew */
static QconvTargetInfo
find_target (const QconvModel *model, const QconvJob *job)
{
  const char *format = qconv_model_format (model);
  const QconvWriter *w = find_writer (format), *plain = find_writer (model->container->id);
  gboolean markers = job->edit.n_hints > 0 || job->input_scale != NULL;

  if (!markers && plain != NULL && (w == NULL || w->takes_bias || has_undecoded (model)))
    return (QconvTargetInfo) { .name = (char *) format, .writer = plain, .target = &same_tensors };
  return (QconvTargetInfo) { .name = (char *) format, .writer = w, .target = &same_form };
}

/* Checks that keys and values can go into JSON and into headers */
static gboolean
check_texts (const QconvJob *job, GError **error)
{
  for (guint i = 0; i < job->edit.n_hints; i++)
    if (!g_utf8_validate (job->edit.hints[i].key, -1, NULL)
        || (job->edit.hints[i].value != NULL && !g_utf8_validate (job->edit.hints[i].value, -1, NULL)))
      return qconv_fail (error, QCONV_ERROR_OPTION, "change number %u of the markers is not UTF-8", i + 1);
  for (guint i = 0; job->edit.metadata != NULL && job->edit.metadata[i] != NULL; i++)
    if (g_str_has_prefix (job->edit.metadata[i], QCONV_CHECKSUMS)
        && strchr ("=", job->edit.metadata[i][strlen (QCONV_CHECKSUMS)]) != NULL)
      return qconv_fail (error, QCONV_ERROR_OPTION,
                         "qconv itself writes \"" QCONV_CHECKSUMS "\"; --no-checksums leaves it out");
    else if (!g_utf8_validate (job->edit.metadata[i], -1, NULL))
      return qconv_fail (error, QCONV_ERROR_OPTION, "change number %u of the metadata is not UTF-8", i + 1);
    else if (job->edit.metadata[i][0] == '\0' || job->edit.metadata[i][0] == '=')
      return qconv_fail (error, QCONV_ERROR_OPTION, "a change of the metadata names no key: \"%s\"",
                         job->edit.metadata[i]);
  return TRUE;
}

/* The deepest value that is parsed; parsers of markers in plugins refuse deeper ones */
enum { MAX_DEPTH = 128 };

/* Returns: (transfer full): the value of @change if json-glib reads it, else the JSON string that holds it; NULL with
   an error if it nests too deeply. Writers check what they put into markers more strictly */
static char *
json_or_text (const QconvHintChange *change, GError **error)
{
  g_autoptr (JsonNode) json = NULL;

  if (qconv_json_text_depth (change->value, strlen (change->value)) > MAX_DEPTH)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "the value of \"%s\" for the markers is nested too deeply", change->key);
      return NULL;
    }
  json = json_from_string (change->value, NULL);
  if (json != NULL)
    return g_strdup (change->value);
  json = json_node_init_string (json_node_alloc (), change->value);
  return json_to_string (json, FALSE);
}

static gboolean
read_values (Edit *e, GError **error)
{
  for (guint i = 0; i < e->job->edit.n_hints; i++)
    {
      const QconvHintChange *change = &e->job->edit.hints[i];
      char *value;

      /* Writers check the JSON that they put into markers */
      value = change->value != NULL && change->or_text ? json_or_text (change, error) : g_strdup (change->value);
      if (change->value != NULL && value == NULL)
        return FALSE;
      g_ptr_array_add (e->values, value);
    }
  return TRUE;
}

/* Returns: (transfer full): the keys of the markers of all layers */
static GHashTable *
list_keys (const QconvModel *model)
{
  GHashTable *keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < model->layers->len; i++)
    {
      const Layer *l = ((const SourceLayer *) g_ptr_array_index (model->layers, i))->layer;
      GHashTableIter iter;
      gpointer key;

      if (l->hints == NULL)
        continue;
      g_hash_table_iter_init (&iter, l->hints);
      while (g_hash_table_iter_next (&iter, &key, NULL))
        g_hash_table_add (keys, g_strdup (key));
    }
  return keys;
}

Edit *
qconv_edit_new (const QconvModel *model, const QconvJob *job, GError **error)
{
  g_autoptr (Edit) e = NULL;

  if (!check_texts (job, error))
    return NULL;
  e = g_new0 (Edit, 1);
  e->job = job;
  e->known = list_keys (model);
  e->values = g_ptr_array_new_with_free_func (g_free);
  e->found = g_new0 (gboolean, job->edit.n_hints + 1);
  e->target = find_target (model, job);
  if (e->target.writer == NULL)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "nothing writes files of the form %s, so there is nothing to edit in it",
                  e->target.name);
      return NULL;
    }
  return read_values (e, error) ? g_steal_pointer (&e) : NULL;
}

void
qconv_edit_free (Edit *e)
{
  g_free (e->found);
  g_hash_table_unref (e->known);
  g_ptr_array_unref (e->values);
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

/* Returns whether files of @w can store the hint @key */
static gboolean
can_store (const QconvWriter *w, const char *key)
{
  return w->hints != NULL && (g_strv_contains (w->hints, key) || g_strv_contains (w->hints, QCONV_ANY_HINT));
}

/* Fails if @change sets a key that neither the file has nor a loader reads, and unknown keys are refused */
static gboolean
check_known (const Edit *e, const QconvHintChange *change, GError **error)
{
  const char *const *keys = e->target.writer->hints;
  g_autoptr (GPtrArray) named = g_ptr_array_new ();
  g_autofree char *list = NULL;

  if (!e->job->edit.known_only || change->value == NULL || g_hash_table_contains (e->known, change->key)
      || g_strv_contains (keys, change->key))
    return TRUE;
  for (guint i = 0; keys[i] != NULL; i++)
    if (strcmp (keys[i], QCONV_ANY_HINT) != 0)
      g_ptr_array_add (named, (gpointer) keys[i]);
  list = qconv_first_names (named);
  return qconv_fail (error, QCONV_ERROR_OPTION,
                     "unknown key \"%s\": loaders of %s files read these keys of a marker: %s; --force sets it all the "
                     "same",
                     change->key, e->target.name, list);
}

gboolean
qconv_edit_hints (Edit *e, PlannedLayer *l, GError **error)
{
  g_autoptr (GHashTable) hints = copy_hints (l->layer->hints);

  l->layer->edited = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < e->job->edit.n_hints; i++)
    {
      const QconvHintChange *change = &e->job->edit.hints[i];
      gboolean there = g_hash_table_contains (hints, change->key);

      if (change->value == NULL ? !there : there && change->if_absent)
        {
          e->found[i] |= change->value != NULL;
          continue;
        }
      if (!can_store (e->target.writer, change->key))
        return qconv_fail (error, QCONV_ERROR_OPTION, "%s: files of the form %s have no place for the key \"%s\"",
                           l->source->name, e->target.name, change->key);
      if (!check_known (e, change, error))
        return FALSE;
      e->found[i] = TRUE;
      g_hash_table_add (l->layer->edited, g_strdup (change->key));
      if (change->value == NULL)
        g_hash_table_remove (hints, change->key);
      else
        g_hash_table_replace (hints, g_strdup (change->key), g_strdup (g_ptr_array_index (e->values, i)));
    }
  g_clear_pointer (&l->layer->hints, g_hash_table_unref);
  l->layer->hints = g_steal_pointer (&hints);
  return TRUE;
}

/* Returns: (transfer full): the key of "KEY=VALUE". Sets *value to the value, or to NULL if there is no "=" */
static char *
split_change (const char *change, const char **value)
{
  const char *equals = strchr (change, '=');

  *value = equals != NULL ? equals + 1 : NULL;
  return equals != NULL ? g_strndup (change, (gsize) (equals - change)) : g_strdup (change);
}

/* Fails if @key is set that neither the file has nor a program reads, and unknown keys are refused */
static gboolean
check_known_metadata (const Edit *e, const QconvOutput *o, const char *key, GError **error)
{
  const char *const *known = qconv_registry_container (e->target.writer->container)->metadata;
  g_autofree char *list = NULL;

  if (!e->job->edit.known_only || known == NULL || qconv_directory_metadata (o->directory, key) != NULL)
    return TRUE;
  for (guint i = 0; known[i] != NULL; i++)
    if (g_pattern_match_simple (known[i], key))
      return TRUE;
  list = g_strjoinv (", ", (char **) known);
  return qconv_fail (error, QCONV_ERROR_OPTION,
                     "unknown key \"%s\": programs read these keys of the metadata: %s; --force sets it all the same",
                     key, list);
}

/* Returns: (transfer full): @text as the new value of @key. A number of the file keeps its type, which loaders
   expect */
static GVariant *
parse_value (const QconvOutput *o, const char *key, const char *text, GError **error)
{
  GVariant *old = qconv_directory_metadata (o->model->directory, key), *value;
  const GVariantType *type = old != NULL ? g_variant_get_type (old) : G_VARIANT_TYPE_STRING;

  if (g_variant_type_equal (type, G_VARIANT_TYPE_STRING) || g_variant_type_is_tuple (type))
    return g_variant_ref_sink (g_variant_new_string (text));
  value = g_variant_type_is_basic (type) ? g_variant_parse (type, text, NULL, NULL, NULL) : NULL;
  if (value == NULL)
    qconv_fail (error, QCONV_ERROR_OPTION,
                g_variant_type_is_basic (type) ? "\"%s\" is a number in the metadata, and \"%s\" is none of its type"
                                               : "\"%s\" is a list in the metadata, which \"%s\" cannot replace",
                key, text);
  return value;
}

gboolean
qconv_edit_metadata (const Edit *e, QconvOutput *o, GError **error)
{
  for (guint i = 0; e->job->edit.metadata != NULL && e->job->edit.metadata[i] != NULL; i++)
    {
      const char *value;
      g_autofree char *key = split_change (e->job->edit.metadata[i], &value);
      g_autoptr (GVariant) parsed = NULL;

      if (value == NULL && qconv_directory_metadata (o->directory, key) == NULL)
        return qconv_fail (error, QCONV_ERROR_OPTION, "the metadata has no key \"%s\"", key);
      if (value != NULL && !check_known_metadata (e, o, key, error))
        return FALSE;
      parsed = value != NULL ? parse_value (o, key, value, error) : NULL;
      if (value != NULL && parsed == NULL)
        return FALSE;
      qconv_directory_replace_metadata (o->directory, key, parsed);
    }
  return TRUE;
}

const char *const *
qconv_edit_metadata_changes (const Edit *e)
{
  return e->job->edit.metadata;
}

gboolean
qconv_edit_check_metadata (const Edit *e, const QconvOutput *o, GError **error)
{
  for (guint i = 0; e->job->edit.metadata != NULL && e->job->edit.metadata[i] != NULL; i++)
    {
      const char *value;
      g_autofree char *key = split_change (e->job->edit.metadata[i], &value);
      GVariant *is = qconv_directory_metadata (o->directory, key);
      g_autoptr (GVariant) wanted = value != NULL ? parse_value (o, key, value, NULL) : NULL;

      if (wanted == NULL ? is != NULL : is == NULL || !g_variant_equal (is, wanted))
        return qconv_fail (error, QCONV_ERROR_OPTION, "\"%s\" follows from the layers and cannot be edited", key);
    }
  return TRUE;
}

static gboolean
is_given (const char *const *list)
{
  return list != NULL && list[0] != NULL;
}

gboolean
qconv_edit_check_options (const Edit *e, const QconvOutput *o, GError **error)
{
  const QconvOption *row = e->target.writer->options;
  gboolean selects = is_given (e->job->rules.only) || is_given (e->job->rules.keep);

  for (; row != NULL && row->name != NULL && selects; row++)
    if (qconv_values_is_set (o->options, row->name))
      return qconv_fail (error, QCONV_ERROR_OPTION,
                         "%s is for the whole file: --only and --keep go with --set, --add and --remove", row->name);
  return TRUE;
}

/* Returns the tensor of the source that @t can be copied from: the one with the same bytes, or with the same codes in
   another layout that the reader knows; NULL if there is none */
static const QconvTensor *
same_tensor (const PlannedLayer *l, const PlannedTensor *t, const QconvTensor *planned)
{
  const QconvComponent *c = t->component >= 0 ? l->layer->pub.components[t->component] : NULL;
  const Binding *b = c != NULL ? qconv_source_layer_binding (l->source, c->name) : NULL;
  const QconvTensor *tensor = b != NULL && b->tensors->len == 2 ? g_ptr_array_index (b->tensors, 0) : NULL;

  if (tensor == NULL || b->load != t->load || (t->pack != NULL) != (t->load != NULL) || tensor->big_endian
      || (l->has_input_scale && strcmp (c->name, QCONV_INPUT_SCALE) == 0))
    return NULL;
  return t->pack != NULL || (tensor->dtype == planned->dtype && qconv_shape_equal (&tensor->shape, &planned->shape))
             ? tensor
             : NULL;
}

/* Plans @t with the shape of the tensor in the source, padded or not */
static void
follow_source (PlannedLayer *l, const PlannedTensor *t, QconvOutput *o)
{
  QconvTensor *planned = qconv_directory_planned (o->directory, t->tensor);

  l->bytes += t->copied->n_bytes - planned->n_bytes;
  planned->dtype = t->copied->dtype;
  planned->shape = t->copied->shape;
  planned->n_bytes = t->copied->n_bytes;
}

void
qconv_edit_settle (PlannedLayer *l, QconvOutput *o)
{
  l->copies = TRUE;
  for (guint i = 0; i < l->tensors->len; i++)
    {
      PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      t->copied = same_tensor (l, t, qconv_planned_tensor (o, t));
      l->copies &= t->copied != NULL || !qconv_planned_by_rows (t);
    }
  for (guint i = 0; i < l->tensors->len; i++)
    {
      PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (!l->copies)
        t->copied = NULL;
      else if (t->copied != NULL)
        follow_source (l, t, o);
    }
}

gboolean
qconv_edit_check (const Edit *e, GError **error)
{
  for (guint i = 0; i < e->job->edit.n_hints; i++)
    if (!e->found[i])
      return qconv_fail (error, QCONV_ERROR_OPTION, "\"%s\" changes nothing: no quantized layer that was named has it",
                         e->job->edit.hints[i].key);
  return TRUE;
}

gboolean
qconv_edit_in_place (const QconvModel *model, const QconvJob *job, GError **error)
{
  gboolean set = g_file_test (model->path, G_FILE_TEST_IS_DIR);

  if (job->output != NULL)
    return FALSE;
  for (guint i = 0; i < qconv_directory_n_tensors (model->directory); i++)
    set |= qconv_directory_tensor (model->directory, i)->source != model->source;
  if (set)
    qconv_fail (error, QCONV_ERROR_OPTION, "%s: a set of files is not edited in place: name an output", model->path);
  else if (!job->run.force && qconv_output_in_cache (model->path))
    qconv_fail (error, QCONV_ERROR_OPTION,
                "%s: lies in a download cache, whose files other programs share: name an output, or edit it there with "
                "--force",
                model->path);
  return !set;
}
