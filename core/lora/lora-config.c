/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the file beside a LoRA that holds its alpha and finds the factor of each layer. lora-file.c and lora.c call
   it. Rules: huggingface/peft, src/peft/tuners/lora/layer.py (update_layer), src/peft/utils/other.py
   (get_pattern_key). */
#include "lora/lora-config.h"

#include <math.h>
#include <string.h>

#include "base/json-text.h"
#include "qconv-types.h"

/* Alpha or rank of the layers whose names match */
typedef struct {
  GRegex *match;
  double value;
} Pattern;

/**
 * LoraConfig:
 *
 * @alpha, @rank: of layers that no pattern matches; @rank: 0: not stated
 * @root: alpha is divided by the square root of the rank
 * @alphas, @ranks: (element-type Pattern)
 */
struct _LoraConfig {
  const LoraConfigForm *form;
  double alpha, rank;
  gboolean root;
  GArray *alphas, *ranks;
};

static void
clear_pattern (gpointer data)
{
  g_clear_pointer (&((Pattern *) data)->match, g_regex_unref);
}

void
qconv_lora_config_free (LoraConfig *c)
{
  g_array_unref (c->alphas);
  g_array_unref (c->ranks);
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
read_patterns (JsonObject *o, const char *member, GArray *to, GError **error)
{
  JsonNode *node = json_object_get_member (o, member);
  JsonObject *patterns = node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr (GList) names = patterns != NULL ? json_object_get_members (patterns) : NULL;

  for (GList *l = names; l != NULL; l = l->next)
    {
      g_autofree char *whole = g_strdup_printf ("^(.*\\.)?(%s)$", (const char *) l->data);
      Pattern p = { NULL, 0 };

      if (!read_number (json_object_get_member (patterns, l->data), &p.value))
        return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\": \"%s\" is not a number", member, (const char *) l->data);
      p.match = g_regex_new (whole, G_REGEX_DEFAULT, 0, NULL);
      if (p.match == NULL)
        return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\": \"%s\" is not a regular expression", member,
                           (const char *) l->data);
      g_array_append_val (to, p);
    }
  return TRUE;
}

/* Returns whether @o has a member as @text describes it: "MEMBER", which is true, or "MEMBER=START", a text */
static gboolean
states (JsonObject *o, const char *text)
{
  const char *equals = strchr (text, '=');
  g_autofree char *member = equals != NULL ? g_strndup (text, (gsize) (equals - text)) : NULL;
  JsonNode *node = member != NULL ? json_object_get_member (o, member) : NULL;

  if (equals == NULL)
    return qconv_json_is_true (o, text);
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
  c->root = qconv_json_is_true (o, c->form->root);
  if (!read_number (json_object_get_member (o, c->form->rank), &c->rank) || c->rank <= 0)
    c->rank = 0;
  return check_refused (c, o, error) && read_alpha (c, o, error)
         && read_patterns (o, c->form->alpha_pattern, c->alphas, error)
         && read_patterns (o, c->form->rank_pattern, c->ranks, error);
}

/* Reads a file of JSON. Returns: (transfer full) (nullable): NULL without an error if there is no such file */
static JsonNode *
load_json (const char *path, GError **error)
{
  g_autoptr (GError) local = NULL;
  JsonNode *node = qconv_json_text_load (path, QCONV_ERROR_INPUT, &local);

  if (node == NULL && !g_error_matches (local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&local));
  return node;
}

static GArray *
new_patterns (void)
{
  GArray *patterns = g_array_new (FALSE, FALSE, sizeof (Pattern));

  g_array_set_clear_func (patterns, clear_pattern);
  return patterns;
}

LoraConfig *
qconv_lora_config_read (const char *path, const LoraConfigForm *form, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (JsonNode) node = load_json (path, &local);
  g_autoptr (LoraConfig) c = g_new0 (LoraConfig, 1);

  c->form = form;
  c->alphas = new_patterns ();
  c->ranks = new_patterns ();
  if (node != NULL && read_object (c, node, &local))
    return g_steal_pointer (&c);
  if (node != NULL && local != NULL)
    g_prefix_error (&local, "%s: ", form->file);
  if (local != NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

/* Sets @value to that of the first pattern that matches @name; lets it be if none does. Fails if an expression takes
   too long */
static gboolean
apply_patterns (const GArray *patterns, const char *name, double *value, GError **error)
{
  for (guint i = 0; i < patterns->len; i++)
    {
      const Pattern *p = &g_array_index (patterns, Pattern, i);
      g_autoptr (GError) broken = NULL;

      if (g_regex_match_full (p->match, name, -1, 0, 0, NULL, &broken))
        {
          *value = p->value;
          return TRUE;
        }
      if (broken != NULL)
        return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\": %s", g_regex_get_pattern (p->match), broken->message);
    }
  return TRUE;
}

gboolean
qconv_lora_config_factor (const LoraConfig *c, const char *layer, guint64 rank, double *factor, GError **error)
{
  const char *name = layer + (g_str_has_prefix (layer, c->form->prefix) ? strlen (c->form->prefix) : 0);
  double alpha = c->alpha, divisor = c->rank;

  if (!apply_patterns (c->alphas, name, &alpha, error) || !apply_patterns (c->ranks, name, &divisor, error))
    return FALSE;
  if (rank > 0)
    divisor = (double) rank;
  if (divisor <= 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: \"%s\" is not a rank, so the strength of the LoRA is unknown",
                       c->form->file, c->form->rank);
  *factor = alpha / (c->root ? sqrt (divisor) : divisor);
  return TRUE;
}
