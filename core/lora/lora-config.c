/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the file beside a LoRA that holds its alpha and finds the factor of each layer. lora-file.c and lora.c call
   it. Rules: huggingface/peft, src/peft/tuners/lora/layer.py (update_layer), src/peft/utils/other.py
   (get_pattern_key). */
#include "lora/lora-config.h"

#include <math.h>
#include <string.h>

#include "base/json-text.h"
#include "qconv-types.h"

/* Alpha of the layers whose names match */
typedef struct {
  GRegex *match;
  double alpha;
} Pattern;

/* @alpha: of layers that no pattern matches; @root: alpha is divided by the square root of the rank */
struct _LoraConfig {
  const LoraConfigForm *form;
  double alpha;
  gboolean root;
  GArray *patterns;
};

static void
clear_pattern (gpointer data)
{
  g_clear_pointer (&((Pattern *) data)->match, g_regex_unref);
}

void
qconv_lora_config_free (LoraConfig *c)
{
  g_array_unref (c->patterns);
  g_free (c);
}

/* Sets @value to the finite number in @node. Returns FALSE if @node (nullable) holds none */
static gboolean
read_number (JsonNode *node, double *value)
{
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  if (type != G_TYPE_DOUBLE && type != G_TYPE_INT64)
    return FALSE;
  *value = json_node_get_double (node);
  return isfinite ((float) *value);
}

static gboolean
read_alpha (LoraConfig *c, JsonObject *o, GError **error)
{
  for (guint i = 0; i < c->form->alpha->len; i++)
    if (read_number (json_object_get_member (o, g_ptr_array_index (c->form->alpha, i)), &c->alpha))
      return TRUE;
  return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is not a number, so the strength of the LoRA is unknown",
                     (const char *) g_ptr_array_index (c->form->alpha, 0));
}

static gboolean
read_patterns (LoraConfig *c, JsonObject *o, GError **error)
{
  JsonNode *node = json_object_get_member (o, c->form->alpha_pattern);
  JsonObject *patterns = node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr (GList) names = patterns != NULL ? json_object_get_members (patterns) : NULL;

  for (GList *l = names; l != NULL; l = l->next)
    {
      g_autofree char *whole = g_strdup_printf ("^(.*\\.)?(%s)$", (const char *) l->data);
      Pattern p = { NULL, 0 };

      if (!read_number (json_object_get_member (patterns, l->data), &p.alpha))
        return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\": \"%s\" is not a number", c->form->alpha_pattern,
                           (const char *) l->data);
      p.match = g_regex_new (whole, G_REGEX_DEFAULT, 0, NULL);
      if (p.match == NULL)
        return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\": \"%s\" is not a regular expression",
                           c->form->alpha_pattern, (const char *) l->data);
      g_array_append_val (c->patterns, p);
    }
  return TRUE;
}

static gboolean
is_true (JsonObject *o, const char *member)
{
  JsonNode *node = json_object_get_member (o, member);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN
         && json_node_get_boolean (node);
}

/* Returns whether @o has a member as @text describes it: "MEMBER", which is true, or "MEMBER=START", a text */
static gboolean
states (JsonObject *o, const char *text)
{
  const char *equals = strchr (text, '=');
  g_autofree char *member = equals != NULL ? g_strndup (text, (gsize) (equals - text)) : NULL;
  JsonNode *node = member != NULL ? json_object_get_member (o, member) : NULL;

  if (equals == NULL)
    return is_true (o, text);
  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
         && g_str_has_prefix (json_node_get_string (node), equals + 1);
}

static gboolean
check_refused (const LoraConfig *c, JsonObject *o, GError **error)
{
  for (guint i = 0; i < c->form->refused->len; i++)
    {
      const LoraRefusal *r = &g_array_index (c->form->refused, LoraRefusal, i);

      if (states (o, r->text))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: %s cannot be merged", r->text, r->what);
    }
  return TRUE;
}

static gboolean
read_object (LoraConfig *c, JsonNode *node, GError **error)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;

  if (o == NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "not a JSON object");
  c->root = is_true (o, c->form->root);
  return check_refused (c, o, error) && read_alpha (c, o, error) && read_patterns (c, o, error);
}

LoraConfig *
qconv_lora_config_read (const char *path, const LoraConfigForm *form, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path), *file = g_build_filename (folder, form->file, NULL);
  g_autoptr (LoraConfig) c = NULL;
  g_autoptr (JsonNode) node = NULL;

  if (!g_file_test (file, G_FILE_TEST_EXISTS))
    return NULL;
  c = g_new0 (LoraConfig, 1);
  c->form = form;
  c->patterns = g_array_new (FALSE, FALSE, sizeof (Pattern));
  g_array_set_clear_func (c->patterns, clear_pattern);
  node = qconv_json_text_load (file, error);
  if (node != NULL && read_object (c, node, error))
    return g_steal_pointer (&c);
  g_prefix_error (error, "%s: ", form->file);
  return NULL;
}

double
qconv_lora_config_factor (const LoraConfig *c, const char *layer, guint64 rank)
{
  const char *name = layer + (g_str_has_prefix (layer, c->form->prefix) ? strlen (c->form->prefix) : 0);
  double alpha = c->alpha;

  for (guint i = 0; i < c->patterns->len; i++)
    {
      const Pattern *p = &g_array_index (c->patterns, Pattern, i);

      if (!g_regex_match (p->match, name, 0, NULL))
        continue;
      alpha = p->alpha;
      break;
    }
  return alpha / (c->root ? sqrt ((double) rank) : (double) rank);
}
