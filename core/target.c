/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include <string.h>

const QconvTargetInfo *
qconv_target_find (const char *name, GError **error)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  const char *near;

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      if (strcmp (t->name, name) == 0)
        return t;
      g_ptr_array_add (names, t->name);
    }
  g_ptr_array_add (names, NULL);
  near = qconv_nearest (name, (const char *const *) names->pdata);
  if (near != NULL)
    qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown target \"%s\"; did you mean %s?", name, near);
  else
    qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown target \"%s\"; `qconv targets` lists them", name);
  return NULL;
}

/* Cuts what @pattern matches off the end of *name, unless nothing is left */
static void
cut_end (char **name, const char *pattern)
{
  g_autoptr (GRegex) re = g_regex_new (pattern, G_REGEX_CASELESS, 0, NULL);
  char *cut = g_regex_replace_literal (re, *name, -1, 0, "", 0, NULL);

  if (cut != NULL && *cut != '\0')
    {
      g_free (*name);
      *name = g_steal_pointer (&cut);
    }
  g_free (cut);
}

/* Returns: (transfer full): matches "-Q4_K_M", "_bf16": a scheme that is known, with the letters of its mixes, or a
   float type in either spelling */
static char *
scheme_suffix (void)
{
  GPtrArray *quantizers = qconv_registry_quantizers ();
  g_autoptr (GString) pattern = g_string_new ("[-_.](BF16|FP?16|FP?32|F64");

  for (guint i = 0; i < quantizers->len; i++)
    {
      const char *id = ((const QconvQuantizer *) g_ptr_array_index (quantizers, i))->id;
      g_autofree char *escaped = g_regex_escape_string (id, -1);

      g_string_append_printf (pattern, "|%s", escaped);
    }
  g_string_append (pattern, ")(_(XS|XL|S|M|L))?$");
  return g_strdup (pattern->str);
}

char *
qconv_target_derive_output (const QconvTargetInfo *t, const QconvModel *m)
{
  gboolean is_folder = g_file_test (m->path, G_FILE_TEST_IS_DIR);
  g_autofree char *absolute = g_canonicalize_filename (m->path, NULL);
  g_autofree char *base = g_path_get_basename (absolute), *schemes = scheme_suffix (), *name = NULL;
  /* As the person spelled it where that is possible */
  g_autofree char *folder = g_path_get_dirname (is_folder ? absolute : m->path);

  if (!is_folder)
    {
      cut_end (&base, "\\.index\\.json$");
      cut_end (&base, "\\.[A-Za-z0-9_]+$");
    }
  cut_end (&base, "-[0-9]{5}-of-[0-9]{5}$");
  cut_end (&base, schemes);
  name = g_strconcat (base, "-", t->name, t->writer->suffix, NULL);
  return strcmp (folder, ".") == 0 ? g_steal_pointer (&name) : g_build_filename (folder, name, NULL);
}
