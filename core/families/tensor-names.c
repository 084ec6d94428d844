/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of tensor names with shapes, which also finds names by their start. Everything that compares a file with a
   family uses it. */
#include "families/tensor-names.h"

#include <string.h>

#include "base/names.h"

typedef struct {
  char *name, *full;
  QconvShape shape;
} Named;

struct _Names {
  GPtrArray *list;   /* Named */
  GHashTable *table; /* name -> Named, both of @list */
  GPtrArray *sorted; /* names in order; NULL until needed */
};

static void
free_named (gpointer data)
{
  Named *n = data;

  g_free (n->name);
  g_free (n->full);
  g_free (n);
}

Names *
qconv_names_new (void)
{
  Names *names = g_new0 (Names, 1);

  names->list = g_ptr_array_new_with_free_func (free_named);
  names->table = g_hash_table_new (g_str_hash, g_str_equal);
  return names;
}

void
qconv_names_free (Names *names)
{
  if (names == NULL)
    return;
  g_clear_pointer (&names->sorted, g_ptr_array_unref);
  g_hash_table_unref (names->table);
  g_ptr_array_unref (names->list);
  g_free (names);
}

static void
add (Names *names, char *name, const char *full, const QconvShape *shape)
{
  Named *n;

  if (g_hash_table_contains (names->table, name))
    {
      g_free (name);
      return;
    }
  n = g_new0 (Named, 1);
  n->name = name;
  n->full = g_strdup (full);
  n->shape = *shape;
  g_ptr_array_add (names->list, n);
  g_hash_table_insert (names->table, n->name, n);
  g_clear_pointer (&names->sorted, g_ptr_array_unref);
}

void
qconv_names_add (Names *names, const char *name, const QconvShape *shape)
{
  add (names, g_strdup (name), name, shape);
}

const QconvShape *
qconv_names_find (const Names *names, const char *name)
{
  const Named *n = g_hash_table_lookup (names->table, name);

  return n != NULL ? &n->shape : NULL;
}

const char *
qconv_names_full (const Names *names, const char *name)
{
  const Named *n = g_hash_table_lookup (names->table, name);

  return n != NULL ? n->full : NULL;
}

static GPtrArray *
sorted_names (const Names *names)
{
  GPtrArray *sorted = names->sorted;

  if (sorted != NULL)
    return sorted;
  sorted = g_ptr_array_sized_new (names->list->len);
  for (guint i = 0; i < names->list->len; i++)
    g_ptr_array_add (sorted, ((Named *) g_ptr_array_index (names->list, i))->name);
  g_ptr_array_sort (sorted, qconv_compare_strings);
  ((Names *) names)->sorted = sorted;
  return sorted;
}

gboolean
qconv_names_starting (const Names *names, const char *stem)
{
  GPtrArray *sorted = sorted_names (names);
  guint low = 0, high = sorted->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (strcmp (g_ptr_array_index (sorted, middle), stem) < 0)
        low = middle + 1;
      else
        high = middle;
    }
  return low < sorted->len && g_str_has_prefix (g_ptr_array_index (sorted, low), stem);
}

guint
qconv_names_length (const Names *names)
{
  return names->list->len;
}

const char *
qconv_names_name (const Names *names, guint i)
{
  return ((const Named *) g_ptr_array_index (names->list, i))->name;
}

const QconvShape *
qconv_names_shape (const Names *names, guint i)
{
  return &((const Named *) g_ptr_array_index (names->list, i))->shape;
}

static char *
rewrite (const FamilyPairs *rewrites, const char *name)
{
  for (guint i = 0; rewrites != NULL && i < rewrites->n; i++)
    if (g_str_has_prefix (name, rewrites->at[i].from))
      return g_strconcat (rewrites->at[i].to, name + strlen (rewrites->at[i].from), NULL);
  return g_strdup (name);
}

Names *
qconv_names_behind (const Names *names, const char *prefix, const FamilyPairs *rewrites)
{
  Names *behind = qconv_names_new ();

  for (guint i = 0; i < names->list->len; i++)
    {
      const Named *n = g_ptr_array_index (names->list, i);

      if (g_str_has_prefix (n->name, prefix))
        add (behind, rewrite (rewrites, n->name + strlen (prefix)), n->full, &n->shape);
    }
  return behind;
}
