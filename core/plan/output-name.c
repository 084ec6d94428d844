/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of the output if the user gives none. The plan asks for it. */
#include "plan/output-name.h"

#include <string.h>

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

/* What an earlier conversion put there */
static void
cut_target (char **name)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);
      g_autofree char *suffix = g_strconcat ("-", t->name, NULL);
      gsize n = strlen (suffix), all = strlen (*name);

      if (all > n && g_str_has_suffix (*name, suffix))
        {
          (*name)[all - n] = '\0';
          return;
        }
    }
}

/* "-Q4_K_M", "_bf16", "-mxfp8": how people say in a file's name what its numbers are */
#define NUMBERS_SUFFIX "[-_.](BF16|FP?(16|32|64)|[A-Z]{0,5}FP[48]|[IT]?Q[0-9]+(_[0-9A-Z]{1,3})+)$"

char *
qconv_output_name (const QconvTargetInfo *t, const char *input)
{
  gboolean is_folder = g_file_test (input, G_FILE_TEST_IS_DIR);
  g_autofree char *absolute = g_canonicalize_filename (input, NULL);
  g_autofree char *base = g_path_get_basename (absolute), *name = NULL;
  /* As the person spelled it where that is possible */
  g_autofree char *folder = g_path_get_dirname (is_folder ? absolute : input);

  if (!is_folder)
    {
      cut_end (&base, "\\.index\\.json$");
      cut_end (&base, "\\.[A-Za-z0-9_]+$");
    }
  cut_end (&base, "-[0-9]{5}-of-[0-9]{5}$");
  cut_target (&base);
  cut_end (&base, NUMBERS_SUFFIX);
  name = g_strconcat (base, "-", t->name, t->writer->suffix, NULL);
  return strcmp (folder, ".") == 0 ? g_steal_pointer (&name) : g_build_filename (folder, name, NULL);
}
