/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Advises to keep a layer, or to encode it in the target's scheme or a fallback. rules.c asks and decides. */
#include "families/advice.h"

#include <string.h>

#include "base/names.h"
#include "families/expand.h"

enum { FEW_BITS = 6 };

const FamilyPreset *
qconv_family_preset_named (const Family *f, const char *name)
{
  const FamilyPresets *presets = &qconv_family_data (f)->presets;

  for (guint i = 0; name != NULL && i < presets->n; i++)
    if (strcmp (presets->at[i].name, name) == 0)
      return &presets->at[i];
  return NULL;
}

const char *
qconv_family_scheme_preset (const Family *f, const char *scheme)
{
  const Family *base = qconv_family_base (f);
  const FamilyPairs *names = base != NULL ? &qconv_family_data (base)->scheme_presets : NULL;

  for (guint i = 0; names != NULL && i < names->n; i++)
    if (strcmp (names->at[i].from, scheme) == 0)
      return names->at[i].to;
  return NULL;
}

const FamilyPreset *
qconv_family_preset (const Family *f, const char *scheme, guint scheme_bits)
{
  const FamilyData *base = qconv_family_base (f) != NULL ? qconv_family_data (qconv_family_base (f)) : NULL;
  const FamilyPreset *preset = qconv_family_preset_named (f, scheme);

  if (preset == NULL)
    preset = qconv_family_preset_named (f, qconv_family_scheme_preset (f, scheme));
  if (preset == NULL && base != NULL)
    preset
        = qconv_family_preset_named (f, scheme_bits <= FEW_BITS ? base->preset_to_6_bits : base->preset_above_6_bits);
  return preset;
}

gboolean
qconv_family_is_probed (const Family *f, const char *layer)
{
  FamilyTexts list = qconv_family_data (f)->never_pack;
  g_autofree char *weight = qconv_weight_name (layer);

  return list != NULL && (g_strv_contains (list, layer) || g_strv_contains (list, weight));
}

guint64
qconv_family_least_dim (const Family *f)
{
  const Family *base = qconv_family_base (f);

  return base != NULL ? (guint64) qconv_family_data (base)->min_dim : 0;
}

/* Returns the end of the range of the variable right after @start in @layer, one more than its highest number; 0
   if there is no such variable */
static gint64
end_of_blocks (const FamilyLayer *layer, const Dims *dims, const char *start)
{
  gsize n = strlen (start), length;
  gint64 high = 0;

  if (!g_str_has_prefix (layer->name, start) || !qconv_dims_hold (dims, layer->when))
    return 0;
  length = strcspn (layer->name + n, "}");
  for (guint i = 0; i < layer->index.n; i++)
    {
      const FamilyVariable *v = &layer->index.at[i];

      if (v->values == NULL && strncmp (v->name, layer->name + n, length) == 0 && v->name[length] == '\0'
          && qconv_dims_evaluate (dims, &v->high, &high, NULL))
        return high;
    }
  return 0;
}

/* Returns the number of blocks of @stem: the largest end_of_blocks() of all templates */
static gint64
count_blocks (const Family *f, const Dims *dims, const char *stem)
{
  const FamilyLayers *layers = &qconv_family_data (f)->layers;
  g_autofree char *start = g_strconcat (stem, ".{", NULL);
  gint64 n = 0;

  for (guint i = 0; i < layers->n; i++)
    n = MAX (n, end_of_blocks (&layers->at[i], dims, start));
  return n;
}

static gboolean
in_blocks (const Family *f, const Dims *dims, const FamilyBlocks *blocks, const char *layer)
{
  const char *stem = blocks->stem, *number;
  guint64 at;
  gint64 n;
  char *end;

  if (!g_str_has_prefix (layer, stem) || layer[strlen (stem)] != '.')
    return FALSE;
  number = layer + strlen (stem) + 1;
  if (!g_ascii_isdigit (*number))
    return FALSE;
  at = g_ascii_strtoull (number, &end, 10);
  if (*end != '.')
    return FALSE;
  if (at < (guint64) blocks->first)
    return TRUE;
  n = blocks->last > 0 && dims != NULL ? count_blocks (f, dims, stem) : 0;
  return n > 0 && at < (guint64) n && at >= (guint64) MAX (n - blocks->last, 0);
}

/* Returns the stem of the kept blocks that @layer is in, or NULL */
static const char *
kept_blocks (const Family *f, const Dims *dims, const FamilyPreset *preset, const char *layer)
{
  const FamilyBlockLists *list = &preset->keep_blocks;

  for (guint i = 0; i < list->n; i++)
    if (in_blocks (f, dims, &list->at[i], layer))
      return list->at[i].stem;
  return NULL;
}

