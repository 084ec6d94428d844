/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a LoRA file: groups its tensors by layer, reads alpha from a tensor or from the metadata. lora.c calls it. */
#include "lora/lora-file.h"

#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/json-text.h"
#include "io/directory.h"
#include "layer/load.h"

/* ---- Groups ---- */

static void
free_group (gpointer data)
{
  LoraGroup *g = data;

  g_free (g->layer);
  g_free (g);
}

/* Returns: (transfer none): the group of @layer (transfer full), new if there is none yet */
static LoraGroup *
find_group (LoraFile *f, GHashTable *by_layer, char *layer)
{
  LoraGroup *g = g_hash_table_lookup (by_layer, layer);

  if (g != NULL)
    {
      g_free (layer);
      return g;
    }
  g = g_new0 (LoraGroup, 1);
  g->layer = layer;
  g_ptr_array_add (f->groups, g);
  g_hash_table_insert (by_layer, g->layer, g);
  return g;
}

static gboolean
put_tensor (LoraFile *f, const LoraDialects *dialects, GHashTable *by_layer, SourceLayer *s, GError **error)
{
  gsize length;
  const LoraSuffix *suffix = qconv_lora_dialects_suffix (dialects, s->plain_name, &length);
  LoraGroup *g;

  if (suffix == NULL)
    {
      g_ptr_array_add (f->unknown, s);
      return TRUE;
    }
  g = find_group (f, by_layer, g_strndup (s->plain_name, length));
  if (suffix->role == LORA_REFUSED)
    g->refused = suffix->refused;
  else if (g->roles[suffix->role] != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "\"%s\" and \"%s\" have the same role: a layer may have only one of them",
                       g->roles[suffix->role]->plain_name, s->plain_name);
  g->roles[suffix->role] = s;
  return TRUE;
}

static gboolean
list_groups (LoraFile *f, const LoraDialects *dialects, GError **error)
{
  g_autoptr (GHashTable) by_layer = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < f->tensors->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (f->tensors, i);
      QconvDType dtype = s->layer->pub.dtype;

      if (!put_tensor (f, dialects, by_layer, s, error))
        return FALSE;
      if (!qconv_dtype_is_number (dtype))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "\"%s\" holds %s, not floats: it cannot be merged",
                           s->plain_name, qconv_dtype_name (dtype));
    }
  return TRUE;
}

gboolean
qconv_lora_alpha (const SourceLayer *s, double *alpha, GError **error)
{
  gsize cost = qconv_floats_cost (s, 1, FALSE);
  g_autofree guint8 *memory = NULL;
  Arena arena;
  QconvBuffer floats;
  float value;

  if (s->layer->pub.rows != 1 || s->layer->pub.cols != 1)
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" does not hold exactly one number, as alpha must",
                       s->plain_name);
  memory = g_malloc (cost);
  arena = (Arena) { .base = memory, .size = cost };
  if (!qconv_floats_load (s, NULL, &(Rows) { 0, 1, &arena, NULL }, FALSE, &floats, error))
    return FALSE;
  memcpy (&value, floats.data, sizeof value);
  *alpha = (double) value;
  return isfinite (value)
         || qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is Inf or NaN: alpha must be finite", s->plain_name);
}

/* ---- Metadata ---- */

/* Returns the number in @member; 0 if there is none */
static double
number_of (JsonObject *o, const char *member)
{
  JsonNode *node = json_object_get_member (o, member);
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  return type == G_TYPE_DOUBLE || type == G_TYPE_INT64 ? json_node_get_double (node) : 0;
}

static gboolean
starts_with_any (const char *name, const GPtrArray *prefixes)
{
  for (guint i = 0; i < prefixes->len; i++)
    if (g_str_has_prefix (name, g_ptr_array_index (prefixes, i)))
      return TRUE;
  return FALSE;
}

/* Returns whether @o gives layers an alpha or a rank of their own. @prefix: of its members */
static gboolean
has_patterns (JsonObject *o, const LoraMetadata *of, const char *prefix)
{
  for (guint i = 0; of->patterns != NULL && i < of->patterns->len; i++)
    {
      g_autofree char *name = g_strconcat (prefix, g_ptr_array_index (of->patterns, i), NULL);
      JsonNode *node = json_object_get_member (o, name);

      if (node != NULL && JSON_NODE_HOLDS_OBJECT (node) && json_object_get_size (json_node_get_object (node)) > 0)
        return TRUE;
    }
  return FALSE;
}

/* Returns alpha divided by rank, or by its root if the metadata say so, from the first pair of members such as
   "transformer.lora_alpha" and "transformer.r"; 0 if there is no pair */
static double
find_ratio (JsonObject *o, const LoraMetadata *of, gboolean *patterns)
{
  g_autoptr (GList) members = json_object_get_members (o);

  for (GList *l = members; l != NULL; l = l->next)
    {
      const char *name = l->data;
      gboolean ours = g_str_has_suffix (name, of->alpha) && !starts_with_any (name, of->other_models);
      g_autofree char *prefix = ours ? g_strndup (name, strlen (name) - strlen (of->alpha)) : NULL;
      g_autofree char *rank_name = ours ? g_strconcat (prefix, of->rank, NULL) : NULL;
      g_autofree char *root = ours && of->root != NULL ? g_strconcat (prefix, of->root, NULL) : NULL;
      double alpha, rank;

      if (!ours)
        continue;
      alpha = number_of (o, name);
      rank = number_of (o, rank_name);
      *patterns = has_patterns (o, of, prefix);
      if (alpha > 0 && rank > 0)
        return alpha / (root != NULL && qconv_json_is_true (o, root) ? sqrt (rank) : rank);
    }
  return 0;
}

