/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the markers of the layers that a file calls quantized. If header and markers disagree, the header wins, as in
   ComfyUI (comfy/utils.py convert_old_quants). */
#include "marker.h"

#include <string.h>

#include "guess.h"
#include "json-node.h"
#include "trouble.h"

/* Most bytes of a marker. */
#define MARKER_LARGEST 65536

/* Prefixes of models (ComfyUI: comfy/model_detection.py unet_prefix_from_state_dict). */
static const char *const prefixes[] = { "model.diffusion_model.", "model.model.", "net.", "model." };

static void
marker_free (gpointer data)
{
  ComfyMarker *m = data;

  g_free (m->layer);
  json_node_unref (m->json);
  g_free (m);
}

void
comfy_markers_free (ComfyMarkers *m)
{
  g_hash_table_unref (m->named);
  g_ptr_array_unref (m->list);
  g_ptr_array_unref (m->idle);
  g_free (m);
}

gboolean
comfy_node_is (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

/* Returns @key of the marker or, like the loader, of "params" if that is an object (ComfyUI: comfy/ops.py
   _load_quantized_module). */
JsonNode *
comfy_marker_member (JsonObject *marker, const char *key)
{
  JsonNode *node = marker != NULL ? json_object_get_member (marker, key) : NULL;
  JsonNode *params = marker != NULL ? json_object_get_member (marker, "params") : NULL;

  if (node == NULL && params != NULL && JSON_NODE_HOLDS_OBJECT (params))
    node = json_object_get_member (json_node_get_object (params), key);
  return node;
}

/* Guesses the format of a layer with a blank marker. Some programs lost the bytes of markers when they wrote a file. */
static gboolean
guess_format (const QconvDirectory *d, ComfyMarker *m, const QconvValues *options, GPtrArray *troubles)
{
  g_autofree char *rotation = NULL;

  m->format = comfy_format_guess (d, m->layer);
  if (m->format == NULL)
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, m->layer, "no-format",
                         "the marker is blank, and no format fits the tensors");
      return FALSE;
    }
  m->name = m->format->name;
  rotation = comfy_guess_rotation (m->format, qconv_directory_find2 (d, m->layer, ".weight"), options,
                                   json_node_get_object (m->json));
  qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, m->layer, "no-format",
                     "the marker is blank; its tensors look like %s%s", m->name, rotation);
  return TRUE;
}

/* Finds the format that a marker names. Markers of INT8-Fast name none, because it writes only rotated INT8. */
static gboolean
name_format (const QconvDirectory *d, ComfyMarker *m, const QconvValues *options, GPtrArray *troubles)
{
  JsonObject *object = json_node_get_object (m->json);
  JsonNode *format = json_object_get_member (object, "format");

  if (m->blank)
    return guess_format (d, m, options, troubles);
  if (format == NULL && (json_object_has_member (object, "convrot") || json_object_has_member (object, "per_row")))
    {
      m->name = "int8_tensorwise";
      qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, m->layer, "no-format",
                         "the marker names no format; it is read as %s", m->name);
    }
  else if (format == NULL || !comfy_node_is (format, G_TYPE_STRING))
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, m->layer, "no-format", "the marker names no format");
      return FALSE;
    }
  else
    m->name = json_node_get_string (format);
  m->format = comfy_format_find (m->name);
  if (m->format == NULL)
    qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, m->layer, "unknown-format", "format '%s' is not known", m->name);
  return TRUE;
}

/* Adds the marker of @layer, or replaces its JSON. @json: (transfer full) */
static ComfyMarker *
put (ComfyMarkers *all, const char *layer, JsonNode *json, const QconvTensor *tensor)
{
  ComfyMarker *m = g_hash_table_lookup (all->named, layer);

  if (m == NULL)
    {
      m = g_new0 (ComfyMarker, 1);
      m->layer = g_strdup (layer);
      m->tensor = tensor;
      g_ptr_array_add (all->list, m);
      g_hash_table_insert (all->named, m->layer, m);
    }
  else
    json_node_unref (m->json);
  m->json = json;
  m->blank = FALSE;
  return m;
}

