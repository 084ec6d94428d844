/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a keymap: finds it, lists the sources and lets its rules or its block map make the tensors. */
#include "families/keymap.h"

#include "families/keymap-chain.h"
#include "families/keymap-rules.h"

/* Returns every spelling of the names -> name in the file. An exact name wins over another spelling. (transfer full) */
static GHashTable *
list_sources (const Names *names, const FamilyAliases *aliases)
{
  GHashTable *sources = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n = qconv_names_length (names);

  for (guint i = 0; i < n; i++)
    {
      const char *name = qconv_names_name (names, i);

      g_hash_table_insert (sources, g_strdup (name), (gpointer) name);
    }
  for (guint i = 0; i < n; i++)
    {
      const char *name = qconv_names_name (names, i);
      char *spelling = qconv_aliases_apply (aliases, name);

      if (g_hash_table_contains (sources, spelling))
        g_free (spelling);
      else
        g_hash_table_insert (sources, spelling, (gpointer) name);
    }
  return sources;
}

gboolean
qconv_keymap_exists (const Family *f, const char *variant, const char *from, const char *to)
{
  gboolean from_a;

  return qconv_keymap_find (f, variant, from, to, &from_a) != NULL
         || qconv_keymap_between (f, variant, from, to) != NULL;
}

const FamilyAliases *
qconv_keymap_aliases (const Family *f, const char *naming)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;

  for (guint i = 0; i < maps->n; i++)
    if (strcmp (maps->at[i].a, naming) == 0)
      return &qconv_family_data (f)->aliases;
    else if (strcmp (maps->at[i].b, naming) == 0)
      return &maps->at[i].aliases;
  return NULL;
}

const char *
qconv_keymap_keeps (const Family *f, const char *naming, const char *layer)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;
  const char *why = NULL;

  for (guint i = 0; why == NULL && i < maps->n; i++)
    if (strcmp (maps->at[i].b, naming) == 0)
      why = qconv_family_match_any (&maps->at[i].keep, layer);
  return why;
}

/* Returns what @architectures say of @name, or NULL */
static const char *
find (const FamilyPairs *architectures, const char *name)
{
  for (guint i = 0; i < architectures->n; i++)
    if (strcmp (architectures->at[i].from, name) == 0)
      return architectures->at[i].to;
  return NULL;
}

#define IF_YOU_KNOW "if you know it, use -o rows=plain or -o rows=permuted, else keep the names with --names keep"

/* Sets @permuted to whether the file has rows in the other order. Fails if the file states no architecture, or one that
   the family does not list, unless the user states the order */
static gboolean
find_order (const FamilyPermute *permute, const KeymapRequest *r, gboolean *permuted, GError **error)
{
  const char *refused = r->architecture != NULL ? find (&permute->refused, r->architecture) : NULL;

  if (refused != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "architecture \"%s\": %s; keep names and numbers with --names keep", r->architecture, refused);
  if (r->row_order == NULL && r->architecture == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "the file does not state its architecture, so the order of the rows of query and key is not "
                       "known; " IF_YOU_KNOW);
  *permuted = r->row_order != NULL ? strcmp (r->row_order, "permuted") == 0
                                   : find (&permute->permuted, r->architecture) != NULL;
  return *permuted || r->row_order != NULL || find (&permute->plain, r->architecture) != NULL
         || qconv_fail (
             error, QCONV_ERROR_UNSUPPORTED,
             "architecture \"%s\": the order of the rows of query and key in its files is not known; " IF_YOU_KNOW,
             r->architecture);
}

/* Sets m->permuted if the map permutes rows in this file */
static gboolean
choose_order (KeymapRun *m, const KeymapRequest *r, GError **error)
{
  const FamilyPermute *permute = &m->map->permute;
  gboolean permuted;

  if (permute->tensors == NULL || r->any_order)
    return TRUE;
  if (!find_order (permute, r, &permuted, error))
    return FALSE;
  if (permuted && r->heads_unknown)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "the rows of query and key lie in another order within each head, but the file does not state "
                       "the number of heads; state the rows of one head with -o head-rows=NUMBER, put the model's "
                       "config.json beside the file, or keep the names with --names keep");
  m->permuted = permuted ? permute : NULL;
  return TRUE;
}

