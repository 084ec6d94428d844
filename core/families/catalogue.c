/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the family files of the user and of the installation, and sorts them by priority. knowledge.c calls it. */
#include "families/catalogue.h"

#include <string.h>

#include "base/data-files.h"
#include "qconv-types.h"

struct _Families {
  GPtrArray *list; /* Family, by priority */
  Family *generic;
};

static void
free_family (gpointer data)
{
  qconv_family_free (data);
}

void
qconv_families_free (Families *families)
{
  if (families == NULL)
    return;
  g_ptr_array_unref (families->list);
  qconv_family_free (families->generic);
  g_free (families);
}

const Family *
qconv_families_find (const Families *families, const char *id)
{
  if (families->generic != NULL && strcmp (qconv_family_id (families->generic), id) == 0)
    return families->generic;
  for (guint i = 0; i < families->list->len; i++)
    if (strcmp (qconv_family_id (g_ptr_array_index (families->list, i)), id) == 0)
      return g_ptr_array_index (families->list, i);
  return NULL;
}

const Family *
qconv_families_generic (const Families *families)
{
  return families->generic;
}

GPtrArray *
qconv_families_list (const Families *families)
{
  return families->list;
}

static gboolean
add_file (Families *families, const char *path, GError **error)
{
  Family *f = qconv_family_load (path, error);

  if (f == NULL)
    return FALSE;
  if (qconv_families_find (families, qconv_family_id (f)) != NULL)
    qconv_family_free (f);
  else if (strcmp (qconv_family_kind (f), "generic") != 0)
    g_ptr_array_add (families->list, f);
  else if (families->generic == NULL)
    families->generic = f;
  else
    qconv_family_free (f);
  return TRUE;
}

static gint
compare_priorities (gconstpointer a, gconstpointer b)
{
  gint64 x = qconv_family_priority (*(const Family *const *) a), y = qconv_family_priority (*(const Family *const *) b);

  return (x > y) - (x < y);
}

static gboolean
check_priorities (GPtrArray *list, GError **error)
{
  for (guint i = 1; i < list->len; i++)
    {
      const Family *a = g_ptr_array_index (list, i - 1), *b = g_ptr_array_index (list, i);

      if (qconv_family_priority (a) == qconv_family_priority (b))
        return qconv_fail (error, QCONV_ERROR_INPUT,
                           "%s: detect.priority: %" G_GINT64_FORMAT " is already used by %s; choose another",
                           qconv_family_path (b), qconv_family_priority (b), qconv_family_path (a));
    }
  return TRUE;
}

Families *
qconv_families_load (const char *file, GError **error)
{
  g_autoptr (Families) families = g_new0 (Families, 1);
  g_autoptr (GPtrArray) paths = NULL;

  families->list = g_ptr_array_new_with_free_func (free_family);
  if (file != NULL && !add_file (families, file, error))
    return NULL;
  paths = qconv_data_files ("families", error);
  for (guint i = 0; paths != NULL && i < paths->len; i++)
    if (!add_file (families, g_ptr_array_index (paths, i), error))
      return NULL;
  if (paths == NULL)
    return NULL;
  if (families->generic == NULL)
    {
      g_autofree char *installed = qconv_data_folder ("families");

      qconv_fail (error, QCONV_ERROR_INPUT, "%s: no family file of kind \"generic\" found", installed);
      return NULL;
    }
  g_ptr_array_sort (families->list, compare_priorities);
  if (!check_priorities (families->list, error))
    return NULL;
  qconv_family_set_base (families->generic, families->generic);
  for (guint i = 0; i < families->list->len; i++)
    qconv_family_set_base (g_ptr_array_index (families->list, i), families->generic);
  return g_steal_pointer (&families);
}
