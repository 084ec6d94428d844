/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removes the wrappers of modules from layer names; unwrap.h describes them. */
#include "graph/unwrap.h"

#include <string.h>

#include "base/names.h"
#include "layer/compose.h"

static FamilyTexts
list_wrappers (const Families *families)
{
  return qconv_family_data (qconv_families_generic (families))->module_wrappers;
}

/* Returns the first wrapper behind a dot in @name, or NULL. *at: its place */
static const char *
find_wrapper (FamilyTexts wrappers, const char *name, const char **at)
{
  const char *found = NULL;

  for (guint i = 0; wrappers != NULL && wrappers[i] != NULL; i++)
    for (const char *p = strstr (name, wrappers[i]); p != NULL; p = strstr (p + 1, wrappers[i]))
      if (p > name && p[-1] == '.' && (found == NULL || p < *at))
        {
          found = wrappers[i];
          *at = p;
        }
  return found;
}

char *
qconv_unwrap_name (const Families *families, const char *name)
{
  GString *bare = g_string_new (name);
  const char *wrapper, *at = NULL;

  while ((wrapper = find_wrapper (list_wrappers (families), bare->str, &at)) != NULL)
    g_string_erase (bare, at - bare->str, (gssize) strlen (wrapper));
  return g_string_free (bare, FALSE);
}

/* Exchanges the two names of @s. Both stay in memory, because tables have them as keys */
static void
exchange_names (SourceLayer *s)
{
  char *name = s->stored_name;

  s->stored_name = s->plain_name;
  s->plain_name = name;
  g_free (s->name);
  s->name = qconv_weight_stem (name);
}

void
qconv_unwrap_layers (QconvModel *m, const Families *families)
{
  g_autoptr (GHashTable) taken = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < m->layers->len; i++)
    g_hash_table_add (taken, ((SourceLayer *) g_ptr_array_index (m->layers, i))->plain_name);
  for (guint i = 0; i < m->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (m->layers, i);
      char *name = qconv_unwrap_name (families, s->plain_name);

      if (g_hash_table_contains (taken, name))
        {
          g_free (name);
          continue;
        }
      g_hash_table_add (taken, name);
      s->stored_name = name;
      exchange_names (s);
    }
}

void
qconv_unwrap_undo (QconvModel *m)
{
  for (guint i = 0; i < m->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (m->layers, i);

      if (s->stored_name != NULL)
        exchange_names (s);
    }
}

guint
qconv_unwrap_count (const QconvModel *m, const Families *families, const char **wrapper)
{
  guint n = 0;

  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i);
      const char *at = NULL;

      if (s->stored_name != NULL && n++ == 0)
        *wrapper = find_wrapper (list_wrappers (families), s->stored_name, &at);
    }
  return n;
}

gboolean
qconv_unwrap_keep (Mapping *x, GError **error)
{
  for (guint i = 0; i < x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (x->layers, i), *stored;

      if (s->parts != NULL || s->stored_name == NULL)
        continue;
      stored = qconv_compose_renamed (s, s->stored_name, &s->layer->pub.shape, error);
      if (stored == NULL)
        return FALSE;
      g_ptr_array_add (x->composed, stored);
      g_hash_table_insert (x->originals, stored, g_strdup (qconv_mapping_original (x, s)));
      g_ptr_array_index (x->layers, i) = stored;
    }
  return TRUE;
}
