/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the file with the vision part, and reads its tensors into the directory of the model. */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "base/names.h"
#include "graph/identify.h"
#include "graph/vision-file.h"
#include "io/directory.h"
#include "layer/hooks.h"

static const char *
word_of (const Family *f, const char *architecture)
{
  const FamilyPairs *words = &qconv_family_data (f)->vision_files;

  for (guint i = 0; i < words->n; i++)
    if (strcmp (words->at[i].from, architecture) == 0)
      return words->at[i].to;
  return NULL;
}

/* Returns the word in the names of files with the vision part of @architecture, or NULL. *mapped: a family knows the
   names of their tensors; the generic family only knows that there are such files */
static const char *
find_word (const Families *families, const char *architecture, gboolean *mapped)
{
  GPtrArray *known = qconv_families_list (families);
  const char *word = NULL;

  for (guint i = 0; word == NULL && i < known->len; i++)
    word = word_of (g_ptr_array_index (known, i), architecture);
  *mapped = word != NULL;
  return word != NULL ? word : word_of (qconv_families_generic (families), architecture);
}

/* Returns the files beside the model that have its suffix and @word in their names. (transfer full)
   (element-type utf8) */
static GPtrArray *
find_files (const QconvModel *m, const char *word)
{
  const char *own = qconv_source_name (m->source), *dot = strrchr (own, '.'), *name;
  g_autofree char *folder = g_path_get_dirname (qconv_source_path (m->source));
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *lower = g_ascii_strdown (name, -1);

      if (strstr (lower, word) != NULL && strcmp (name, own) != 0 && (dot == NULL || g_str_has_suffix (name, dot)))
        g_ptr_array_add (found, g_strdup (name));
    }
  g_ptr_array_sort (found, qconv_compare_strings);
  return found;
}

/* Reads the tensors of the file called @name into the directory of @m */
static gboolean
read_file (QconvModel *m, const char *name, GError **error)
{
  const QconvValues *values = g_array_index (m->participants, Participant, 0).values;
  QconvSource *source = qconv_source_sibling (m->source, name, error); /* stays open as long as the model */
  g_autoptr (QconvDirectory) d = NULL;
  guint n = qconv_directory_n_tensors (m->directory);

  if (source == NULL)
    return FALSE;
  d = qconv_directory_new (m->container->id, source);
  if (!qconv_call_open (m->container, source, values, d, error))
    return FALSE;
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    if (!qconv_directory_add (m->directory, qconv_directory_tensor (d, i), error))
      {
        qconv_directory_truncate (m->directory, n);
        return FALSE;
      }
  return TRUE;
}

gboolean
qconv_vision_file_add (QconvModel *m, const Warn *warn, GError **error)
{
  const char *architecture = qconv_model_architecture (m);
  const Families *families = architecture != NULL ? qconv_model_families (m, error) : NULL;
  g_autoptr (GPtrArray) files = NULL;
  g_autoptr (GError) local = NULL;
  const char *word, *name;
  gboolean mapped = FALSE;

  if (architecture == NULL)
    return TRUE;
  if (families == NULL)
    return FALSE;
  word = find_word (families, architecture, &mapped);
  files = word != NULL ? find_files (m, word) : NULL;
  if (files == NULL || files->len == 0)
    return TRUE;
  name = g_ptr_array_index (files, 0);
  if (files->len > 1)
    {
      g_autofree char *names = qconv_first_names (files);

      qconv_warn (warn,
                  _ ("the vision part of this model may lie in any of several files, so it is left out; leave one of "
                     "them beside the model: %s"),
                  names);
    }
  else if (!mapped)
    qconv_warn (warn,
                _ ("the vision part of this model lies in another file, %s, which is not merged: the output cannot see "
                   "pictures"),
                name);
  else if (read_file (m, name, &local))
    qconv_warn (warn, _ ("the vision part is read from %s"), name);
  else
    qconv_warn (warn, _ ("the vision part of this model is left out, because %s cannot be read: %s"), name,
                local->message);
  return TRUE;
}
