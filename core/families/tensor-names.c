/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of tensor names with shapes, which also finds names by their start. Everything that compares a file with a
   family uses it. */
#include "families/tensor-names.h"

#include <string.h>

#include "base/names.h"

/* A tensor of the file, which all sets that hold it share */
typedef struct {
  QconvShape shape;
  char full[];
} Stored;

/* @name: the full name of @stored, its end, or @rewritten, which owns a name that is neither */
typedef struct {
  Stored *stored;
  char *rewritten;
  const char *name;
} Named;

struct _Names {
  GArray *list;      /* Named */
  GHashTable *table; /* name -> its index in @list plus 1 */
  GPtrArray *sorted; /* names in order; NULL until needed */
};

/* Returns: (transfer full): a reference-counted box */
static Stored *
stored_new (const char *full, const QconvShape *shape)
{
  gsize n = strlen (full) + 1;
  Stored *stored = g_rc_box_alloc (sizeof *stored + n);

  stored->shape = *shape;
  memcpy (stored->full, full, n);
  return stored;
}

static void
clear_named (gpointer data)
{
  Named *n = data;

  g_rc_box_release (n->stored);
  g_free (n->rewritten);
}

Names *
qconv_names_new (void)
{
  Names *names = g_new0 (Names, 1);

  names->list = g_array_new (FALSE, FALSE, sizeof (Named));
  g_array_set_clear_func (names->list, clear_named);
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
  g_array_unref (names->list);
  g_free (names);
}

/* Adds @n (transfer full), if there is no tensor of its name yet */
static void
add (Names *names, Named n)
{
  if (g_hash_table_contains (names->table, n.name))
    {
      clear_named (&n);
      return;
    }
  g_array_append_val (names->list, n);
  g_hash_table_insert (names->table, (gpointer) n.name, GUINT_TO_POINTER (names->list->len));
  g_clear_pointer (&names->sorted, g_ptr_array_unref);
}

void
qconv_names_add (Names *names, const char *name, const QconvShape *shape)
{
  Stored *stored = stored_new (name, shape);

  add (names, (Named) { stored, NULL, stored->full });
}

static const Named *
at (const Names *names, guint i)
{
  return &g_array_index (names->list, Named, i);
}

/* Returns NULL if there is no tensor @name */
static const Named *
find (const Names *names, const char *name)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (names->table, name));

  return n > 0 ? at (names, n - 1) : NULL;
}

const QconvShape *
qconv_names_find (const Names *names, const char *name)
{
  const Named *n = find (names, name);

  return n != NULL ? &n->stored->shape : NULL;
}

const char *
qconv_names_full (const Names *names, const char *name)
{
  const Named *n = find (names, name);

  return n != NULL ? n->stored->full : NULL;
}

static GPtrArray *
sorted_names (const Names *names)
{
  GPtrArray *sorted = names->sorted;

  if (sorted != NULL)
    return sorted;
  sorted = g_ptr_array_sized_new (names->list->len);
  for (guint i = 0; i < names->list->len; i++)
    g_ptr_array_add (sorted, (gpointer) at (names, i)->name);
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
  return at (names, i)->name;
}

const QconvShape *
qconv_names_shape (const Names *names, guint i)
{
  return &at (names, i)->stored->shape;
}

/* Returns the name of @named without its first @n bytes after @rewrites; NULL if that is an end of its full name.
   (transfer full) */
static char *
rewrite (const FamilyPairs *rewrites, const Named *named, gsize n)
{
  const char *name = named->name + n;

  for (guint i = 0; rewrites != NULL && i < rewrites->n; i++)
    if (g_str_has_prefix (name, rewrites->at[i].from))
      return g_strconcat (rewrites->at[i].to, name + strlen (rewrites->at[i].from), NULL);
  return named->rewritten != NULL ? g_strdup (name) : NULL;
}

Names *
qconv_names_behind (const Names *names, const char *prefix, const FamilyPairs *rewrites)
{
  Names *behind = qconv_names_new ();
  gsize n = strlen (prefix);

  for (guint i = 0; i < names->list->len; i++)
    {
      const Named *named = at (names, i);
      char *rewritten;

      if (!g_str_has_prefix (named->name, prefix))
        continue;
      rewritten = rewrite (rewrites, named, n);
      add (behind,
           (Named) { g_rc_box_acquire (named->stored), rewritten, rewritten != NULL ? rewritten : named->name + n });
    }
  return behind;
}
