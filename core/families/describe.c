/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What family files say, for people to read. */
#include <string.h>

#include "families/advice.h"
#include "families/expand.h"
#include "families/keymap.h"
#include "families/knowledge.h"
#include "families/layer-name.h"
#include "qconv.h"

#define ORIGINAL "original"

/* (nullable): of a list of texts; NULL-terminated */
static char **
texts_of (JsonArray *list)
{
  GPtrArray *texts = g_ptr_array_new ();

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    g_ptr_array_add (texts, g_strdup (json_array_get_string_element (list, i)));
  g_ptr_array_add (texts, NULL);
  return (char **) g_ptr_array_free (texts, FALSE);
}

static void
add_once (GPtrArray *texts, const char *text)
{
  if (text != NULL && !g_ptr_array_find_with_equal_func (texts, text, g_str_equal, NULL))
    g_ptr_array_add (texts, g_strdup (text));
}

static char **
finish_texts (GPtrArray *texts)
{
  g_ptr_array_add (texts, NULL);
  return (char **) g_ptr_array_free (texts, FALSE);
}

/* ---- Variants ---- */

static void
free_variant (gpointer data)
{
  QconvVariantInfo *v = data;

  g_free (v->name);
  g_free (v->detect_as);
  g_strfreev (v->aliases);
  g_free (v);
}

static guint64
count_of (JsonObject *o, const char *member)
{
  return (guint64) MAX (json_object_get_int_member_with_default (o, member, 0), 0);
}

/* What is made for tests is none of a person's business */
static GPtrArray *
list_variants (const Family *f)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (free_variant);
  JsonObject *variants = qconv_family_object (qconv_family_json (f), "variants");
  g_autoptr (GList) names = variants != NULL ? json_object_get_members (variants) : NULL;

  for (GList *l = names; l != NULL; l = l->next)
    {
      JsonObject *o = json_object_get_object_member (variants, l->data);
      QconvVariantInfo *v;

      if (json_object_get_boolean_member_with_default (o, "synthetic", FALSE))
        continue;
      v = g_new0 (QconvVariantInfo, 1);
      v->name = g_strdup (l->data);
      v->detect_as = g_strdup (qconv_family_text (o, "detect_as"));
      v->aliases = texts_of (qconv_family_list (o, "aliases"));
      v->n_tensors = count_of (o, "tensors");
      v->n_params = count_of (o, "params");
      g_ptr_array_add (list, v);
    }
  return list;
}

/* ---- Namings ---- */

static char **
list_read (const Family *f)
{
  JsonObject *detect = qconv_family_object (qconv_family_json (f), "detect");
  JsonArray *namings = detect != NULL ? qconv_family_list (detect, "namings") : NULL;
  GPtrArray *texts = g_ptr_array_new ();

  for (guint i = 0; namings != NULL && i < json_array_get_length (namings); i++)
    add_once (texts, qconv_family_text (json_array_get_object_element (namings, i), "naming"));
  return finish_texts (texts);
}

static char **
list_written (const Family *f)
{
  JsonArray *maps = qconv_family_list (qconv_family_json (f), "keymaps");
  GPtrArray *texts = g_ptr_array_new ();

  add_once (texts, ORIGINAL);
  for (guint i = 0; maps != NULL && i < json_array_get_length (maps); i++)
    {
      JsonObject *map = json_array_get_object_element (maps, i);

      add_once (texts, qconv_family_text (map, "a"));
      add_once (texts, qconv_family_text (map, "b"));
    }
  return finish_texts (texts);
}

/* ---- Presets ---- */

static void
free_rule (gpointer data)
{
  QconvFamilyRule *r = data;

  g_free (r->scheme);
  g_free (r->pattern);
  g_free (r->blocks);
  g_strfreev (r->classes);
  g_strfreev (r->peers);
  g_free (r);
}

static void
free_preset (gpointer data)
{
  QconvPresetInfo *p = data;

  g_strfreev (p->schemes);
  g_ptr_array_unref (p->rules);
  g_free (p);
}

