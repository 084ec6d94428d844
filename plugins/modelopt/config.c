/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads hf_quant_config.json, or the same in config.json (modelopt: torch/export/convert_hf_config.py). Shapes are
   trusted over it; it says whose files these are, and the reader warns where it contradicts them. */
#include <string.h>

#include "modelopt.h"
#include "quant-config.h"

/* Globs beyond this number are left out: files are hostile. */
#define MOST_GLOBS 1000

/* @names, @globs: of layers that are not quantized */
struct _MoConfig {
  QuantConfig *file;
  GVariant *layers;
  GHashTable *names;
  GPtrArray *globs;
};

static void
read_excluded (MoConfig *c, const char *key)
{
  g_autoptr (GVariant) list = g_variant_lookup_value (c->file->object, key, G_VARIANT_TYPE ("av"));

  for (gsize i = 0; list != NULL && i < g_variant_n_children (list); i++)
    {
      g_autoptr (GVariant) boxed = g_variant_get_child_value (list, i), item = g_variant_get_variant (boxed);
      const char *text = g_variant_is_of_type (item, G_VARIANT_TYPE_STRING) ? g_variant_get_string (item, NULL) : "";

      if (strpbrk (text, "*?") == NULL)
        g_hash_table_add (c->names, g_strdup (text));
      else if (c->globs->len < MOST_GLOBS)
        g_ptr_array_add (c->globs, g_pattern_spec_new (text));
    }
}

MoConfig *
mo_config_read (const QconvDirectory *d, void (*warn) (gpointer data, const char *file, const char *why), gpointer data)
{
  MoConfig *c = g_new0 (MoConfig, 1);

  c->file = quant_config_read (d, warn, data);
  c->layers = quant_config_object (c->file->object, "quantized_layers");
  c->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  c->globs = g_ptr_array_new_with_free_func ((GDestroyNotify) g_pattern_spec_free);
  if (!mo_config_ours (c))
    return c;
  read_excluded (c, "exclude_modules");
  read_excluded (c, "ignore");
  return c;
}

void
mo_config_free (MoConfig *c)
{
  quant_config_free (c->file);
  g_clear_pointer (&c->layers, g_variant_unref);
  g_hash_table_unref (c->names);
  g_ptr_array_unref (c->globs);
  g_free (c);
}

gboolean
mo_config_ours (const MoConfig *c)
{
  const char *method = quant_config_string (c->file->object, "quant_method");

  if (method != NULL)
    return g_str_has_prefix (method, "modelopt");
  return g_strcmp0 (c->file->file, "hf_quant_config.json") == 0
         && quant_config_string (c->file->object, "quant_algo") != NULL;
}

const char *
mo_config_file (const MoConfig *c)
{
  return c->file->file;
}

char *
mo_config_algorithm (const MoConfig *c, const char *layer, gint64 *group)
{
  g_autoptr (GVariant) own = quant_config_object (c->layers, layer);
  GVariant *from = own != NULL ? own : c->file->object;
  const char *word = quant_config_string (from, "quant_algo");

  *group = 0;
  if (own == NULL && g_strcmp0 (word, "MIXED_PRECISION") == 0)
    return NULL;
  quant_config_int (from, "group_size", group);
  return g_strdup (word);
}

gboolean
mo_config_excludes (const MoConfig *c, const char *layer)
{
  if (g_hash_table_contains (c->names, layer))
    return TRUE;
  for (guint i = 0; i < c->globs->len; i++)
    if (g_pattern_spec_match_string (g_ptr_array_index (c->globs, i), layer))
      return TRUE;
  return FALSE;
}
