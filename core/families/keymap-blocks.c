/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applies "block_map": modules that move with all tensors in them, as in UNets. An entry is [a, b, kind]; the longest
   entry that a name starts with wins. */
#include <string.h>

#include "families/keymap-rules.h"

/* Whether @name is @module, a dot and more, which goes to @inner */
static gboolean
is_inside (const char *name, const char *module, const char **inner)
{
  gsize n = strlen (module);

  if (strncmp (name, module, n) != 0 || name[n] != '.')
    return FALSE;
  *inner = name + n + 1;
  return TRUE;
}

/* "in_layers.0.weight" to "norm1.weight"; NULL where the inner name is none of those that a block has */
static char *
rename_inner (const KeymapRun *m, const char *inner)
{
  JsonObject *names = qconv_family_object (m->map, "resnet_names");
  g_autoptr (GList) members = names != NULL ? json_object_get_members (names) : NULL;

  for (GList *l = members; l != NULL; l = l->next)
    {
      const char *a = l->data, *b = qconv_family_text (names, a), *rest;

      if (b != NULL && is_inside (inner, m->from_a ? a : b, &rest))
        return g_strconcat (m->from_a ? b : a, ".", rest, NULL);
    }
  return NULL;
}

/* Returns: (nullable): @name in the other naming */
static char *
rename_in_blocks (const KeymapRun *m, JsonArray *blocks, const char *name)
{
  const char *to = NULL, *kind = NULL, *inner = NULL;
  g_autofree char *renamed = NULL;
  gsize longest = 0;

  for (guint i = 0; i < json_array_get_length (blocks); i++)
    {
      JsonArray *entry = json_array_get_array_element (blocks, i);
      const char *module, *rest;

      if (json_array_get_length (entry) != 3)
        continue;
      module = json_array_get_string_element (entry, m->from_a ? 0 : 1);
      if (strlen (module) <= longest || !is_inside (name, module, &rest))
        continue;
      longest = strlen (module);
      to = json_array_get_string_element (entry, m->from_a ? 1 : 0);
      kind = json_array_get_string_element (entry, 2);
      inner = rest;
    }
  if (to == NULL)
    return NULL;
  if (g_str_equal (kind, "resnet"))
    {
      renamed = rename_inner (m, inner);
      inner = renamed;
    }
  else if (g_str_equal (kind, "plain") && strchr (inner, '.') != NULL)
    return NULL;
  return inner != NULL ? g_strconcat (to, ".", inner, NULL) : NULL;
}

gboolean
qconv_keymap_apply_blocks (KeymapRun *m, JsonArray *blocks, GError **error)
{
  for (guint i = 0; i < qconv_names_length (m->names); i++)
    {
      const char *name = qconv_names_name (m->names, i);
      g_autofree char *renamed = rename_in_blocks (m, blocks, name);

      if (renamed != NULL && !qconv_keymap_copy (m, name, renamed, error))
        return FALSE;
    }
  return TRUE;
}