/* All layers of all variants once: name -> template */
static GHashTable *
all_layers (const Family *f, GError **error)
{
  g_autoptr (GHashTable) layers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  JsonObject *variants = qconv_family_object (qconv_family_json (f), "variants");
  g_autoptr (GList) names = variants != NULL ? json_object_get_members (variants) : NULL;

  for (GList *l = names; l != NULL; l = l->next)
    {
      g_autoptr (Dims) dims = qconv_family_variant_dims (f, l->data, error);
      g_autoptr (GPtrArray) tensors = dims != NULL ? qconv_family_expand (f, dims, error) : NULL;

      if (tensors == NULL)
        return NULL;
      for (guint i = 0; i < tensors->len; i++)
        {
          const GraphTensor *t = g_ptr_array_index (tensors, i);

          if (qconv_is_weight_name (t->name))
            g_hash_table_insert (layers, qconv_weight_stem (t->name), t->layer);
        }
    }
  return g_steal_pointer (&layers);
}

/* Who is called @id in the evidence */
static const char *
peer_of (const Family *f, const char *id)
{
  JsonArray *list = qconv_family_list (qconv_family_json (f), "keep_evidence");

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    {
      JsonObject *row = json_array_get_object_element (list, i);

      if (g_strcmp0 (qconv_family_text (row, "id"), id) == 0)
        return qconv_family_text (row, "peer");
    }
  return id;
}

static void
add_reasons (const Family *f, JsonObject *template, GPtrArray *classes, GPtrArray *peers)
{
  JsonObject *kept = qconv_family_object (template, "kept_by");
  g_autoptr (GList) ids = kept != NULL ? json_object_get_members (kept) : NULL;

  add_once (classes, qconv_family_text (template, "class"));
  for (GList *l = ids; l != NULL; l = l->next)
    add_once (peers, peer_of (f, l->data));
}

static int
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
add_rule (GPtrArray *rules, const Family *f, GHashTable *layers, const char *scheme, const char *pattern)
{
  QconvFamilyRule *rule = g_new0 (QconvFamilyRule, 1);
  GPtrArray *classes = g_ptr_array_new (), *peers = g_ptr_array_new ();
  GHashTableIter i;
  gpointer name, template;

  g_hash_table_iter_init (&i, layers);
  while (g_hash_table_iter_next (&i, &name, &template))
    if (qconv_family_match (f, pattern, name))
      add_reasons (f, template, classes, peers);
  g_ptr_array_sort (classes, compare_texts);
  g_ptr_array_sort (peers, compare_texts);
  rule->scheme = g_strdup (scheme);
  rule->pattern = g_strdup (pattern);
  rule->classes = finish_texts (classes);
  rule->peers = finish_texts (peers);
  g_ptr_array_add (rules, rule);
}

static void
add_blocks (GPtrArray *rules, JsonObject *blocks)
{
  QconvFamilyRule *rule = g_new0 (QconvFamilyRule, 1);

  rule->blocks = g_strdup (qconv_family_text (blocks, "stem"));
  rule->first = (guint) count_of (blocks, "first");
  rule->last = (guint) count_of (blocks, "last");
  rule->classes = finish_texts (g_ptr_array_new ());
  rule->peers = finish_texts (g_ptr_array_new ());
  g_ptr_array_add (rules, rule);
}

static void
add_fallbacks (GPtrArray *rules, const Family *f, GHashTable *layers, JsonObject *fallbacks)
{
  g_autoptr (GList) schemes = fallbacks != NULL ? json_object_get_members (fallbacks) : NULL;

  for (GList *l = schemes; l != NULL; l = l->next)
    {
      JsonArray *patterns = json_object_get_array_member (fallbacks, l->data);

      for (guint i = 0; i < json_array_get_length (patterns); i++)
        add_rule (rules, f, layers, l->data, json_array_get_string_element (patterns, i));
    }
}

static GPtrArray *
list_rules (const Family *f, JsonObject *preset, GHashTable *layers)
{
  GPtrArray *rules = g_ptr_array_new_with_free_func (free_rule);
  JsonArray *keep = qconv_family_list (preset, "keep"), *blocks = qconv_family_list (preset, "keep_blocks");

  for (guint i = 0; keep != NULL && i < json_array_get_length (keep); i++)
    add_rule (rules, f, layers, NULL, json_array_get_string_element (keep, i));
  for (guint i = 0; blocks != NULL && i < json_array_get_length (blocks); i++)
    add_blocks (rules, json_array_get_object_element (blocks, i));
  add_fallbacks (rules, f, layers, qconv_family_object (preset, "fallback"));
  return rules;
}

