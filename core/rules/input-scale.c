/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads --input-scale and finds the scale of each layer. The plan calls it. */
#include "rules/input-scale.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/json-text.h"
#include "graph/identify.h"
#include "kernels/stream.h"
#include "layer/load.h"

#define SUFFIX "." QCONV_INPUT_SCALE

typedef struct {
  float value;
  char *scheme; /* (nullable): the scheme that it was made for */
} Scale;

struct _InputScales {
  gboolean for_all;
  float value;
  char *path;          /* as the user wrote it, for messages */
  GHashTable *by_name; /* short layer name -> Scale */
  GPtrArray *files;    /* paths of what was read */
};

static void
free_scale (gpointer data)
{
  Scale *s = data;

  g_free (s->scheme);
  g_free (s);
}

void
qconv_input_scales_free (InputScales *s)
{
  g_clear_pointer (&s->by_name, g_hash_table_unref);
  g_ptr_array_unref (s->files);
  g_free (s->path);
  g_free (s);
}

void
qconv_input_scales_list_files (const InputScales *s, GPtrArray *paths)
{
  for (guint i = 0; i < s->files->len; i++)
    g_ptr_array_add (paths, g_strdup (g_ptr_array_index (s->files, i)));
}

static gboolean
add_scale (InputScales *s, const char *name, double value, const char *scheme, GError **error)
{
  g_autofree char *stem
      = g_str_has_suffix (name, SUFFIX) ? g_strndup (name, strlen (name) - strlen (SUFFIX)) : g_strdup (name);
  g_autofree char *key = NULL;
  Scale *scale;

  if (!isfinite ((float) value) || (float) value <= 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: input scale of \"%s\": %g is not a positive F32 number", s->path,
                       name, value);
  key = qconv_short_name (stem);
  if (g_hash_table_contains (s->by_name, key))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: input scale of \"%s\" is there twice", s->path, key);
  scale = g_new (Scale, 1);
  *scale = (Scale) { (float) value, g_strdup (scheme) };
  g_hash_table_insert (s->by_name, g_steal_pointer (&key), scale);
  return TRUE;
}

static gboolean
read_json (InputScales *s, const char *path, GError **error)
{
  g_autoptr (JsonNode) root = qconv_json_text_load (path, QCONV_ERROR_OPTION, error);
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;

  g_ptr_array_add (s->files, g_strdup (path));
  if (root == NULL)
    return FALSE;
  if (!JSON_NODE_HOLDS_OBJECT (root))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: not a JSON object of layer names and numbers", path);
  json_object_iter_init (&iter, json_node_get_object (root));
  while (json_object_iter_next (&iter, &name, &node))
    {
      if (!JSON_NODE_HOLDS_VALUE (node)
          || (json_node_get_value_type (node) != G_TYPE_DOUBLE && json_node_get_value_type (node) != G_TYPE_INT64))
        return qconv_fail (error, QCONV_ERROR_OPTION, "%s: \"%s\" is not a number", path, name);
      if (!add_scale (s, name, json_node_get_double (node), NULL, error))
        return FALSE;
    }
  return TRUE;
}

/* Adds the scale that stands beside a quantized layer. It was made for the scheme of that layer */
static gboolean
add_claimed (InputScales *s, const SourceLayer *layer, GError **error)
{
  const Binding *b = qconv_source_layer_binding (layer, QCONV_INPUT_SCALE);
  g_autoptr (Components) c = NULL;
  g_autofree guint8 *memory = NULL;
  Arena arena = { 0 };
  gint i = qconv_layer_component_index (&layer->layer->pub, QCONV_INPUT_SCALE);

  if (b == NULL)
    return TRUE;
  if (i < 0) /* the scheme's plugin is missing, so the value is unknown: it only fails for other schemes */
    return add_scale (s, layer->name, 1, layer->layer->scheme, error);
  c = qconv_components_new (layer->layer);
  arena.size = qconv_components_cost (layer->layer, SCOPE_LAYER, 0);
  arena.base = memory = g_malloc (arena.size);
  if (qconv_components_load (layer, c, SCOPE_LAYER, &(Rows) { .arena = &arena }, error))
    return add_scale (s, layer->name, *(const float *) c->buffers[i].data, layer->layer->scheme, error);
  qconv_error_name_layer (error, layer->name);
  return FALSE;
}

static gboolean
add_plain (InputScales *s, const SourceLayer *layer, GError **error)
{
  const QconvTensor *t = qconv_source_layer_tensor (layer);
  guint64 items = 0;
  QconvBuffer raw, wide;
  guint8 bytes[8];
  float value = 0;

  if (t == NULL || !qconv_shape_items (&t->shape, &items) || items != 1 || !qconv_dtype_is_float (t->dtype))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: input scale \"%s\" is not one float", s->path,
                       layer->plain_name);
  if (!qconv_tensor_read (t, 0, (gsize) t->n_bytes, bytes, error))
    return FALSE;
  raw = QCONV_BUFFER (bytes, (gsize) t->n_bytes, t->dtype);
  wide = QCONV_BUFFER (&value, sizeof value, QCONV_F32);
  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&raw), QCONV_BUF (&wide) }, 2,
                           error)
         && add_scale (s, t->name, (double) value, NULL, error);
}

