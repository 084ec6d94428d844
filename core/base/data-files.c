/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds data files in the user's data folder, QCONV_DATA_PATH and the installed data. */
#include "base/data-files.h"

#include "base/names.h"

/* Moves the paths of the *.json files of @folder, sorted, to the end of @paths */
static gboolean
add_folder (GPtrArray *paths, const char *folder, GError **error)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  const char *name;

  if (dir == NULL)
    return FALSE;
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".json"))
      g_ptr_array_add (found, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (found, qconv_compare_strings);
  g_ptr_array_extend_and_steal (paths, g_steal_pointer (&found));
  return TRUE;
}

char *
qconv_data_folder (const char *folder)
{
  const char *data = g_getenv ("QCONV_DATA_PATH");

  return g_build_filename (data != NULL ? data : QCONV_DATA_DIR, folder, NULL);
}

GPtrArray *
qconv_data_files (const char *folder, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *users = g_build_filename (g_get_user_data_dir (), "qconv", folder, NULL);
  g_autofree char *installed = qconv_data_folder (folder);

  if (g_file_test (users, G_FILE_TEST_IS_DIR) && !add_folder (paths, users, error))
    return NULL;
  return add_folder (paths, installed, error) ? g_steal_pointer (&paths) : NULL;
}
