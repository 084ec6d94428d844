/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the file of a folder that is the model; never guesses between several. qconv_model_open() calls it. */
#include "graph/folder.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/small-file.h"
#include "graph/not-model.h"

enum {
  MOST_DEPTH = 4,  /* of folders below a folder without a model: "snapshots/COMMIT/transformer" in a download cache */
  MOST_NAMED = 6,  /* in a message */
  MOST_FOUND = 64, /* a search stops at as many */
};
#define MOST_INDEX (100u << 20)     /* bytes of an index that is searched for the names of files */
#define PIPELINE "model_index.json" /* marks the folder of a diffusers pipeline, whose models lie in folders below */

/* Returns whether the folder entry @name may be the file to open: a glob of a container matches it */
static gboolean
matches_entry (const char *name)
{
  GPtrArray *containers = qconv_registry_containers ();

  for (guint i = 0; name[0] != '.' && i < containers->len; i++)
    {
      const char *const *e = ((const QconvContainer *) g_ptr_array_index (containers, i))->entries;

      for (; e != NULL && *e != NULL; e++)
        if (g_pattern_match_simple (*e, name))
          return TRUE;
    }
  return FALSE;
}

/* Returns: (transfer full) (element-type utf8): sorted names in @folder that are folders, or else that matches_entry()
   accepts */
static GPtrArray *
list_names (const char *folder, gboolean folders)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (name[0] != '.' && g_file_test (path, G_FILE_TEST_IS_DIR) == folders && (folders || matches_entry (name)))
        g_ptr_array_add (names, g_strdup (name));
    }
  g_ptr_array_sort (names, qconv_compare_strings);
  return names;
}

/* Removes the names that the index @index of @folder holds: they are parts of its set */
static void
remove_parts (GPtrArray *names, const char *folder, const char *index)
{
  g_autofree char *path = g_build_filename (folder, index, NULL), *text = NULL;
  gsize length = 0;

  text = qconv_small_file_read (path, MOST_INDEX, &length, NULL);
  if (text == NULL)
    return;
  for (guint i = names->len; i > 0; i--)
    {
      g_autofree char *quoted = g_strdup_printf ("\"%s\"", (const char *) g_ptr_array_index (names, i - 1));

      if (memmem (text, length, quoted, strlen (quoted)) != NULL)
        g_ptr_array_remove_index (names, i - 1);
    }
}

/* Removes the second name of each pair of files that a container reads together, if both are in @names */
static void
remove_seconds (GPtrArray *names)
{
  GPtrArray *containers = qconv_registry_containers ();

  for (guint i = 0; i < containers->len; i++)
    {
      const char *const *pair = ((const QconvContainer *) g_ptr_array_index (containers, i))->pairs;
      guint at;

      for (; pair != NULL && pair[0] != NULL && pair[1] != NULL; pair += 2)
        if (g_ptr_array_find_with_equal_func (names, pair[0], g_str_equal, NULL)
            && g_ptr_array_find_with_equal_func (names, pair[1], g_str_equal, &at))
          g_ptr_array_remove_index (names, at);
    }
}

/* Returns: (transfer full) (element-type utf8): names of the models in @folder itself: a set of shards counts once, by
   its index or its first shard, and so does a pair of files */
static GPtrArray *
find_models (const char *folder)
{
  g_autoptr (GPtrArray) all = list_names (folder, FALSE);
  GPtrArray *models = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) sets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < all->len; i++)
    {
      const char *name = g_ptr_array_index (all, i);

      if (g_hash_table_add (sets, qconv_name_of_set (name)))
        g_ptr_array_add (models, g_strdup (name));
    }
  for (guint i = 0; i < all->len; i++)
    if (g_str_has_suffix (g_ptr_array_index (all, i), ".json"))
      remove_parts (models, folder, g_ptr_array_index (all, i));
  remove_seconds (models);
  return models;
}

/* Adds to @found the folders below @folder that hold models. @prefix: the name of @folder with "/" behind it, or "" */
static void
find_below (const char *folder, const char *prefix, guint depth, GPtrArray *found)
{
  g_autoptr (GPtrArray) folders = list_names (folder, TRUE);

  for (guint i = 0; i < folders->len && found->len < MOST_FOUND; i++)
    {
      const char *name = g_ptr_array_index (folders, i);
      g_autofree char *path = g_build_filename (folder, name, NULL), *said = g_strconcat (prefix, name, NULL);
      g_autofree char *next = g_strconcat (said, "/", NULL);
      g_autoptr (GPtrArray) models = find_models (path);

      if (models->len > 0)
        g_ptr_array_add (found, g_steal_pointer (&said));
      if (depth < MOST_DEPTH)
        find_below (path, next, depth + 1, found);
    }
}

/* Returns: (transfer full): "a, b, c, …" */
static char *
join_names (const GPtrArray *names)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < names->len && i < MOST_NAMED; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", (const char *) g_ptr_array_index (names, i));
  if (names->len > MOST_NAMED)
    g_string_append (text, ", …");
  return g_string_free (text, FALSE);
}

/* Fails, and names what can be named instead. @models: in @path itself; @below: folders in it */
static gboolean
fail_to_choose (const char *path, const GPtrArray *models, const GPtrArray *below, GError **error)
{
  g_autofree char *here = join_names (models), *there = join_names (below);

  if (models->len > 0 && below->len > 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: a pipeline of several models: name one of them: %s, %s", path,
                       there, here);
  if (models->len > 1)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: holds several models: name one of them: %s", path, here);
  if (below->len > 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: no model in this folder itself: name one in a folder below: %s",
                       path, there);
  if (qconv_not_model_check_folder (path, error))
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: no model in this folder", path);
  g_prefix_error (error, "%s: ", path);
  return FALSE;
}

char *
qconv_open_entry (const char *path, GError **error)
{
  g_autofree char *marker = g_build_filename (path, PIPELINE, NULL);
  g_autoptr (GPtrArray) models = NULL, below = g_ptr_array_new_with_free_func (g_free);

  if (!g_file_test (path, G_FILE_TEST_IS_DIR))
    return g_strdup (path);
  models = find_models (path);
  if (models->len == 0 || g_file_test (marker, G_FILE_TEST_IS_REGULAR))
    find_below (path, "", 1, below);
  if (models->len == 1 && below->len == 0)
    return g_build_filename (path, g_ptr_array_index (models, 0), NULL);
  fail_to_choose (path, models, below, error);
  return NULL;
}
