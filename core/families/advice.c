/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/advice.h"

#include <string.h>

#include "base/names.h"
#include "families/expand.h"

enum { FEW_BITS = 6 };

/* (nullable) */
static JsonObject *
preset_named (const Family *f, const char *name)
{
  JsonObject *presets = json_object_get_object_member (qconv_family_json (f), "presets");

  return name != NULL ? qconv_family_object (presets, name) : NULL;
}

JsonObject *
qconv_family_preset (const Family *f, const char *scheme, guint scheme_bits)
{
  JsonObject *base = qconv_family_base (f) != NULL ? qconv_family_json (qconv_family_base (f)) : NULL;
  JsonObject *names = base != NULL ? qconv_family_object (base, "scheme_presets") : NULL;
  JsonObject *preset = preset_named (f, scheme);

  if (preset == NULL && names != NULL)
    preset = preset_named (f, qconv_family_text (names, scheme));
  if (preset == NULL && base != NULL)
    preset = preset_named (
        f, qconv_family_text (base, scheme_bits <= FEW_BITS ? "preset_to_6_bits" : "preset_above_6_bits"));
  return preset;
}

gboolean
qconv_family_is_probed (const Family *f, const char *layer)
{
  JsonArray *list = qconv_family_list (qconv_family_json (f), "never_pack");
  gsize n = strlen (layer);

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    {
      const char *name = json_array_get_string_element (list, i);

      if (strncmp (name, layer, n) == 0 && (name[n] == '\0' || strcmp (name + n, ".weight") == 0))
        return TRUE;
    }
  return FALSE;
}

guint64
qconv_family_least_dim (const Family *f)
{
  JsonObject *base = qconv_family_base (f) != NULL ? qconv_family_json (qconv_family_base (f)) : NULL;

  return base != NULL ? (guint64) json_object_get_int_member_with_default (base, "min_dim", 0) : 0;
}

/* How many blocks @stem has: one more than the highest number that a template gives behind it */
static gint64
count_blocks (const Family *f, const Dims *dims, const char *stem)
{
  JsonArray *layers = qconv_family_list (qconv_family_json (f), "layers");
  g_autofree char *start = g_strconcat (stem, ".{", NULL);
  gint64 n = 0, high;

  for (guint i = 0; layers != NULL && i < json_array_get_length (layers); i++)
    {
      JsonObject *layer = json_array_get_object_element (layers, i);
      const char *name = qconv_family_text (layer, "name");
      g_autofree char *variable = NULL;
      JsonNode *range;

      if (!g_str_has_prefix (name, start) || !qconv_dims_hold (dims, qconv_family_text (layer, "when")))
        continue;
      name += strlen (start);
      variable = g_strndup (name, strcspn (name, "}"));
      range = json_object_get_member (json_object_get_object_member (layer, "index"), variable);
      if (JSON_NODE_HOLDS_ARRAY (range)
          && qconv_dims_evaluate (dims, json_array_get_element (json_node_get_array (range), 1), &high, NULL))
        n = MAX (n, high);
    }
  return n;
}

static gboolean
in_blocks (const Family *f, const Dims *dims, JsonObject *blocks, const char *layer)
{
  const char *stem = qconv_family_text (blocks, "stem"), *number = layer + strlen (stem) + 1;
  gint64 last = json_object_get_int_member (blocks, "last"), n;
  guint64 at;
  char *end;

  if (!g_str_has_prefix (layer, stem) || number[-1] != '.' || !g_ascii_isdigit (*number))
    return FALSE;
  at = g_ascii_strtoull (number, &end, 10);
  if (*end != '.')
    return FALSE;
  if (at < (guint64) json_object_get_int_member (blocks, "first"))
    return TRUE;
  n = last > 0 && dims != NULL ? count_blocks (f, dims, stem) : 0;
  return n > 0 && at < (guint64) n && at >= (guint64) MAX (n - last, 0);
}

/* (nullable): stem of the kept blocks that @layer is in */
static const char *
kept_blocks (const Family *f, const Dims *dims, JsonObject *preset, const char *layer)
{
  JsonArray *list = qconv_family_list (preset, "keep_blocks");

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    {
      JsonObject *blocks = json_array_get_object_element (list, i);

      if (in_blocks (f, dims, blocks, layer))
        return qconv_family_text (blocks, "stem");
    }
  return NULL;
}

