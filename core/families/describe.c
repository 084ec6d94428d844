/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Describes families for people: `qconv families` and completion call it. */
#include <string.h>

#include "families/advice.h"
#include "families/expand.h"
#include "families/keymap.h"
#include "families/knowledge.h"
#include "families/layer-name.h"
#include "qconv.h"

#define ORIGINAL "original"

/* Returns a copy of @texts (nullable), empty if there are none. (transfer full) */
static char **
copy_texts (FamilyTexts texts)
{
  return texts != NULL ? g_strdupv ((char **) texts) : g_new0 (char *, 1);
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

/* Returns the published variants. Synthetic ones exist for tests only. */
static GPtrArray *
list_variants (const Family *f)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (free_variant);
  const FamilyVariants *variants = &qconv_family_data (f)->variants;

  for (guint i = 0; i < variants->n; i++)
    {
      const FamilyVariant *variant = &variants->at[i];
      QconvVariantInfo *v;

      if (variant->synthetic)
        continue;
      v = g_new0 (QconvVariantInfo, 1);
      v->name = g_strdup (variant->name);
      v->detect_as = g_strdup (variant->detect_as);
      v->aliases = copy_texts (variant->aliases);
      v->n_tensors = (guint64) variant->n_tensors;
      v->n_params = (guint64) variant->n_params;
      g_ptr_array_add (list, v);
    }
  return list;
}

/* ---- Namings ---- */

static char **
list_read (const Family *f)
{
  const FamilyDetectRules *namings = &qconv_family_data (f)->detect.namings;
  GPtrArray *texts = g_ptr_array_new ();

  for (guint i = 0; i < namings->n; i++)
    add_once (texts, namings->at[i].result);
  return finish_texts (texts);
}

static char **
list_written (const Family *f)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;
  GPtrArray *texts = g_ptr_array_new ();

  add_once (texts, ORIGINAL);
  for (guint i = 0; i < maps->n; i++)
    {
      add_once (texts, maps->at[i].a);
      add_once (texts, maps->at[i].b);
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

/* Returns the layers of all variants, each name once: name -> FamilyLayer */
static GHashTable *
all_layers (const Family *f, GError **error)
{
  g_autoptr (GHashTable) layers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  const FamilyVariants *variants = &qconv_family_data (f)->variants;

  for (guint k = 0; k < variants->n; k++)
    {
      g_autoptr (Dims) dims = qconv_family_variant_dims (f, variants->at[k].name, error);
      g_autoptr (GPtrArray) tensors = dims != NULL ? qconv_family_expand (f, dims, error) : NULL;

      if (tensors == NULL)
        return NULL;
      for (guint i = 0; i < tensors->len; i++)
        {
          const GraphTensor *t = g_ptr_array_index (tensors, i);

          if (qconv_is_weight_name (t->name))
            g_hash_table_insert (layers, qconv_weight_stem (t->name), (gpointer) t->layer);
        }
    }
  return g_steal_pointer (&layers);
}

/* Returns the name of the peer whose evidence is called @id, or @id */
static const char *
peer_of (const Family *f, const char *id)
{
  const FamilyEvidences *list = &qconv_family_data (f)->keep_evidence;

  for (guint i = 0; i < list->n; i++)
    if (strcmp (list->at[i].id, id) == 0)
      return list->at[i].peer;
  return id;
}

static void
add_reasons (const Family *f, const FamilyLayer *template, GPtrArray *classes, GPtrArray *peers)
{
  add_once (classes, template->class_);
  for (guint i = 0; i < template->kept_by.n; i++)
    add_once (peers, peer_of (f, template->kept_by.at[i].from));
}

static void
add_rule (GPtrArray *rules, const Family *f, GHashTable *layers, const char *scheme, const FamilyRegex *regex)
{
  QconvFamilyRule *rule = g_new0 (QconvFamilyRule, 1);
  GPtrArray *classes = g_ptr_array_new (), *peers = g_ptr_array_new ();
  GHashTableIter i;
  gpointer name, template;

  g_hash_table_iter_init (&i, layers);
  while (g_hash_table_iter_next (&i, &name, &template))
    if (qconv_family_match (regex, name))
      add_reasons (f, template, classes, peers);
  g_ptr_array_sort (classes, qconv_compare_strings);
  g_ptr_array_sort (peers, qconv_compare_strings);
  rule->scheme = g_strdup (scheme);
  rule->pattern = g_strdup (regex->pattern);
  rule->classes = finish_texts (classes);
  rule->peers = finish_texts (peers);
  g_ptr_array_add (rules, rule);
}

static void
add_blocks (GPtrArray *rules, const FamilyBlocks *blocks)
{
  QconvFamilyRule *rule = g_new0 (QconvFamilyRule, 1);

  rule->blocks = g_strdup (blocks->stem);
  rule->first = (guint) blocks->first;
  rule->last = (guint) blocks->last;
  rule->classes = finish_texts (g_ptr_array_new ());
  rule->peers = finish_texts (g_ptr_array_new ());
  g_ptr_array_add (rules, rule);
}

static GPtrArray *
list_rules (const Family *f, const FamilyPreset *preset, GHashTable *layers)
{
  GPtrArray *rules = g_ptr_array_new_with_free_func (free_rule);

  for (guint i = 0; i < preset->keep.n; i++)
    add_rule (rules, f, layers, NULL, &preset->keep.at[i]);
  for (guint i = 0; i < preset->keep_blocks.n; i++)
    add_blocks (rules, &preset->keep_blocks.at[i]);
  for (guint i = 0; i < preset->fallback.n; i++)
    {
      const FamilyFallback *fallback = &preset->fallback.at[i];

      for (guint k = 0; k < fallback->patterns.n; k++)
        add_rule (rules, f, layers, fallback->name, &fallback->patterns.at[k]);
    }
  return rules;
}

/* Returns the loaded schemes that follow the preset called @name: the scheme of that name, and each without a preset of
   its own for which the base names it */
static char **
schemes_of (const Family *f, const char *name)
{
  GPtrArray *quantizers = qconv_registry_quantizers (), *schemes = g_ptr_array_new ();

  for (guint i = 0; i < quantizers->len; i++)
    {
      const QconvQuantizer *q = g_ptr_array_index (quantizers, i);

      if (strcmp (q->id, name) == 0
          || (qconv_family_preset_named (f, q->id) == NULL
              && g_strcmp0 (qconv_family_scheme_preset (f, q->id), name) == 0))
        add_once (schemes, q->id);
    }
  g_ptr_array_sort (schemes, qconv_compare_strings);
  return finish_texts (schemes);
}

static GPtrArray *
list_presets (const Family *f, GError **error)
{
  g_autoptr (GHashTable) layers = all_layers (f, error);
  GPtrArray *list = g_ptr_array_new_with_free_func (free_preset);
  const FamilyPresets *presets = &qconv_family_data (f)->presets;

  for (guint i = 0; layers != NULL && i < presets->n; i++)
    {
      g_auto (GStrv) schemes = schemes_of (f, presets->at[i].name);
      QconvPresetInfo *p;

      if (*schemes == NULL)
        continue;
      p = g_new0 (QconvPresetInfo, 1);
      p->schemes = g_steal_pointer (&schemes);
      p->rules = list_rules (f, &presets->at[i], layers);
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
  info->probed = copy_texts (qconv_family_data (f)->never_pack);
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