static gboolean
read_model (InputScales *s, const char *path, GError **error)
{
  g_autoptr (QconvModel) m = qconv_model_open (path, NULL, error);

  if (m == NULL)
    return FALSE;
  qconv_source_list_files (m->source, s->files);
  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *layer = g_ptr_array_index (m->layers, i);
      gboolean plain = qconv_source_layer_plain (layer);

      if (plain && !g_str_has_suffix (layer->plain_name, SUFFIX))
        continue;
      if (!(plain ? add_plain (s, layer, error) : add_claimed (s, layer, error)))
        return FALSE;
    }
  return g_hash_table_size (s->by_name) > 0 || qconv_fail (error, QCONV_ERROR_OPTION, "%s: holds no *" SUFFIX, path);
}

/* Returns whether @path is called .json or begins like JSON */
static gboolean
is_json (const char *path)
{
  g_autoptr (QconvSource) source = qconv_source_open (path, NULL);
  char first[2] = { 0 };

  return g_str_has_suffix (path, ".json")
         || (source != NULL && qconv_source_read (source, 0, sizeof first, first, NULL) && first[0] == '{'
             && g_ascii_isprint (first[1]));
}

InputScales *
qconv_input_scales_new (const char *text, GError **error)
{
  g_autoptr (InputScales) s = NULL;
  char *end = NULL;
  double value;

  if (text == NULL || strcmp (text, "none") == 0)
    return NULL;
  s = g_new0 (InputScales, 1);
  s->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_scale);
  s->files = g_ptr_array_new_with_free_func (g_free);
  s->path = g_strdup (text);
  value = g_ascii_strtod (text, &end);
  if (*text != '\0' && *end == '\0')
    {
      s->for_all = TRUE;
      s->value = (float) value;
      if (isfinite (s->value) && s->value > 0)
        return g_steal_pointer (&s);
      qconv_fail (error, QCONV_ERROR_OPTION, "input scale %s is not a positive number", text);
      return NULL;
    }
  if (!g_file_test (text, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: no such file, and not a number either", text);
      return NULL;
    }
  return (is_json (text) ? read_json (s, text, error) : read_model (s, text, error)) ? g_steal_pointer (&s) : NULL;
}

/* Returns the scale of the layer, or NULL if there is none */
static const Scale *
find_scale (const InputScales *s, const char *plain_name)
{
  g_autofree char *key = qconv_short_name (plain_name);

  return g_hash_table_lookup (s->by_name, key);
}

gboolean
qconv_input_scales_find (InputScales *s, const SourceLayer *layer, const char *scheme, InputScale *out, GError **error)
{
  const Scale *scale = find_scale (s, layer->plain_name);

  if (scale == NULL && layer->sources != NULL && qconv_composed_whole (layer))
    scale = find_scale (s, qconv_composed_source (layer, 0)->plain_name);
  *out = (InputScale) { .found = scale != NULL || s->for_all, .for_all = scale == NULL, .value = s->value };
  if (scale == NULL)
    return TRUE;
  out->value = scale->value;
  return scale->scheme == NULL || strcmp (scale->scheme, scheme) == 0
         || qconv_fail (error, QCONV_ERROR_OPTION, "%s: input scale of \"%s\" was made for %s, not for %s", s->path,
                        layer->name, scale->scheme, scheme);
}

/* Returns: (transfer full): the short names of @layers, and of the claimed layers of which they are renamed copies.
   @fused gets the short name of every other claimed layer -> the name of the layer that has rows of it */
static GHashTable *
list_names (const GPtrArray *layers, GHashTable *fused)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (layers, i);

      g_hash_table_add (names, qconv_short_name (s->plain_name));
      for (guint j = 0; s->sources != NULL && j < s->sources->len; j++)
        {
          char *name = qconv_short_name (((const SourceLayer *) g_ptr_array_index (s->sources, j))->plain_name);

          if (qconv_composed_whole (s))
            g_hash_table_add (names, name);
          else
            g_hash_table_replace (fused, name, s->name);
        }
    }
  return names;
}

gboolean
qconv_input_scales_check (const InputScales *s, const GPtrArray *layers, GError **error)
{
  g_autoptr (GHashTable) fused = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) names = list_names (layers, fused);
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, s->by_name);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      const char *whole = g_hash_table_lookup (fused, key);

      if (g_hash_table_contains (names, key))
        continue;
      if (whole != NULL)
        return qconv_fail (error, QCONV_ERROR_OPTION,
                           "%s: input scale \"%s\" is for a part of \"%s\": give one for that", s->path,
                           (const char *) key, whole);
      return qconv_fail (error, QCONV_ERROR_OPTION, "%s: input scale \"%s\" matches no layer", s->path,
                         (const char *) key);
    }
  return TRUE;
}
