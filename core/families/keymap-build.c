/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a run that every kind of keymap needs: finds the map, looks up sources, adds tensors. The other keymap
   files call it. */
#include "families/keymap-build.h"

#include <string.h>

static void
clear_part (gpointer data)
{
  g_free (((NamePart *) data)->name);
}

static void
free_map (gpointer data)
{
  NameMap *map = data;

  g_free (map->name);
  g_array_unref (map->parts);
  g_free (map);
}

GArray *
qconv_keymap_parts (void)
{
  GArray *parts = g_array_new (FALSE, FALSE, sizeof (NamePart));

  g_array_set_clear_func (parts, clear_part);
  return parts;
}

void
qconv_keymap_part (GArray *parts, const char *name, guint64 first, guint64 stride, guint64 n)
{
  NamePart part = { .name = g_strdup (name), .first = first, .stride = stride, .n = n };

  g_array_append_val (parts, part);
}

const char *
qconv_keymap_source (const KeymapRun *m, const char *name)
{
  const char *source = g_hash_table_lookup (m->sources, name);
  g_autofree char *spelling = NULL;

  if (source != NULL)
    return source;
  spelling = qconv_aliases_apply (m->from_a ? m->aliases_a : m->aliases_b, name);
  return g_hash_table_lookup (m->sources, spelling);
}

gboolean
qconv_keymap_add (KeymapRun *m, const char *name, GArray *parts, const QconvShape *shape, gboolean transposed,
                  GError **error)
{
  NameMap *map = g_new0 (NameMap, 1);

  map->name = qconv_aliases_apply (m->from_a ? m->aliases_b : m->aliases_a, name);
  map->parts = parts;
  map->shape = *shape;
  map->transposed = transposed;
  g_ptr_array_add (m->maps, map);
  return g_hash_table_add (m->made, map->name)
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s: two tensors would get this name", map->name);
}

gboolean
qconv_keymap_copy (KeymapRun *m, const char *source, const char *name, GError **error)
{
  const QconvShape *shape = qconv_names_find (m->names, source);
  GArray *parts = qconv_keymap_parts ();

  qconv_keymap_part (parts, source, 0, 1, shape->rank > 0 ? shape->dim[0] : 1);
  return qconv_keymap_add (m, name, parts, shape, FALSE, error);
}

GPtrArray *
qconv_keymap_maps (void)
{
  return g_ptr_array_new_with_free_func (free_map);
}

NameMap *
qconv_keymap_copy_map (const NameMap *map)
{
  NameMap *copy = g_memdup2 (map, sizeof *map);

  copy->name = g_strdup (map->name);
  copy->parts = g_array_ref (map->parts);
  return copy;
}

const FamilyKeymap *
qconv_keymap_find (const Family *f, const char *variant, const char *from, const char *to, gboolean *from_a)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;

  for (guint i = 0; i < maps->n; i++)
    {
      const FamilyKeymap *map = &maps->at[i];
      gboolean excepted
          = variant != NULL && map->except_variants != NULL && g_strv_contains (map->except_variants, variant);

      *from_a = strcmp (map->a, from) == 0 && strcmp (map->b, to) == 0;
      if (*from_a || (strcmp (map->a, to) == 0 && strcmp (map->b, from) == 0))
        return excepted ? NULL : map;
    }
  return NULL;
}