/* Returns: (nullable): the text under @key in the metadata */
static const char *
metadata_text (const LoraFile *f, const char *key, gsize *n)
{
  GVariant *text = qconv_directory_metadata (f->model->directory, key);

  return text != NULL && g_variant_is_of_type (text, G_VARIANT_TYPE_STRING) ? g_variant_get_string (text, n) : NULL;
}

/* Returns the number that is the whole text under @key in the metadata; 0 if there is none */
static double
metadata_number (const LoraFile *f, const char *key)
{
  const char *text = metadata_text (f, key, NULL);
  char *end = NULL;
  double value = text != NULL ? g_ascii_strtod (text, &end) : 0;

  return text != NULL && end > text && *end == '\0' && isfinite (value) ? value : 0;
}

/* Returns alpha divided by rank, from the JSON under the key of @of or from two keys; 0 if the metadata has none */
static double
read_ratio (const LoraFile *f, const LoraMetadata *of, gboolean *patterns)
{
  g_autoptr (JsonNode) node = NULL;
  const char *json;
  gsize n;

  if (of->key == NULL)
    {
      double alpha = metadata_number (f, of->alpha), rank = metadata_number (f, of->rank);

      return alpha > 0 && rank > 0 ? alpha / rank : 0;
    }
  json = metadata_text (f, of->key, &n);
  node = json != NULL ? qconv_json_text_parse (json, n, NULL) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? find_ratio (json_node_get_object (node), of, patterns) : 0;
}

double
qconv_lora_file_ratio (const LoraFile *f, const LoraDialects *dialects, gboolean *patterns)
{
  *patterns = FALSE;
  for (guint i = 0; i < dialects->metadata->len; i++)
    {
      double ratio = read_ratio (f, &g_array_index (dialects->metadata, LoraMetadata, i), patterns);

      if (ratio > 0)
        return ratio;
    }
  return 1;
}

/* ---- Files ---- */

/* Returns: (nullable): the form of the file beside @f that holds alpha; NULL if its keys are of no dialect that has
   one */
static const LoraConfigForm *
find_form (const LoraFile *f, const LoraDialects *dialects)
{
  for (guint i = 0; i < dialects->configs->len; i++)
    {
      const LoraConfigForm *form = &g_array_index (dialects->configs, LoraConfigForm, i);

      for (guint j = 0; j < f->groups->len; j++)
        if (g_str_has_prefix (((const LoraGroup *) g_ptr_array_index (f->groups, j))->layer, form->prefix))
          return form;
    }
  return NULL;
}

/* Reads the file beside @f that holds alpha, if the keys are of a dialect that has one */
static gboolean
read_config (LoraFile *f, const LoraDialects *dialects, GError **error)
{
  const LoraConfigForm *form = find_form (f, dialects);
  g_autoptr (GError) local = NULL;
  g_autofree char *folder = NULL;

  if (form == NULL)
    return TRUE;
  folder = g_path_get_dirname (f->path);
  f->beside = g_build_filename (folder, form->file, NULL);
  f->config = qconv_lora_config_read (f->beside, form, &local);
  f->missing = f->config == NULL ? form->file : NULL;
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* Splits "FILE[:STRENGTH]" at the last colon. If no number follows it, the whole @text is the path */
static void
parse_file (const char *text, LoraFile *f)
{
  const char *colon = strrchr (text, ':');
  char *end = NULL;
  double strength = colon != NULL ? g_ascii_strtod (colon + 1, &end) : 1;
  gboolean number
      = colon != NULL && end > colon + 1 && *end == '\0' && !g_ascii_isspace (colon[1]) && isfinite ((float) strength);

  f->strength = number ? strength : 1;
  f->path = number ? g_strndup (text, (gsize) (colon - text)) : g_strdup (text);
}

/* Replaces the path of a folder by that of the LoRA in it, if it has a name that a dialect knows */
static void
enter_folder (LoraFile *f, const LoraDialects *dialects)
{
  for (guint i = 0; g_file_test (f->path, G_FILE_TEST_IS_DIR) && i < dialects->files->len; i++)
    {
      g_autofree char *inside = g_build_filename (f->path, g_ptr_array_index (dialects->files, i), NULL);

      if (!g_file_test (inside, G_FILE_TEST_IS_REGULAR))
        continue;
      g_free (f->path);
      f->path = g_steal_pointer (&inside);
      return;
    }
}

void
qconv_lora_file_free (LoraFile *f)
{
  g_clear_pointer (&f->config, qconv_lora_config_free);
  g_ptr_array_unref (f->groups);
  g_ptr_array_unref (f->unknown);
  g_clear_pointer (&f->tensors, g_ptr_array_unref);
  g_clear_pointer (&f->model, qconv_model_free);
  g_free (f->beside);
  g_free (f->path);
  g_free (f);
}

LoraFile *
qconv_lora_file_open (const char *text, const LoraDialects *dialects, GError **error)
{
  const QconvOpenOptions options = { .for_verify = TRUE };
  g_autoptr (LoraFile) f = g_new0 (LoraFile, 1);

  parse_file (text, f);
  enter_folder (f, dialects);
  f->groups = g_ptr_array_new_with_free_func (free_group);
  f->unknown = g_ptr_array_new ();
  f->model = qconv_model_open (f->path, &options, error);
  if (f->model == NULL)
    {
      g_prefix_error (error, "--lora ");
      return NULL;
    }
  f->tensors = qconv_model_verbatim (f->model, error);
  if (f->tensors != NULL && list_groups (f, dialects, error) && read_config (f, dialects, error))
    return g_steal_pointer (&f);
  g_prefix_error (error, "--lora %s: ", f->path);
  return NULL;
}
