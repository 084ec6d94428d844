/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Derives the name of the output if the user gives none. The plan calls it. */
#include "plan/output-name.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/values.h"

/* Cuts a match of @pattern off *name, unless nothing would be left */
static void
cut_off (char **name, const char *pattern)
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

/* Returns: (transfer full): @pattern with "{stem}" and the options in it filled in. @values: (nullable): NULL: options
   become an expression that matches any value, and the rest is escaped */
static char *
fill_pattern (const char *pattern, const char *stem, const QconvValues *values)
{
  g_auto (GStrv) parts = g_strsplit (pattern, "{", -1);
  GString *name = g_string_new (NULL);

  for (guint i = 0; parts[i] != NULL; i++)
    {
      const char *end = i > 0 ? strchr (parts[i], '}') : NULL;
      g_autofree char *key = end != NULL ? g_strndup (parts[i], (gsize) (end - parts[i])) : NULL;
      g_autofree char *rest = values != NULL ? g_strdup (end != NULL ? end + 1 : parts[i])
                                             : g_regex_escape_string (end != NULL ? end + 1 : parts[i], -1);
      g_autofree char *value = key == NULL || strcmp (key, "stem") == 0 ? g_strdup (key != NULL ? stem : "")
                               : values != NULL                         ? g_strdup (qconv_values_text_of (values, key))
                                                                        : g_strdup ("[^-_.]+");

      g_string_append (name, value);
      g_string_append (name, rest);
    }
  return g_string_free (name, FALSE);
}

/* Cuts off what the pattern of a target of @w put before the name of an input */
static void
cut_start (char **name, const QconvWriter *w)
{
  for (const QconvTarget *t = w->targets; t->name != NULL; t++)
    {
      g_autofree char *start = t->file_name != NULL ? fill_pattern (t->file_name, "", NULL) : NULL;
      g_autofree char *anchored = start != NULL ? g_strconcat ("^", start, NULL) : NULL;

      if (anchored != NULL)
        cut_off (name, anchored);
    }
}

/* The usual ends of file names that tell the type of numbers: "-Q4_K_M", "_bf16", "-mxfp8" */
#define NUMBERS_SUFFIX "[-_.](BF16|FP?(16|32|64)|[A-Z]{0,5}FP[48]|[IT]?Q[0-9]+(_[0-9A-Z]{1,3})+)$"

/* ---- Download caches ---- */

/* Returns the length of the start of @path that is a managed download cache: it ends before "blobs" or "snapshots" in
   the folder of one model; 0 if @path lies in no cache. The layouts are those of huggingface_hub
   ("models--ORG--NAME") and of Ollama ("models/blobs"), which remove and replace files as they like */
