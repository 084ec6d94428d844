/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the LoRA dialects and looks spellings up; dialect-file.c reads a single file. */
#include "lora/dialects.h"

#include <string.h>

#include "base/data-files.h"
#include "base/small-file.h"
#include "qconv-types.h"

#define FOLDER "lora"

static void
clear_metadata (gpointer data)
{
  LoraMetadata *of = data;

  g_clear_pointer (&of->patterns, g_ptr_array_unref);
  g_clear_pointer (&of->other_models, g_ptr_array_unref);
}

static void
clear_config (gpointer data)
{
  LoraConfigForm *form = data;

  g_clear_pointer (&form->alpha, g_ptr_array_unref);
  g_clear_pointer (&form->refused, g_array_unref);
}

static void
clear_encoder (gpointer data)
{
  LoraEncoder *e = data;

  g_clear_pointer (&e->starts, g_ptr_array_unref);
  g_clear_pointer (&e->models, g_ptr_array_unref);
}

LoraDialects *
qconv_lora_dialects_new (void)
{
  LoraDialects *d = g_new0 (LoraDialects, 1);

  d->texts = g_string_chunk_new (1024);
  d->suffixes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  d->prefixes = g_ptr_array_new ();
  d->flat_prefixes = g_ptr_array_new ();
  d->rewrites = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  d->metadata = g_array_new (FALSE, TRUE, sizeof (LoraMetadata));
  g_array_set_clear_func (d->metadata, clear_metadata);
  d->configs = g_array_new (FALSE, TRUE, sizeof (LoraConfigForm));
  g_array_set_clear_func (d->configs, clear_config);
  d->files = g_ptr_array_new ();
  d->encoders = g_array_new (FALSE, TRUE, sizeof (LoraEncoder));
  g_array_set_clear_func (d->encoders, clear_encoder);
  return d;
}

void
qconv_lora_dialects_free (LoraDialects *d)
{
  g_array_unref (d->encoders);
  g_ptr_array_unref (d->files);
  g_array_unref (d->configs);
  g_array_unref (d->metadata);
  g_ptr_array_unref (d->rewrites);
  g_ptr_array_unref (d->flat_prefixes);
  g_ptr_array_unref (d->prefixes);
  g_hash_table_unref (d->suffixes);
  g_string_chunk_free (d->texts);
  g_free (d);
}

static gboolean
add_file (LoraDialects *d, const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize n;

  text = qconv_small_file_read (path, QCONV_DATA_FILE_MOST, &n, error);
  return text != NULL && qconv_lora_dialects_add (d, path, text, n, error);
}

LoraDialects *
qconv_lora_dialects_load (GError **error)
{
  g_autoptr (LoraDialects) d = qconv_lora_dialects_new ();
  g_autoptr (GPtrArray) paths = qconv_data_files (FOLDER, error);

  if (paths == NULL)
    return NULL;
  for (guint i = 0; i < paths->len; i++)
    if (!add_file (d, g_ptr_array_index (paths, i), error))
      return NULL;
  if (paths->len == 0)
    {
      g_autofree char *folder = qconv_data_folder (FOLDER);

      qconv_fail (error, QCONV_ERROR_INPUT, "%s: no file of LoRA dialects (*.json)", folder);
      return NULL;
    }
  return g_steal_pointer (&d);
}

/* Finds the longest suffix of @key, as it is written in the table */
static const LoraSuffix *
find_suffix (const LoraDialects *d, const char *key)
{
  for (const char *end = key; *end != '\0' && end[1] != '\0'; end++)
    {
      const LoraSuffix *s = g_hash_table_lookup (d->suffixes, end + 1);

      if (s != NULL)
        return s;
    }
  return NULL;
}

/* Returns: (transfer full) (nullable): @key with "*" instead of the last but one of its names */
static char *
with_any_name (const char *key)
{
  const char *last = strrchr (key, '.'), *name = last;

  while (name != NULL && name > key && name[-1] != '.')
    name--;
  return name != NULL && name > key ? g_strdup_printf ("%.*s*%s", (int) (name - key), key, last) : NULL;
}

const LoraSuffix *
qconv_lora_dialects_suffix (const LoraDialects *d, const char *key, gsize *layer_length)
{
  const LoraSuffix *s = find_suffix (d, key);
  g_autofree char *any = with_any_name (key);
  const LoraSuffix *wide = any != NULL ? find_suffix (d, any) : NULL;

  if (wide != NULL && strchr (wide->text, '*') != NULL && (s == NULL || strlen (wide->text) > strlen (s->text)))
    {
      *layer_length = strlen (any) - strlen (wide->text);
      return wide;
    }
  *layer_length = strlen (key) - (s != NULL ? strlen (s->text) : 0);
  return s;
}

const char *
qconv_lora_dialects_strip (const GPtrArray *prefixes, const char *name)
{
  gsize longest = 0;

  for (guint i = 0; i < prefixes->len; i++)
    {
      const char *prefix = g_ptr_array_index (prefixes, i);
      gsize n = strlen (prefix);

      if (n > longest && strncmp (name, prefix, n) == 0)
        longest = n;
    }
  return longest > 0 ? name + longest : NULL;
}

static void
clear_alias (gpointer data)
{
  g_free (((LoraAlias *) data)->name);
}

static LoraAlias
rewrite (const GArray *rewrites, const char *layer)
{
  LoraAlias alias = { g_strdup (layer), 0 };

  for (guint i = 0; i < rewrites->len; i++)
    {
      const LoraRewrite *r = &g_array_index (rewrites, LoraRewrite, i);
      char *next = g_regex_replace (r->match, alias.name, -1, 0, r->replace, 0, NULL);

      if (next != NULL && r->rows_per_column > 0 && strcmp (next, alias.name) != 0)
        alias.rows_per_column = r->rows_per_column;
      if (next == NULL)
        continue;
      g_free (alias.name);
      alias.name = next;
    }
  return alias;
}

GArray *
qconv_lora_dialects_rewrite (const LoraDialects *d, const char *layer)
{
  GArray *aliases = g_array_new (FALSE, FALSE, sizeof (LoraAlias));

  g_array_set_clear_func (aliases, clear_alias);
  for (guint i = 0; i < d->rewrites->len && g_utf8_validate (layer, -1, NULL); i++)
    {
      LoraAlias alias = rewrite (g_ptr_array_index (d->rewrites, i), layer);

      if (strcmp (alias.name, layer) != 0)
        g_array_append_val (aliases, alias);
      else
        g_free (alias.name);
    }
  return aliases;
}
