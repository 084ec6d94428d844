/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Derives the name of the output if the user gives none. The plan calls it. */
#include "plan/output-name.h"

#include <string.h>

/* Cuts a match of @pattern off the end of *name, unless nothing would be left */
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

/* Cuts off the name of a target, which an earlier conversion added */
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

/* The usual ends of file names that tell the type of numbers: "-Q4_K_M", "_bf16", "-mxfp8" */
#define NUMBERS_SUFFIX "[-_.](BF16|FP?(16|32|64)|[A-Z]{0,5}FP[48]|[IT]?Q[0-9]+(_[0-9A-Z]{1,3})+)$"

char *
qconv_output_name (const QconvTargetInfo *t, const char *input)
{
  gboolean is_folder = g_file_test (input, G_FILE_TEST_IS_DIR);
  g_autofree char *absolute = g_canonicalize_filename (input, NULL);
  g_autofree char *base = g_path_get_basename (absolute), *name = NULL;
  /* Keeps the user's spelling of the folder if possible */
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
