/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the file of a folder that is the model, and the container that reads it. qconv_model_open() calls it. */
#include <string.h>

#include "base/names.h"
#include "graph/container.h"

#define HEAD_SIZE (64u << 10)

/* Returns: (transfer full) (element-type utf8): paths of the files in @folder that match @glob. A set of numbered
   shards counts as one file */
static GPtrArray *
match_entries (const char *folder, const char *glob)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPatternSpec) pattern = g_pattern_spec_new (glob);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (name[0] != '.' && g_pattern_spec_match_string (pattern, name)
        && !g_regex_match_simple ("-(?!00001)[0-9]{5}-of-[0-9]{5}\\.", name, 0, 0))
      g_ptr_array_add (found, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (found, qconv_compare_strings);
  return found;
}

/* Returns: (transfer container) (element-type utf8): the globs of all containers: the first of each, then the second of
   each, and so on */
static GPtrArray *
entry_globs (void)
{
  GPtrArray *globs = g_ptr_array_new (), *containers = qconv_registry_containers ();
  gboolean more = TRUE;

  for (guint rank = 0; more; rank++)
    {
      more = FALSE;
      for (guint i = 0; i < containers->len; i++)
        {
          const char *const *entries = ((const QconvContainer *) g_ptr_array_index (containers, i))->entries;

          if (entries == NULL || g_strv_length ((char **) entries) <= rank)
            continue;
          g_ptr_array_add (globs, (gpointer) entries[rank]);
          more = TRUE;
        }
    }
  return globs;
}

char *
qconv_open_entry (const char *path, GError **error)
{
  g_autoptr (GPtrArray) globs = NULL;

  if (!g_file_test (path, G_FILE_TEST_IS_DIR))
    return g_strdup (path);
  globs = entry_globs ();
  for (guint i = 0; i < globs->len; i++)
    {
      g_autoptr (GPtrArray) found = match_entries (path, g_ptr_array_index (globs, i));

      if (found->len == 1)
        return g_strdup (g_ptr_array_index (found, 0));
      if (found->len > 1)
        {
          qconv_fail (error, QCONV_ERROR_INPUT, "%s: holds several models (%s, %s): name one of them", path,
                      (const char *) found->pdata[0], (const char *) found->pdata[1]);
          return NULL;
        }
    }
  qconv_fail (error, QCONV_ERROR_INPUT, "%s: no model in this folder", path);
  return NULL;
}

/* Returns whether the file is a Python pickle, by itself or in the zip that torch makes */
static gboolean
looks_like_pickle (const guint8 *head, gsize n)
{
  return (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
         || (n >= 4 && memcmp (head, "PK\003\004", 4) == 0 && memmem (head, n, "data.pkl", 8) != NULL);
}

static gboolean
has_suffix (const QconvContainer *c, QconvSource *source)
{
  for (guint i = 0; c->suffixes[i] != NULL; i++)
    if (g_str_has_suffix (qconv_source_name (source), c->suffixes[i]))
      return TRUE;
  return FALSE;
}

/* Returns the container with the highest score; the suffix breaks ties. @by_suffix: only the suffix counts, because
   the container of that suffix can report the faults of a file that no container recognises */
static const QconvContainer *
best_container (QconvSource *source, const guint8 *head, gsize n, gboolean by_suffix)
{
  GPtrArray *containers = qconv_registry_containers ();
  const QconvContainer *best = NULL;
  guint most = 0;

  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *c = g_ptr_array_index (containers, i);
      guint score = by_suffix ? 0 : c->score (c, qconv_source_name (source), head, n, qconv_source_size (source));

      score = MIN (score, 100) * 2;
      if ((score > 0 || by_suffix) && has_suffix (c, source))
        score++;
      if (score > most)
        {
          most = score;
          best = c;
        }
    }
  return best;
}

const QconvContainer *
qconv_open_container (QconvSource *source, const char *from, GError **error)
{
  gsize n = (gsize) MIN (qconv_source_size (source), HEAD_SIZE);
  g_autofree guint8 *head = g_malloc (MAX (n, 1));
  const QconvContainer *forced = from != NULL ? qconv_registry_container (from) : NULL;
  const QconvContainer *best;

  if (forced != NULL)
    return forced;
  if (!qconv_registry_check (error))
    return NULL;
  if (from != NULL && qconv_registry_reader (from) == NULL)
    {
      qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown format \"%s\"; `qconv formats` lists them", from);
      return NULL;
    }
  if (!qconv_source_read (source, 0, n, head, error))
    return NULL;
  best = best_container (source, head, n, FALSE);
  if (best == NULL && looks_like_pickle (head, n))
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                  "this is a Python pickle, which can run code when it is read: convert it to safetensors first");
      return NULL;
    }
  if (best == NULL)
    best = best_container (source, head, n, TRUE);
  if (best == NULL)
    qconv_fail (error, QCONV_ERROR_INPUT, "not a model in any format that a loaded plugin knows");
  return best;
}