/* The loaded schemes that follow the preset called @name: it is theirs, or stands for theirs */
static char **
schemes_of (const Family *f, JsonObject *presets, const char *name)
{
  JsonObject *base = qconv_family_base (f) != NULL ? qconv_family_json (qconv_family_base (f)) : NULL;
  JsonObject *names = base != NULL ? qconv_family_object (base, "scheme_presets") : NULL;
  GPtrArray *quantizers = qconv_registry_quantizers (), *schemes = g_ptr_array_new ();

  for (guint i = 0; i < quantizers->len; i++)
    {
      const QconvQuantizer *q = g_ptr_array_index (quantizers, i);
      const char *other = names != NULL ? qconv_family_text (names, q->id) : NULL;

      if (strcmp (q->id, name) == 0 || (!json_object_has_member (presets, q->id) && g_strcmp0 (other, name) == 0))
        add_once (schemes, q->id);
    }
  g_ptr_array_sort (schemes, compare_texts);
  return finish_texts (schemes);
}

static GPtrArray *
list_presets (const Family *f, GError **error)
{
  g_autoptr (GHashTable) layers = all_layers (f, error);
  GPtrArray *list = g_ptr_array_new_with_free_func (free_preset);
  JsonObject *presets = qconv_family_object (qconv_family_json (f), "presets");
  g_autoptr (GList) names = presets != NULL ? json_object_get_members (presets) : NULL;

  for (GList *l = names; layers != NULL && l != NULL; l = l->next)
    {
      g_auto (GStrv) schemes = schemes_of (f, presets, l->data);
      QconvPresetInfo *p;

      if (*schemes == NULL)
        continue;
      p = g_new0 (QconvPresetInfo, 1);
      p->schemes = g_steal_pointer (&schemes);
      p->rules = list_rules (f, json_object_get_object_member (presets, l->data), layers);
      g_ptr_array_add (list, p);
    }
  if (layers == NULL)
    g_clear_pointer (&list, g_ptr_array_unref);
  return list;
}

/* ---- Families ---- */

static void
free_family (gpointer data)
{
  QconvFamilyInfo *info = data;

  g_free (info->id);
  g_free (info->title);
  g_free (info->kind);
  g_free (info->path);
  g_strfreev (info->reads);
  g_strfreev (info->writes);
  g_strfreev (info->probed);
  g_ptr_array_unref (info->variants);
  g_clear_pointer (&info->presets, g_ptr_array_unref);
  g_free (info);
}

static QconvFamilyInfo *
describe (const Family *f)
{
  QconvFamilyInfo *info = g_new0 (QconvFamilyInfo, 1);

  info->id = g_strdup (qconv_family_id (f));
  info->title = g_strdup (qconv_family_title (f));
  info->kind = g_strdup (qconv_family_kind (f));
  info->path = g_strdup (qconv_family_path (f));
  info->reads = list_read (f);
  info->writes = list_written (f);
  info->probed = texts_of (qconv_family_list (qconv_family_json (f), "never_pack"));
  info->variants = list_variants (f);
  return info;
}

static int
compare_families (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvFamilyInfo *const *) a)->id, (*(const QconvFamilyInfo *const *) b)->id);
}

GPtrArray *
qconv_families_describe (const char *family_file, const char *id, GError **error)
{
  g_autoptr (Families) own = family_file != NULL ? qconv_families_load (family_file, error) : NULL;
  const Families *families = family_file != NULL ? own : qconv_families_known (error);
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (free_family);
  GPtrArray *known = families != NULL ? qconv_families_list (families) : NULL;

  if (known == NULL)
    return NULL;
  for (guint i = 0; i < known->len; i++)
    {
      const Family *f = g_ptr_array_index (known, i);
      QconvFamilyInfo *info;

      if (id != NULL && strcmp (qconv_family_id (f), id) != 0)
        continue;
      info = describe (f);
      g_ptr_array_add (list, info);
      if (id != NULL && (info->presets = list_presets (f, error)) == NULL)
        return NULL;
    }
  g_ptr_array_sort (list, compare_families);
  return g_steal_pointer (&list);
}