/* Returns: (transfer full): the object in marker @t, or NULL with @error. @blank: it holds no text; @cut: NULs follow
   the text */
static JsonNode *
read_marker (const QconvTensor *t, gboolean *blank, gboolean *cut, GError **error)
{
  gsize n = t->n_bytes;

  g_autofree char *text = NULL;
  g_autoptr (JsonNode) json = NULL;

  if ((t->dtype != QCONV_U8 && t->dtype != QCONV_I8) || t->shape.rank != 1 || t->n_bytes > MARKER_LARGEST)
    {
      g_autofree char *shape = qconv_shape_to_string (&t->shape);

      qconv_fail (error, QCONV_ERROR_INPUT, "%s %s is not a U8 vector with a text", qconv_dtype_name (t->dtype), shape);
      return NULL;
    }
  text = g_malloc (t->n_bytes + 1);
  if (!qconv_tensor_read (t, 0, t->n_bytes, text, error))
    return NULL;
  while (n > 0 && text[n - 1] == '\0')
    n--;
  *blank = n == 0;
  *cut = n > 0 && n < t->n_bytes;
  json = qconv_json_node_parse (*blank ? "{}" : text, *blank ? 2 : n, error);
  if (json != NULL && !JSON_NODE_HOLDS_OBJECT (json))
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "not a JSON object");
      return NULL;
    }
  return g_steal_pointer (&json);
}

static void
read_tensors (ComfyMarkers *all, const QconvDirectory *d, GPtrArray *troubles)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      g_autoptr (GError) error = NULL;
      gboolean blank = FALSE, cut = FALSE;
      JsonNode *json;

      if (!g_str_has_suffix (t->name, COMFY_MARKER))
        continue;
      layer = g_strndup (t->name, strlen (t->name) - strlen (COMFY_MARKER));
      json = read_marker (t, &blank, &cut, &error);
      if (json == NULL)
        qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, layer, "marker", "%s: %s", &COMFY_MARKER[1], error->message);
      else
        put (all, layer, json, t)->blank = blank;
      if (json != NULL && cut)
        qconv_trouble_add (troubles, QCONV_TROUBLE_NOTE, layer, "marker",
                           "%s has NULs behind its text; ComfyUI does not read that as JSON", &COMFY_MARKER[1]);
    }
}

/* Returns: (transfer full) (nullable): the layer that the header calls @name, with or without a prefix. */
static char *
find_layer (const QconvDirectory *d, const char *name)
{
  if (qconv_directory_find2 (d, name, ".weight") != NULL)
    return g_strdup (name);
  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    {
      g_autofree char *longer = g_strconcat (prefixes[i], name, NULL);
      const char *shorter = name + strlen (prefixes[i]);

      if (qconv_directory_find2 (d, longer, ".weight") != NULL)
        return g_steal_pointer (&longer);
      if (g_str_has_prefix (name, prefixes[i]) && qconv_directory_find2 (d, shorter, ".weight") != NULL)
        return g_strdup (shorter);
    }
  return NULL;
}

/* Applies the entry of the header for the layer @name over its marker. */
static void
lay_over (ComfyMarkers *all, const QconvDirectory *d, const char *name, JsonNode *json, gboolean header_wins,
          GPtrArray *troubles)
{
  g_autofree char *layer = find_layer (d, name);
  ComfyMarker *m;

  if (layer == NULL)
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, name, "header-layer", "%s names a layer that has no weight",
                         COMFY_HEADER);
      return;
    }
  if (!JSON_NODE_HOLDS_OBJECT (json))
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, layer, "header", "the entry in %s is not a JSON object",
                         COMFY_HEADER);
      return;
    }
  m = g_hash_table_lookup (all->named, layer);
  if (m != NULL && m->blank)
    qconv_trouble_add (troubles, QCONV_TROUBLE_NOTE, layer, "header-marker",
                       "the marker is blank; " COMFY_HEADER " counts");
  if (m != NULL && !m->blank && !json_node_equal (m->json, json))
    qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, layer, "header-marker",
                       "%s and the marker disagree; the %s counts", COMFY_HEADER, header_wins ? "former" : "latter");
  if (m != NULL && !m->blank && !header_wins)
    return;
  put (all, layer, json_node_copy (json), NULL);
}

