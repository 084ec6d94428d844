/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applies "block_map": modules that move with all tensors in them, as in UNets. An entry is [a, b, kind]; the longest
   entry that a name starts with wins. */
#include <string.h>

#include "families/keymap-rules.h"

/* Returns TRUE if @name is @module, a dot and more, which @inner is set to */
static gboolean
is_inside (const char *name, const char *module, const char **inner)
{
  gsize n = strlen (module);

  if (strncmp (name, module, n) != 0 || name[n] != '.')
    return FALSE;
  *inner = name + n + 1;
  return TRUE;
}

/* Returns the inner name in the other naming ("in_layers.0.weight" becomes "norm1.weight"), or NULL if a block has no
   such name. (transfer full) */
static char *
rename_inner (const KeymapRun *m, const char *inner)
{
  const FamilyPairs *names = &m->map->resnet_names;

  for (guint i = 0; i < names->n; i++)
    {
      const char *a = names->at[i].from, *b = names->at[i].to, *rest;

      if (is_inside (inner, m->from_a ? a : b, &rest))
        return g_strconcat (m->from_a ? b : a, ".", rest, NULL);
    }
  return NULL;
}

/* Returns the entry with the longest module that @name starts with, or NULL. @inner: (out): the rest of the name */
static FamilyTexts
find_block (const KeymapRun *m, const char *name, const char **inner)
{
  const FamilyTextLists *blocks = &m->map->block_map;
  FamilyTexts found = NULL;
  gsize longest = 0;

  for (guint i = 0; i < blocks->n; i++)
    {
      FamilyTexts entry = blocks->at[i];
      const char *module, *rest;

      if (g_strv_length ((char **) entry) != 3)
        continue;
      module = entry[m->from_a ? 0 : 1];
      if (strlen (module) <= longest || !is_inside (name, module, &rest))
        continue;
      longest = strlen (module);
      found = entry;
      *inner = rest;
    }
  return found;
}

/* Returns @name in the other naming, or NULL if the map has none. (transfer full) */
static char *
rename_in_blocks (const KeymapRun *m, const char *name)
{
  const char *inner = NULL;
  FamilyTexts entry = find_block (m, name, &inner);
  g_autofree char *renamed = NULL;

  if (entry == NULL)
    return NULL;
  if (g_str_equal (entry[2], "resnet"))
    {
      renamed = rename_inner (m, inner);
      inner = renamed;
    }
  else if (g_str_equal (entry[2], "plain") && strchr (inner, '.') != NULL)
    return NULL;
  return inner != NULL ? g_strconcat (entry[m->from_a ? 1 : 0], ".", inner, NULL) : NULL;
}

gboolean
qconv_keymap_apply_blocks (KeymapRun *m, GError **error)
{
  for (guint i = 0; m->map->block_map.n > 0 && i < qconv_names_length (m->names); i++)
    {
      const char *name = qconv_names_name (m->names, i);
      g_autofree char *renamed = rename_in_blocks (m, name);

      if (renamed != NULL && !qconv_keymap_copy (m, name, renamed, error))
        return FALSE;
    }
  return TRUE;
}