gboolean
qconv_family_find_block (const Family *f, const Dims *dims, const char *layer, guint64 *block, guint64 *n)
{
  for (const char *dot = strchr (layer, '.'); dot != NULL; dot = strchr (dot + 1, '.'))
    {
      gsize digits = strspn (dot + 1, "0123456789");
      g_autofree char *stem = NULL;

      if (digits == 0 || dot[1 + digits] != '.')
        continue;
      stem = g_strndup (layer, (gsize) (dot - layer));
      *block = g_ascii_strtoull (dot + 1, NULL, 10);
      *n = dims != NULL ? (guint64) count_blocks (f, dims, stem) : 0;
      return *n > *block;
    }
  return FALSE;
}

/* Returns the role rule of @f that @name falls under, or NULL */
static const FamilyRoleRule *
find_role_rule (const Family *f, const char *name)
{
  const FamilyRoleRules *rules = &qconv_family_data (f)->role_rules;

  for (guint i = 0; i < rules->n; i++)
    if (qconv_family_match (&rules->at[i].match, name))
      return &rules->at[i];
  return NULL;
}

/* Returns the role rule of @f, else of its base, that @name falls under, or NULL */
static const FamilyRoleRule *
find_any_role_rule (const Family *f, const char *name)
{
  const FamilyRoleRule *rule = find_role_rule (f, name);
  const Family *base = qconv_family_base (f);

  return rule == NULL && base != NULL && base != f ? find_role_rule (base, name) : rule;
}

const char *
qconv_family_role (const Family *f, const Dims *dims, const char *name)
{
  const FamilyLayer *template = qconv_family_template (f, dims, name);
  const FamilyRoleRule *rule = template == NULL ? find_any_role_rule (f, name) : NULL;

  return template != NULL ? template->role : rule != NULL ? rule->role : NULL;
}

const char *
qconv_family_class (const Family *f, const Dims *dims, const char *name)
{
  const FamilyLayer *template = qconv_family_template (f, dims, name);
  const FamilyRoleRule *rule = template == NULL ? find_any_role_rule (f, name) : NULL;

  return template != NULL ? template->class_ : rule != NULL ? rule->class_ : NULL;
}

/* Returns the reason to keep @layer with any scheme, or NULL if the preset decides */
static const char *
always_kept (const Family *f, const Dims *dims, const char *layer)
{
  static const char *const quantizable[] = { "core", "mod", "expert", NULL };
  g_autofree char *name = qconv_weight_name (layer);
  const FamilyLayer *template = qconv_family_template (f, dims, name);
  const FamilyRoleRule *rule;
  const Family *base = qconv_family_base (f);
  const char *op = template != NULL ? template->op : "linear", *class_;

  if (strcmp (op, "linear") != 0)
    return op;
  if (template != NULL)
    return NULL;
  rule = find_role_rule (f, name);
  class_ = rule != NULL ? rule->class_ : NULL;
  if (class_ != NULL)
    return g_strv_contains (quantizable, class_) ? NULL : class_;
  /* A loader may use an unknown tensor for anything, so unknown tensors are kept */
  if (base != f && rule == NULL && qconv_family_data (f)->layers.at != NULL)
    return "not a tensor of the family";
  return base != NULL ? qconv_family_match_any (&qconv_family_data (base)->keep, layer) : NULL;
}

/* Turns @advice into the first fallback of @preset that matches, if one does */
static void
find_fallback (const FamilyPreset *preset, const char *layer, Advice *advice)
{
  const FamilyFallbacks *schemes = &preset->fallback;

  for (guint i = 0; i < schemes->n && advice->kind == ADVICE_TARGET; i++)
    {
      advice->why = qconv_family_match_any (&schemes->at[i].patterns, layer);
      if (advice->why == NULL)
        continue;
      advice->kind = ADVICE_FALLBACK;
      advice->fallback = schemes->at[i].name;
    }
}

Advice
qconv_family_advise (const Family *f, const Dims *dims, const char *scheme, guint scheme_bits, const char *layer)
{
  const FamilyPreset *preset = qconv_family_preset (f, scheme, scheme_bits);
  gboolean also = preset != NULL && qconv_family_match_any (&preset->also, layer) != NULL;
  Advice advice = { .kind = ADVICE_KEEP, .why = also ? NULL : always_kept (f, dims, layer) };

  if (advice.why == NULL && scheme_bits < 8 && qconv_family_is_probed (f, layer))
    advice.why = "never_pack";
  if (advice.why == NULL && preset != NULL)
    advice.why = qconv_family_match_any (&preset->keep, layer);
  if (advice.why == NULL && preset != NULL)
    advice.why = kept_blocks (f, dims, preset, layer);
  if (advice.why != NULL)
    return advice;
  advice.kind = ADVICE_TARGET;
  if (preset == NULL)
    return advice;
  advice.full_precision_mm = qconv_family_match_any (&preset->full_precision_mm, layer) != NULL;
  find_fallback (preset, layer, &advice);
  if (advice.kind == ADVICE_TARGET && preset->only.at != NULL && qconv_family_match_any (&preset->only, layer) == NULL)
    advice = (Advice) { .kind = ADVICE_KEEP, .why = "only" };
  return advice;
}
