/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds tensors that a keymap leaves out although it has rules for such names: those behind a gap in the numbers of
   blocks, and those of which it knows only the block. The mapping asks, so that no tensor is lost. */
#include <string.h>

#include "families/keymap-build.h"
#include "families/keymap-chain.h"
#include "families/template.h"

typedef enum { FITS_RULE, LIES_IN_BLOCK } Kind;

typedef struct {
  char *template;
  const FamilyIndex *index;
} Source;

static void
clear_source (gpointer data)
{
  g_free (((Source *) data)->template);
}

/* Adds template @name, once for each leaf that {p} stands for */
static void
add_sources (GArray *sources, const char *name, const FamilyIndex *index)
{
  static const char *const leaves[] = { "weight", "bias" };

  for (guint i = 0; i < (strstr (name, "{p}") != NULL ? G_N_ELEMENTS (leaves) : 1); i++)
    {
      GString *filled = g_string_new (name);
      Source source = { .index = index };

      g_string_replace (filled, "{p}", leaves[i], 0);
      source.template = g_string_free (filled, FALSE);
      g_array_append_val (sources, source);
    }
}

/* Returns the templates of the tensors that @rules move. (transfer full) (element-type Source) */
static GArray *
list_sources (const FamilyMapRules *rules, gboolean from_a)
{
  GArray *sources = g_array_new (FALSE, FALSE, sizeof (Source));

  g_array_set_clear_func (sources, clear_source);
  for (guint i = 0; i < rules->n; i++)
    {
      const FamilyMapRule *rule = &rules->at[i];

      if (from_a)
        add_sources (sources, rule->a, &rule->index);
      for (guint k = 0; !from_a && rule->b[k] != NULL; k++)
        add_sources (sources, rule->b[k], &rule->index);
    }
  return sources;
}

static gboolean
fits_any (const GArray *sources, const char *name)
{
  for (guint i = 0; i < sources->len; i++)
    {
      const Source *source = &g_array_index (sources, Source, i);

      if (qconv_template_fits (source->template, source->index, NULL, name))
        return TRUE;
    }
  return FALSE;
}

/* Returns whether @name starts as a template does before the number of its block */
static gboolean
lies_in_block (const GArray *sources, const char *name)
{
  for (guint i = 0; i < sources->len; i++)
    {
      const char *template = g_array_index (sources, Source, i).template;
      gsize n = strcspn (template, "{");

      if (n > 0 && template[n] == '{' && strncmp (name, template, n) == 0 && g_ascii_isdigit (name[n]))
        return TRUE;
    }
  return FALSE;
}

/* Returns whether the family says that tensors such as @name keep their names */
static gboolean
keeps_name (const Family *f, const FamilyKeymap *map, const char *name)
{
  const FamilyExtras *extra = &qconv_family_data (f)->extra_tensors;

  for (guint i = 0; map->unmapped != NULL && map->unmapped[i] != NULL; i++)
    if (g_str_has_prefix (name, map->unmapped[i]) && strchr (".", name[strlen (map->unmapped[i])]) != NULL)
      return TRUE;
  for (guint i = 0; i < extra->n; i++)
    if (qconv_family_match (&extra->at[i].match, name))
      return TRUE;
  return FALSE;
}

/* Returns the names of the tensors that @maps use */
static GHashTable *
list_used (const GPtrArray *maps)
{
  GHashTable *used = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);

      for (guint k = 0; k < map->parts->len; k++)
        g_hash_table_add (used, g_array_index (map->parts, NamePart, k).name);
    }
  return used;
}

/* Returns the first tensor that @maps, of one map of the family, do not use and that has a name as @kind says */
static const char *
find_unused_once (const KeymapRequest *r, const GPtrArray *maps, Kind kind)
{
  gboolean from_a;
  const FamilyKeymap *map = qconv_keymap_find (r->family, r->variant, r->from, r->to, &from_a);
  const FamilyAliases *aliases;
  g_autoptr (GArray) sources = NULL;
  g_autoptr (GHashTable) used = NULL;

  if (map == NULL)
    return NULL;
  aliases = from_a ? &qconv_family_data (r->family)->aliases : &map->aliases;
  sources = list_sources (&map->rules, from_a);
  used = list_used (maps);
  for (guint i = 0; i < qconv_names_length (r->names); i++)
    {
      const char *name = qconv_names_name (r->names, i);
      g_autofree char *spelling = NULL;

      if (g_hash_table_contains (used, name))
        continue;
      spelling = qconv_aliases_apply (aliases, name);
      if (kind == FITS_RULE ? fits_any (sources, name) || fits_any (sources, spelling)
                            : lies_in_block (sources, spelling) && !keeps_name (r->family, map, spelling))
        return name;
    }
  return NULL;
}

/* Returns the tensor of the file that @name between the two steps of a chain is made of */
static const char *
find_source (const KeymapChain *c, const char *name)
{
  const Names *names = c->steps[0].names;
  const char *of = name;

  for (guint i = 0; i < c->maps[0]->len; i++)
    {
      const NameMap *map = g_ptr_array_index (c->maps[0], i);

      if (strcmp (map->name, name) == 0)
        of = g_array_index (map->parts, NamePart, 0).name;
    }
  for (guint i = 0; i < qconv_names_length (names); i++)
    if (strcmp (qconv_names_name (names, i), of) == 0)
      return qconv_names_name (names, i);
  return NULL;
}

/* Does the same for any @maps */
static const char *
find_unused (const KeymapRequest *r, const GPtrArray *maps, Kind kind)
{
  const char *between = qconv_keymap_between (r->family, r->variant, r->from, r->to), *name;
  g_autoptr (KeymapChain) c = between != NULL ? qconv_keymap_chain_new (r, between, NULL) : NULL;

  if (c == NULL)
    return find_unused_once (r, maps, kind);
  name = find_unused_once (&c->steps[0], c->maps[0], kind);
  if (name != NULL)
    return name;
  name = find_unused_once (&c->steps[1], c->maps[1], kind);
  return name != NULL ? find_source (c, name) : NULL;
}

const char *
qconv_keymap_stray (const KeymapRequest *r, const GPtrArray *maps)
{
  return find_unused (r, maps, FITS_RULE);
}

const char *
qconv_keymap_unnamed (const KeymapRequest *r, const GPtrArray *maps)
{
  return find_unused (r, maps, LIES_IN_BLOCK);
}