static void
read_header (ComfyMarkers *all, const QconvDirectory *d, gboolean header_wins, GPtrArray *troubles)
{
  GVariant *value = qconv_directory_metadata (d, COMFY_HEADER);
  g_autoptr (JsonNode) json = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GList) names = NULL;
  JsonNode *layers = NULL;
  const char *text;
  gsize n;

  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return;
  text = g_variant_get_string (value, &n);
  json = qconv_json_node_parse (text, n, &error);
  if (json == NULL)
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, NULL, "header", "%s: %s", COMFY_HEADER, error->message);
      return;
    }
  if (JSON_NODE_HOLDS_OBJECT (json))
    layers = json_object_get_member (json_node_get_object (json), "layers");
  if (layers == NULL || !JSON_NODE_HOLDS_OBJECT (layers))
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, NULL, "header", "%s has no object 'layers'", COMFY_HEADER);
      return;
    }
  names = json_object_get_members (json_node_get_object (layers));
  for (GList *l = names; l != NULL; l = l->next)
    lay_over (all, d, l->data, json_object_get_member (json_node_get_object (layers), l->data), header_wins, troubles);
}

/* Returns whether a marker of the older form, which stands for all layers with its prefix, counts for the layer.
   ComfyUI then converts the layer and overwrites its marker; it ignores such markers if the header names layers. */
static gboolean
is_old (const QconvDirectory *d, const ComfyMarker *m)
{
  g_autoptr (GString) name = g_string_new (m->layer);
  gsize n = name->len;

  if (qconv_directory_metadata (d, COMFY_HEADER) != NULL
      || qconv_directory_find2 (d, m->layer, ".scale_weight") == NULL)
    return FALSE;
  while (n > 0)
    {
      while (n > 0 && m->layer[n - 1] != '.')
        n--;
      g_string_truncate (name, n);
      if (qconv_directory_find2 (d, name->str, COMFY_OLD_MARKER) != NULL)
        return TRUE;
      n -= n > 0;
    }
  return FALSE;
}

ComfyMarkers *
comfy_markers_read (const QconvDirectory *d, const QconvValues *options, GPtrArray *troubles)
{
  gboolean header_wins = options == NULL || g_str_equal (qconv_values_string (options, "truth"), "header");
  ComfyMarkers *all = g_new0 (ComfyMarkers, 1);

  all->list = g_ptr_array_new_with_free_func (marker_free);
  all->named = g_hash_table_new (g_str_hash, g_str_equal);
  all->idle = g_ptr_array_new ();
  read_tensors (all, d, troubles);
  read_header (all, d, header_wins, troubles);
  for (guint i = 0; i < all->list->len;)
    {
      ComfyMarker *m = g_ptr_array_index (all->list, i);
      gboolean believed = !header_wins || !is_old (d, m);

      if (!believed)
        {
          qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, m->layer, "old-marker",
                             "the marker is ignored, as in ComfyUI, because " COMFY_OLD_MARKER
                             " and scale_weight are there; -o truth=markers uses it");
          g_ptr_array_add (all->idle, (gpointer) m->tensor);
        }
      if (believed && name_format (d, m, options, troubles))
        i++;
      else
        {
          g_hash_table_remove (all->named, m->layer);
          g_ptr_array_remove_index (all->list, i);
        }
    }
  return all;
}
