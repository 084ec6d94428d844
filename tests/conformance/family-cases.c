/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the variants of all family files for test-families.c. */
#include "family-cases.h"

#include <stdio.h>
#include <string.h>

/* Owns the families of all cases */
static GPtrArray *parsers;

/* Returns whether a variant is tested: published ones are. llm_moe's have too many tensors: its synthetic ones are
   tested instead */
static gboolean
is_wanted (const char *family, JsonObject *variant)
{
  gboolean made = json_object_get_boolean_member_with_default (variant, "synthetic", FALSE);

  return strcmp (family, "llm_moe") == 0 ? made : !made;
}

static void
add_family (GArray *cases, const char *path)
{
  JsonParser *parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GList) names = NULL;
  JsonObject *family, *variants;
  guint before = cases->len;

  g_ptr_array_add (parsers, parser);
  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  family = json_node_get_object (json_parser_get_root (parser));
  variants = json_object_get_object_member (family, "variants");
  names = json_object_get_members (variants);
  for (GList *l = names; l != NULL; l = l->next)
    {
      JsonObject *variant = json_object_get_object_member (variants, l->data);
      FamilyCase c
          = { family, json_object_get_string_member (family, "family"), l->data, NULL, cases->len - before, 0 };

      c.as = json_object_get_string_member_with_default (variant, "detect_as", l->data);
      if (is_wanted (c.id, variant))
        g_array_append_val (cases, c);
    }
  g_assert_cmpuint (cases->len, >, before);
  for (guint i = before; i < cases->len; i++)
    g_array_index (cases, FamilyCase, i).n = cases->len - before;
}

static gint
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

GArray *
family_cases_load (void)
{
  g_autofree char *folder = g_build_filename (g_getenv ("QCONV_DATA_PATH"), "families", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  GArray *cases = g_array_new (FALSE, FALSE, sizeof (FamilyCase));
  const char *name;

  g_assert_nonnull (dir);
  parsers = g_ptr_array_new_with_free_func (g_object_unref);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".json") && strcmp (name, "generic.json") != 0)
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (paths, compare_texts);
  for (guint i = 0; i < paths->len; i++)
    add_family (cases, g_ptr_array_index (paths, i));
  g_assert_cmpuint (cases->len, >, 0);
  return cases;
}

void
family_cases_free (GArray *cases)
{
  g_array_unref (cases);
  g_clear_pointer (&parsers, g_ptr_array_unref);
}

gboolean
family_case_is_in_part (const char *part, guint i)
{
  guint k, n;

  g_assert_cmpint (sscanf (part, "%u/%u", &k, &n), ==, 2);
  g_assert_cmpuint (k, <, n);
  return i % n == k;
}