/* Sets m->offset if the map has one. Fails if the family does not know the numbers of the file's architecture */
static gboolean
choose_offset (KeymapRun *m, const KeymapRequest *r, GError **error)
{
  const FamilyOffset *offset = &m->map->offset;

  if (offset->tensors == NULL || r->any_order)
    return TRUE;
  if (r->architecture == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "the file does not state its architecture, so it is not known whether its norms are larger by "
                       "%" G_GINT64_FORMAT
                       " than those of the model's makers; keep names and numbers with --names keep",
                       offset->by);
  if (find (&offset->architectures, r->architecture) == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "architecture \"%s\": it is not known whether the norms in its files are larger by "
                       "%" G_GINT64_FORMAT
                       " than those of the model's makers; keep names and numbers with --names keep",
                       r->architecture, offset->by);
  m->offset = offset;
  return TRUE;
}

static gboolean
apply_map (KeymapRun *m, GError **error)
{
  if (!m->map->identity)
    return qconv_keymap_apply_rules (m, error) && qconv_keymap_apply_blocks (m, error);
  for (guint i = 0; i < qconv_names_length (m->names); i++)
    if (!qconv_keymap_copy (m, qconv_names_name (m->names, i), qconv_names_name (m->names, i), error))
      return FALSE;
  return TRUE;
}

static void
clear_run (KeymapRun *m)
{
  g_clear_pointer (&m->dims, qconv_dims_free);
  g_clear_pointer (&m->sources, g_hash_table_unref);
  g_clear_pointer (&m->made, g_hash_table_unref);
  g_clear_pointer (&m->maps, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (KeymapRun, clear_run)

/* Maps names by one map of the family */
static GPtrArray *
run_map (const KeymapRequest *r, GError **error)
{
  g_auto (KeymapRun) m = { .names = r->names, .known = r->dims != NULL };

  m.map = qconv_keymap_find (r->family, r->variant, r->from, r->to, &m.from_a);
  if (m.map == NULL)
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s%s%s: no map from %s names to %s names",
                  qconv_family_id (r->family), r->variant != NULL ? " " : "", r->variant != NULL ? r->variant : "",
                  r->from, r->to);
      return NULL;
    }
  m.aliases_a = &qconv_family_data (r->family)->aliases;
  m.aliases_b = &m.map->aliases;
  if (!choose_order (&m, r, error) || !choose_offset (&m, r, error))
    return NULL;
  m.dims = r->dims != NULL ? qconv_dims_copy (r->dims) : qconv_dims_new ();
  m.sources = list_sources (r->names, m.from_a ? m.aliases_a : m.aliases_b);
  m.made = g_hash_table_new (g_str_hash, g_str_equal);
  m.maps = qconv_keymap_maps ();
  if (!apply_map (&m, error))
    return NULL;
  return g_steal_pointer (&m.maps);
}

GPtrArray *
qconv_keymap (const KeymapRequest *r, GError **error)
{
  const char *between = qconv_keymap_between (r->family, r->variant, r->from, r->to);
  g_autoptr (KeymapChain) chain = between != NULL ? qconv_keymap_chain_new (r, between, error) : NULL;

  if (between == NULL)
    return run_map (r, error);
  return chain != NULL ? qconv_keymap_chain_join (chain, error) : NULL;
}

Names *
qconv_keymap_names (const GPtrArray *maps, const Names *names)
{
  g_autoptr (GHashTable) moved = g_hash_table_new (g_str_hash, g_str_equal);
  Names *mapped = qconv_names_new ();

  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *m = g_ptr_array_index (maps, i);

      qconv_names_add (mapped, m->name, &m->shape);
      for (guint k = 0; k < m->parts->len; k++)
        g_hash_table_add (moved, g_array_index (m->parts, NamePart, k).name);
    }
  for (guint i = 0; i < qconv_names_length (names); i++)
    if (!g_hash_table_contains (moved, qconv_names_name (names, i)))
      qconv_names_add (mapped, qconv_names_name (names, i), qconv_names_shape (names, i));
  return mapped;
}
