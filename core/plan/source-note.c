/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notes the schemes that weights were decoded from. plan.c and check/against.c call it. */
#include "plan/source-note.h"

#include <string.h>

#include "base/json-text.h"

/* Returns: (transfer full) (nullable): the object in the metadata of @d */
static JsonNode *
read_note (const QconvDirectory *d)
{
  GVariant *value = qconv_directory_metadata (d, QCONV_SOURCE);
  const char *text = value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)
                         ? g_variant_get_string (value, NULL)
                         : NULL;
  g_autoptr (JsonNode) node = text != NULL ? qconv_json_text_parse (text, strlen (text), NULL) : NULL;

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? g_steal_pointer (&node) : NULL;
}

/* Returns: (transfer none) (nullable): the list of schemes in @note (nullable) */
static JsonArray *
schemes_of (JsonNode *note)
{
  JsonNode *list = note != NULL ? json_object_get_member (json_node_get_object (note), "scheme") : NULL;

  return list != NULL && JSON_NODE_HOLDS_ARRAY (list) ? json_node_get_array (list) : NULL;
}

gboolean
qconv_source_note_is_lossy (const QconvDirectory *d)
{
  g_autoptr (JsonNode) note = read_note (d);
  JsonArray *list = schemes_of (note);

  return list != NULL && json_array_get_length (list) > 0;
}

/* Adds the schemes that @s is decoded from */
static void
add_schemes (GHashTable *schemes, const SourceLayer *s)
{
  if (s->sources == NULL && qconv_source_layer_quantized (s))
    g_hash_table_add (schemes, g_strdup (s->layer->scheme));
  for (guint i = 0; s->sources != NULL && i < s->sources->len; i++)
    add_schemes (schemes, g_ptr_array_index (s->sources, i));
}

/* Returns: (transfer full) (element-type utf8): the schemes of this run and of the runs before it */
static GHashTable *
all_schemes (const QconvPlan *p)
{
  GHashTable *schemes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (JsonNode) before = read_note (p->model->directory);
  JsonArray *list = schemes_of (before);

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    {
      JsonNode *scheme = json_array_get_element (list, i);

      if (JSON_NODE_HOLDS_VALUE (scheme) && json_node_get_value_type (scheme) == G_TYPE_STRING)
        g_hash_table_add (schemes, json_node_dup_string (scheme));
    }
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->how != HOW_MOVE && !l->adopted && !l->copies)
        add_schemes (schemes, l->source);
    }
  return schemes;
}

void
qconv_source_note_set (QconvPlan *p)
{
  g_autoptr (GHashTable) schemes = all_schemes (p);
  g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (schemes), (GCompareFunc) strcmp);
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (JsonNode) note = NULL;
  g_autofree char *text = NULL;

  if (names == NULL)
    return;
  json_builder_begin_object (b);
  json_builder_set_member_name (b, "version");
  json_builder_add_string_value (b, QCONV_VERSION);
  json_builder_set_member_name (b, "target");
  json_builder_add_string_value (b, p->target->name);
  json_builder_set_member_name (b, "scheme");
  json_builder_begin_array (b);
  for (GList *l = names; l != NULL; l = l->next)
    json_builder_add_string_value (b, l->data);
  json_builder_end_array (b);
  json_builder_end_object (b);
  note = json_builder_get_root (b);
  text = json_to_string (note, FALSE);
  qconv_output_set_metadata (&p->output, QCONV_SOURCE, text);
}