/* (nullable): the rule of @f's role_rules that @name falls under */
static JsonObject *
find_role_rule (const Family *f, const char *name)
{
  JsonArray *rules = qconv_family_list (qconv_family_json (f), "role_rules");

  for (guint i = 0; rules != NULL && i < json_array_get_length (rules); i++)
    {
      JsonObject *rule = json_array_get_object_element (rules, i);

      if (qconv_family_match (f, qconv_family_text (rule, "match"), name))
        return rule;
    }
  return NULL;
}

static const char *
describe (const Family *f, const Dims *dims, const char *name, const char *member)
{
  JsonObject *found = qconv_family_template (f, dims, name);
  const Family *base = qconv_family_base (f);

  if (found == NULL)
    found = find_role_rule (f, name);
  if (found == NULL && base != NULL && base != f)
    found = find_role_rule (base, name);
  return found != NULL ? qconv_family_text (found, member) : NULL;
}

const char *
qconv_family_role (const Family *f, const Dims *dims, const char *name)
{
  return describe (f, dims, name, "role");
}

const char *
qconv_family_class (const Family *f, const Dims *dims, const char *name)
{
  return describe (f, dims, name, "class");
}

/* (nullable): why a layer is kept whatever the scheme */
static const char *
always_kept (const Family *f, const Dims *dims, const char *layer)
{
  static const char *const quantizable[] = { "core", "mod", "expert", NULL };
  g_autofree char *name = qconv_weight_name (layer);
  JsonObject *template = qconv_family_template (f, dims, name), *rule = NULL;
  const Family *base = qconv_family_base (f);
  const char *op = template != NULL ? qconv_family_text (template, "op") : "linear", *class_;

  if (strcmp (op, "linear") != 0)
    return op;
  if (template != NULL)
    return NULL;
  rule = find_role_rule (f, name);
  class_ = rule != NULL ? qconv_family_text (rule, "class") : NULL;
  if (class_ != NULL)
    return g_strv_contains (quantizable, class_) ? NULL : class_;
  /* Nobody knows what its loader makes of a tensor that is not the model's */
  if (base != f && rule == NULL && qconv_family_list (qconv_family_json (f), "layers") != NULL)
    return "no part of the family";
  return base != NULL ? qconv_family_match_any (base, qconv_family_list (qconv_family_json (base), "keep"), layer)
                      : NULL;
}

/* Which scheme the layer falls back to, if any */
static void
find_fallback (const Family *f, JsonObject *preset, const char *layer, Advice *advice)
{
  JsonObject *fallback = qconv_family_object (preset, "fallback");
  g_autoptr (GList) schemes = fallback != NULL ? json_object_get_members (fallback) : NULL;

  for (GList *l = schemes; l != NULL && advice->kind == ADVICE_TARGET; l = l->next)
    {
      advice->why = qconv_family_match_any (f, qconv_family_list (fallback, l->data), layer);
      if (advice->why == NULL)
        continue;
      advice->kind = ADVICE_FALLBACK;
      /* The list is freed, its texts are the family's */
      advice->fallback = l->data;
    }
}

Advice
qconv_family_advise (const Family *f, const Dims *dims, const char *scheme, guint scheme_bits, const char *layer)
{
  JsonObject *preset = qconv_family_preset (f, scheme, scheme_bits);
  JsonArray *only = preset != NULL ? qconv_family_list (preset, "only") : NULL;
  Advice advice = { .kind = ADVICE_KEEP, .why = always_kept (f, dims, layer) };

  if (advice.why == NULL && scheme_bits < 8 && qconv_family_is_probed (f, layer))
    advice.why = "never_pack";
  if (advice.why == NULL && preset != NULL)
    advice.why = qconv_family_match_any (f, qconv_family_list (preset, "keep"), layer);
  if (advice.why == NULL && preset != NULL)
    advice.why = kept_blocks (f, dims, preset, layer);
  if (advice.why != NULL)
    return advice;
  advice.kind = ADVICE_TARGET;
  if (preset == NULL)
    return advice;
  advice.full_precision_mm = qconv_family_match_any (f, qconv_family_list (preset, "full_precision_mm"), layer) != NULL;
  find_fallback (f, preset, layer, &advice);
  if (advice.kind == ADVICE_TARGET && only != NULL && qconv_family_match_any (f, only, layer) == NULL)
    advice = (Advice) { .kind = ADVICE_KEEP, .why = "only" };
  return advice;
}
