/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program make-model: writes a synthetic model for tests, benchmarks and the demo. It has the tensors of a family's
   variant or equal layers; the data depend only on seed, name and index. */
#include <gio/gio.h>
#include <locale.h>

#include "model-file.h"

static char *family, *variant, *naming, *architecture, *format, *type, *prefix;
static char **sets;
static gint64 seed = 1, shard_size = 1 << 30, rows = 4096, cols = 4096;
static int layers;
static gboolean sparse;

static const GOptionEntry entries[] = {
  { "family", 0, 0, G_OPTION_ARG_FILENAME, &family, "a family file, or the id of a family in $QCONV_DATA_PATH/families",
    "FILE" },
  { "variant", 0, 0, G_OPTION_ARG_STRING, &variant, "variant of the family", "NAME" },
  { "naming", 0, 0, G_OPTION_ARG_STRING, &naming, "original (default), or another naming that the family maps",
    "NAME" },
  { "arch", 0, 0, G_OPTION_ARG_STRING, &architecture, "general.architecture, if not the family's first", "NAME" },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &sets, "another value of a dimension", "DIM=N" },
  { "layers", 0, 0, G_OPTION_ARG_INT, &layers, "make N equal layers instead of a family", "N" },
  { "rows", 0, 0, G_OPTION_ARG_INT64, &rows, "rows of each equal layer", "N" },
  { "cols", 0, 0, G_OPTION_ARG_INT64, &cols, "columns of each equal layer", "K" },
  { "format", 0, 0, G_OPTION_ARG_STRING, &format, "safetensors (default), shards, gguf, list", "NAME" },
  { "type", 0, 0, G_OPTION_ARG_STRING, &type, "of linear weights: bf16 (default), f16, f32, q8_0 …", "TYPE" },
  { "prefix", 0, 0, G_OPTION_ARG_STRING, &prefix, "in front of all names", "TEXT" },
  { "sparse", 0, 0, G_OPTION_ARG_NONE, &sparse, "write a hole instead of data", NULL },
  { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "another seed gives other data", "N" },
  { "shard-size", 0, 0, G_OPTION_ARG_INT64, &shard_size, "data bytes of one shard", "BYTES" },
  G_OPTION_ENTRY_NULL,
};

/* Returns: (transfer full) (element-type ModelTensor). @facts: (out) */
static GPtrArray *
list_tensors (ModelFacts *facts, GError **error)
{
  const char *data = g_getenv ("QCONV_DATA_PATH");
  g_autofree char *file = NULL, *path = NULL;
  ModelFamily from = { .variant = variant,
                       .naming = naming,
                       .architecture = architecture,
                       .prefix = prefix != NULL ? prefix : "",
                       .sets = (const char *const *) sets };

  if (layers > 0 && rows > 0 && cols > 0 && (guint64) rows <= G_MAXINT64 / 4 / (guint64) cols)
    {
      facts->architecture = g_strdup ("unknown");
      return model_plain_layers ((guint) layers, (guint64) rows, (guint64) cols, from.prefix);
    }
  if (family == NULL || variant == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "no model: give --family and --variant, or --layers");
      return NULL;
    }
  file = g_strconcat (family, ".json", NULL);
  path = g_str_has_suffix (family, ".json") ? g_strdup (family)
                                            : g_build_filename (data != NULL ? data : "data", "families", file, NULL);
  from.path = path;
  return model_expand_family (&from, facts, error);
}

static gboolean
make (const char *path, GError **error)
{
  g_auto (ModelFacts) facts = { 0 };
  g_autoptr (GPtrArray) tensors = list_tensors (&facts, error);
  Model m = { tensors, model_type_find (type != NULL ? type : "bf16"), &facts, (guint64) seed, (guint64) shard_size,
              sparse };
  gboolean gguf = g_strcmp0 (format, "gguf") == 0;

  if (tensors == NULL)
    return FALSE;
  if (m.type == NULL || (!gguf && m.type->safetensors == NULL))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--type %s: this format has no such type",
                   type != NULL ? type : "bf16");
      return FALSE;
    }
  if (gguf)
    return model_write_gguf (&m, path, error);
  if (g_strcmp0 (format, "shards") == 0)
    return model_write_shards (&m, path, error);
  if (g_strcmp0 (format, "list") == 0)
    return model_write_list (&m, path, error);
  if (format == NULL || g_str_equal (format, "safetensors"))
    return model_write_safetensors (&m, path, error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--format %s: no such format", format);
  return FALSE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("OUTPUT");
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  if (g_option_context_parse (context, &argc, &argv, &error) && argc == 2 && make (argv[1], &error))
    return 0;
  g_printerr ("make-model: %s\n", error != NULL ? error->message : "give one OUTPUT");
  return 1;
}