static gsize
cache_length (const char *path)
{
  g_autoptr (GRegex) cache
      = g_regex_new ("^.*/(models--[^/]+(?=/(blobs|snapshots|refs)(/|$))|models(?=/blobs(/|$)))", G_REGEX_RAW, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  gint start = 0, end = 0;

  return g_regex_match (cache, path, 0, &match) && g_match_info_fetch_pos (match, 0, &start, &end) ? (gsize) end : 0;
}

/* Returns: (transfer full): @path without links, or as it is if it does not exist */
static char *
real_path (const char *path)
{
  char *real = realpath (path, NULL), *copy;

  if (real == NULL)
    return g_canonicalize_filename (path, NULL);
  copy = g_strdup (real);
  free (real);
  return copy;
}

gboolean
qconv_output_in_cache (const char *path)
{
  g_autofree char *real = real_path (path);

  return cache_length (real) > 0;
}

/* Returns: (transfer full) (nullable): NAME of the cached model "models--ORG--NAME" that @real lies in */
static char *
cached_model (const char *real)
{
  gsize n = cache_length (real);
  g_autofree char *cache = g_strndup (real, n), *base = g_path_get_basename (cache);
  const char *name = g_strrstr (base, "--");

  return n > 0 && name != NULL && name[2] != '\0' ? g_strdup (name + 2) : NULL;
}

/* ---- Names ---- */

/* Returns: (transfer full): the name of the output for a file or a folder called @base, which is consumed */
static char *
name_for (const QconvTargetInfo *t, const QconvValues *values, char *base, gboolean is_folder)
{
  g_autofree char *stem = base;

  if (!is_folder)
    {
      cut_off (&stem, "\\.index\\.json$");
      cut_off (&stem, "\\.[A-Za-z0-9_]+$");
    }
  cut_off (&stem, "-[0-9]{5}-of-[0-9]{5}$");
  cut_target (&stem);
  cut_off (&stem, NUMBERS_SUFFIX);
  if (values != NULL && t->target->file_name != NULL)
    {
      g_autofree char *name = NULL;

      cut_start (&stem, t->writer);
      name = fill_pattern (t->target->file_name, stem, values);
      return g_strconcat (name, t->writer->suffix, NULL);
    }
  return g_strconcat (stem, "-", t->name, t->writer->suffix, NULL);
}

char *
qconv_output_name (const QconvTargetInfo *t, const QconvValues *values, const char *input)
{
  gboolean is_folder = g_file_test (input, G_FILE_TEST_IS_DIR);
  g_autofree char *absolute = g_canonicalize_filename (input, NULL);
  g_autofree char *base = g_path_get_basename (absolute), *input_base = g_path_get_basename (input), *name = NULL;
  /* Keeps the user's spelling of the folder if possible */
  g_autofree char *folder = g_path_get_dirname (is_folder ? absolute : input), *real = real_path (folder);
  gboolean cached = cache_length (is_folder ? absolute : real) > 0 || cache_length (real) > 0;
  g_autofree char *model = cached && (is_folder || strchr (base, '.') == NULL) ? cached_model (absolute) : NULL;

  /* Folders and blobs of a cache are called after checksums */
  name = name_for (t, values, g_strdup (model != NULL ? model : base), is_folder || model != NULL);
  if (cached || strcmp (folder, ".") == 0 || (is_folder && strcmp (input_base, ".") == 0))
    return g_steal_pointer (&name);
  return g_build_filename (folder, name, NULL);
}

const char *
qconv_output_foreign_suffix (const QconvTargetInfo *t, const char *output)
{
  GPtrArray *containers = qconv_registry_containers ();

  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *c = g_ptr_array_index (containers, i);

      for (const char *const *s = c->suffixes; strcmp (c->id, t->writer->container) != 0 && *s != NULL; s++)
        if (g_str_has_suffix (output, *s))
          return *s;
    }
  return NULL;
}

char *
qconv_output_folder (const QconvTargetInfo *t, const QconvValues *values, const char *input, const char *output,
                     GError **error)
{
  char *path = output != NULL ? g_strdup (output) : qconv_output_path (t, values, input, NULL, error);
  gsize n = path != NULL ? strlen (path) : 0;

  if (path != NULL && output == NULL && g_str_has_suffix (path, t->writer->suffix))
    path[n - strlen (t->writer->suffix)] = '\0';
  while (output != NULL && n > 1 && path[n - 1] == G_DIR_SEPARATOR)
    path[--n] = '\0';
  return path;
}

char *
qconv_output_path (const QconvTargetInfo *t, const QconvValues *values, const char *input, const char *output,
                   GError **error)
{
  g_autofree char *derived = NULL, *base = NULL;

  if (output == NULL)
    {
      derived = qconv_output_name (t, values, input);
      base = g_path_get_dirname (derived);
      if (!qconv_output_in_cache (base))
        return g_steal_pointer (&derived);
      qconv_fail (error, QCONV_ERROR_OPTION,
                  "%s: lies in a download cache, where no output should be: name an output outside of it", input);
      return NULL;
    }
  if (!g_file_test (output, G_FILE_TEST_IS_DIR))
    {
      if (!g_str_has_suffix (output, G_DIR_SEPARATOR_S))
        return g_strdup (output);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: there is no such folder: make it first", output);
      return NULL;
    }
  derived = t != NULL ? qconv_output_name (t, values, input) : g_canonicalize_filename (input, NULL);
  base = g_path_get_basename (derived);
  return g_build_filename (output, base, NULL);
}
