/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the text of a marker: keys that follow from the layer, then keys that move with it. */
#include "marker-text.h"

#include <string.h>

#include "json-node.h"
#include "json-write.h"

void
comfy_append_json (GString *out, JsonNode *node)
{
  if (JSON_NODE_HOLDS_OBJECT (node))
    {
      JsonObject *object = json_node_get_object (node);
      g_autoptr (GList) keys = json_object_get_members (object);

      g_string_append_c (out, '{');
      for (GList *l = keys; l != NULL; l = l->next)
        {
          g_string_append (out, l == keys ? "" : ", ");
          qconv_json_append_string (out, l->data);
          g_string_append (out, ": ");
          comfy_append_json (out, json_object_get_member (object, l->data));
        }
      g_string_append_c (out, '}');
    }
  else if (JSON_NODE_HOLDS_ARRAY (node))
    {
      JsonArray *array = json_node_get_array (node);

      g_string_append_c (out, '[');
      for (guint i = 0; i < json_array_get_length (array); i++)
        {
          g_string_append (out, i == 0 ? "" : ", ");
          comfy_append_json (out, json_array_get_element (array, i));
        }
      g_string_append_c (out, ']');
    }
  else if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    qconv_json_append_string (out, json_node_get_string (node));
  else
    {
      g_autofree char *text = json_to_string (node, FALSE);

      g_string_append (out, text);
    }
}

static void
append_pair (GString *out, const char *key, const char *value)
{
  g_string_append (out, ", ");
  qconv_json_append_string (out, key);
  g_string_append_printf (out, ": %s", value);
}

static const char *
torch_name (QconvDType dtype)
{
  return dtype == QCONV_F16 ? "float16" : dtype == QCONV_F32 ? "float32" : "bfloat16";
}

static void
append_key (GString *out, const ComfyKey *k, const QconvLayer *layer)
{
  const char *value = k->type <= COMFY_KEY_ROTATION ? qconv_values_string (layer->values, k->option) : NULL;
  g_autofree char *text = NULL;

  switch (k->type)
    {
    case COMFY_KEY_GROUP:
      text = g_strdup (value);
      break;
    case COMFY_KEY_ROTATED:
      text = g_str_equal (value, "none") ? NULL : g_strdup ("true");
      break;
    case COMFY_KEY_ROTATION:
      text = g_str_equal (value, "none") ? NULL : g_strdup (value);
      break;
    case COMFY_KEY_SHAPE:
      text = g_strdup_printf ("[%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "]", layer->rows, layer->cols);
      break;
    case COMFY_KEY_DTYPE:
      text = g_strdup_printf ("\"%s\"", torch_name (layer->dtype));
      break;
    case COMFY_KEY_TEXT:
      text = g_strdup_printf ("\"%s\"", k->option);
      break;
    case COMFY_KEY_FALSE:
      text = g_strdup ("false");
      break;
    case COMFY_KEY_MAP:
      break;
    }
  if (text != NULL)
    append_pair (out, k->key, text);
}

/* Returns whether an edit removed the scale of the input and did not edit the key. */
static gboolean
lost_input_scale (const QconvLayer *layer)
{
  return qconv_layer_hint_edited (layer, "input_scale") && qconv_layer_hint (layer, "input_scale") == NULL
         && qconv_layer_component (layer, "input_scale") == NULL
         && !qconv_layer_hint_edited (layer, COMFY_FULL_PRECISION);
}

/* Returns: (nullable): the value of full_precision_matrix_mult as JSON. A moved layer keeps its own unless the user
   sets the option. FP8 without an input_scale gets "true", because ComfyUI would multiply as if the scale were 1. */
static const char *
full_precision (const ComfyFormat *f, const QconvLayer *layer, const QconvValues *values)
{
  const char *hint = qconv_layer_hint (layer, COMFY_FULL_PRECISION), *word;
  gboolean was_marked = qconv_layer_hint (layer, "format") != NULL;

  if (f->full == COMFY_FULL_NEVER)
    return hint;
  word = qconv_values_string (values, "full-precision-mm");
  if (qconv_values_is_set (values, "full-precision-mm") && !g_str_equal (word, "auto"))
    return g_str_equal (word, "on") ? "true" : NULL;
  if (f->full == COMFY_FULL_AUTO && lost_input_scale (layer))
    return "true";
  if (hint != NULL && !qconv_values_is_set (values, "full-precision-mm"))
    return was_marked || g_str_equal (hint, "true") ? hint : NULL;
  if (g_strcmp0 (qconv_layer_hint (layer, QCONV_HINT_FULL_PRECISION), "true") == 0)
    return "true";
  if (f->full != COMFY_FULL_AUTO || (was_marked && !qconv_values_is_set (values, "full-precision-mm")))
    return NULL;
  return qconv_layer_component (layer, "input_scale") == NULL ? "true" : NULL;
}

/* Returns whether @key is written already, or belongs to the format of the source only. */
static gboolean
is_said (const ComfyFormat *f, const ComfyFormat *from, const char *key)
{
  return g_str_equal (key, "format") || g_str_equal (key, COMFY_FULL_PRECISION)
         || g_str_equal (key, QCONV_HINT_FULL_PRECISION) || comfy_format_key (f, key) != NULL
         || (from != NULL && comfy_format_key (from, key) != NULL);
}

const ComfyFormat *
comfy_format_before (const QconvLayer *layer)
{
  const char *text = qconv_layer_hint (layer, "format");
  g_autoptr (JsonNode) json = text != NULL ? qconv_json_node_parse (text, strlen (text), NULL) : NULL;

  return json != NULL && comfy_node_is (json, G_TYPE_STRING) ? comfy_format_find (json_node_get_string (json)) : NULL;
}

/* The spaces are those of ComfyUI (comfy/ops.py _quantized_weight_state_dict). Hints from our reader are JSON already;
   others are left out. */
void
comfy_append_marker (GString *out, const ComfyFormat *format, const QconvLayer *layer, const QconvValues *values)
{
  const ComfyFormat *from = comfy_format_before (layer);
  const char *full = full_precision (format, layer, values);
  g_autofree const char **keys = qconv_layer_hint_keys (layer);

  g_string_append (out, "{\"format\": ");
  qconv_json_append_string (out, format->name);
  for (const ComfyKey *k = format->keys; k != NULL && k->key != NULL; k++)
    append_key (out, k, layer);
  if (full != NULL)
    append_pair (out, COMFY_FULL_PRECISION, full);
  for (guint i = 0; keys[i] != NULL; i++)
    {
      const char *value = qconv_layer_hint (layer, keys[i]);
      g_autoptr (JsonNode) json
          = is_said (format, from, keys[i]) ? NULL : qconv_json_node_parse (value, strlen (value), NULL);

      if (json != NULL)
        append_pair (out, keys[i], value);
    }
}
