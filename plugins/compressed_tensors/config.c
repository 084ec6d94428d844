/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads config_groups and ignore (compressed_tensors: quantization/quant_config.py, utils/match.py). Shapes are trusted
   over them: they choose between forms that fit the same shapes, and the reader warns where they contradict. */
#include <string.h>

#include "ct.h"
#include "quant-config.h"

/* Patterns beyond this number are left out, and so is a match that takes more steps: files are hostile. */
#define MOST_PATTERNS 100
#define STEPS "(*LIMIT_MATCH=20000)"

/* Names and patterns of layers. @names: exact ones; @all: a class such as "Linear", which all layers here are of */
typedef struct {
  GHashTable *names;
  GPtrArray *patterns;
  gboolean all;
} Matcher;

typedef struct {
  CtGroup pub;
  Matcher targets;
} Group;

struct _CtConfig {
  QuantConfig *file;
  gboolean ours;
  GPtrArray *groups;
  Matcher ignore;
};

const char *
ct_kind_name (CtKind kind)
{
  static const char *const names[]
      = { "pack-quantized",       "int-quantized",        "float-quantized", "nvfp4-pack-quantized",
          "mxfp4-pack-quantized", "mxfp6-pack-quantized", "mxfp8-quantized" };

  return names[kind];
}

static void
clear_matcher (Matcher *m)
{
  g_clear_pointer (&m->names, g_hash_table_unref);
  g_clear_pointer (&m->patterns, g_ptr_array_unref);
}

static void
add_pattern (Matcher *m, const char *text)
{
  g_autofree char *limited = g_strconcat (STEPS, text, NULL);
  GRegex *regex = m->patterns->len < MOST_PATTERNS ? g_regex_new (limited, G_REGEX_ANCHORED, 0, NULL) : NULL;

  if (regex != NULL)
    g_ptr_array_add (m->patterns, regex);
}

/* Fills the matcher from @list (nullable), "av" of texts: names of modules, "re:" and a pattern, or a class. */
static void
read_matcher (Matcher *m, GVariant *list)
{
  gsize n = list != NULL ? g_variant_n_children (list) : 0;

  m->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  m->patterns = g_ptr_array_new_with_free_func ((GDestroyNotify) g_regex_unref);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) boxed = g_variant_get_child_value (list, i), item = g_variant_get_variant (boxed);
      const char *text = g_variant_is_of_type (item, G_VARIANT_TYPE_STRING) ? g_variant_get_string (item, NULL) : "";

      if (g_str_has_prefix (text, "re:"))
        add_pattern (m, text + strlen ("re:"));
      else if (g_str_equal (text, "Linear"))
        m->all = TRUE;
      else
        g_hash_table_add (m->names, g_strdup (text));
    }
}

static gboolean
matches (const Matcher *m, const char *layer)
{
  if (m->all || g_hash_table_contains (m->names, layer))
    return TRUE;
  for (guint i = 0; i < m->patterns->len; i++)
    if (g_regex_match (g_ptr_array_index (m->patterns, i), layer, 0, NULL))
      return TRUE;
  return FALSE;
}

static void
free_group (gpointer data)
{
  Group *g = data;

  g_free (g->pub.format);
  clear_matcher (&g->targets);
  g_free (g);
}

static void
read_block (GVariant *weights, guint64 *block)
{
  g_autoptr (GVariant) sides = g_variant_lookup_value (weights, "block_structure", G_VARIANT_TYPE ("av"));

  for (gsize i = 0; sides != NULL && g_variant_n_children (sides) == 2 && i < 2; i++)
    {
      g_autoptr (GVariant) boxed = g_variant_get_child_value (sides, i), side = g_variant_get_variant (boxed);

      if (g_variant_is_of_type (side, G_VARIANT_TYPE_INT64))
        block[i] = (guint64) MAX (g_variant_get_int64 (side), 0);
    }
}

/* @format: (nullable): of the whole file */
static Group *
read_group (GVariant *object, const char *format)
{
  g_autoptr (GVariant) targets = g_variant_lookup_value (object, "targets", G_VARIANT_TYPE ("av"));
  g_autoptr (GVariant) weights = quant_config_object (object, "weights");
  const char *own = quant_config_string (object, "format");
  Group *g = g_new0 (Group, 1);

  g->pub.format = g_strdup (own != NULL ? own : format);
  read_matcher (&g->targets, targets);
  if (weights == NULL)
    return g;
  quant_config_int (weights, "num_bits", &g->pub.bits);
  quant_config_int (weights, "group_size", &g->pub.group);
  read_block (weights, g->pub.block);
  return g;
}

CtConfig *
ct_config_read (const QconvDirectory *d, void (*warn) (gpointer data, const char *file, const char *why), gpointer data)
{
  CtConfig *c = g_new0 (CtConfig, 1);
  g_autoptr (GVariant) groups = NULL, ignore = NULL;
  const char *key;
  GVariant *value;
  GVariantIter i;

  c->file = quant_config_read (d, warn, data);
  c->ours = g_strcmp0 (quant_config_string (c->file->object, "quant_method"), "compressed-tensors") == 0;
  c->groups = g_ptr_array_new_with_free_func (free_group);
  groups = c->ours ? quant_config_object (c->file->object, "config_groups") : NULL;
  ignore = c->ours ? g_variant_lookup_value (c->file->object, "ignore", G_VARIANT_TYPE ("av")) : NULL;
  read_matcher (&c->ignore, ignore);
  if (groups == NULL)
    return c;
  g_variant_iter_init (&i, groups);
  while (c->groups->len < MOST_PATTERNS && g_variant_iter_next (&i, "{&sv}", &key, &value))
    {
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
        g_ptr_array_add (c->groups, read_group (value, quant_config_string (c->file->object, "format")));
      g_variant_unref (value);
    }
  return c;
}

void
ct_config_free (CtConfig *c)
{
  quant_config_free (c->file);
  g_ptr_array_unref (c->groups);
  clear_matcher (&c->ignore);
  g_free (c);
}

gboolean
ct_config_ours (const CtConfig *c)
{
  return c->ours;
}

const char *
ct_config_file (const CtConfig *c)
{
  return c->file->file;
}

const CtGroup *
ct_config_group (const CtConfig *c, const char *layer)
{
  const CtGroup *any = NULL;

  for (guint i = 0; i < c->groups->len; i++)
    {
      const Group *g = g_ptr_array_index (c->groups, i);

      if (g->targets.all)
        any = any != NULL ? any : &g->pub;
      else if (matches (&g->targets, layer))
        return &g->pub;
    }
  return any;
}

gboolean
ct_config_ignores (const CtConfig *c, const char *layer)
{
  return matches (&c->ignore, layer);
}
