/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the metadata that loaders read (nunchaku: nunchaku/utils.py, nunchaku/merge_safetensors.py; ComfyUI-nunchaku:
   nodes/models/flux.py). writer.c calls it.

   The config of the model is the user's file, else that in the metadata of the input, else the config.json beside it,
   else that of the published model in the cache of the Hugging Face hub, if they suit the model. Else it is made
   from the dimensions of the model. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "hub.h"

/* Larger files are no config */
#define LARGEST_CONFIG ((guint64) 1 << 20)

static gint64
dim (const QconvOutput *o, const char *name)
{
  const char *text = qconv_output_fact (o, name);

  return text != NULL ? g_ascii_strtoll (text, NULL, 10) : 0;
}

/* Returns the number that follows from the model. */
static gint64
number_of (const QconvOutput *o, const NunchakuConfigMember *m)
{
  return dim (o, m->dim) / MAX (m->per != NULL ? dim (o, m->per) : 1, 1) / MAX (m->by, 1);
}

/* Returns: (transfer full): the value of the member as JSON. */
static char *
make_value (const QconvOutput *o, const NunchakuConfigMember *m)
{
  gint64 n = m->dim != NULL ? number_of (o, m) : 0;
  GString *json;

  if (m->text != NULL)
    return g_strdup (m->text);
  if (m->logical)
    return g_strdup (n != 0 ? "true" : "false");
  if (m->times[0] == 0)
    return g_strdup_printf ("%" G_GINT64_FORMAT, n);
  json = g_string_new (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (m->times); i++)
    g_string_append_printf (json, "%s%" G_GINT64_FORMAT, i == 0 ? "[" : ", ", n * m->times[i]);
  g_string_append_c (json, ']');
  return g_string_free (json, FALSE);
}

static char *
make_object (const QconvOutput *o, const NunchakuConfigMember *members)
{
  GString *json = g_string_new ("{");

  for (const NunchakuConfigMember *m = members; m->key != NULL; m++)
    {
      g_autofree char *value = make_value (o, m);

      g_string_append_printf (json, "%s\"%s\": %s", m == members ? "" : ", ", m->key, value);
    }
  g_string_append_c (json, '}');
  return g_string_free (json, FALSE);
}

/* ---- Config files ---- */

/* Returns whether member @m of the config @json is what the model has. Null and a missing "out_channels" mean the same
   as "in_channels" to loaders, which no model with another number of them may leave out. */
static gboolean
agrees (const QconvOutput *o, const NunchakuConfigMember *m, GVariant *json)
{
  g_autofree char *text = make_value (o, m);
  g_autoptr (GVariant) want = qconv_json_parse (text, strlen (text), NULL);
  g_autoptr (GVariant) value = g_variant_lookup_value (json, m->key, NULL);

  if (m->dim == NULL)
    return TRUE;
  if (g_str_equal (m->key, "out_channels") && (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_INT64)))
    {
      g_clear_pointer (&value, g_variant_unref);
      value = g_variant_lookup_value (json, "in_channels", NULL);
    }
  return value != NULL && g_variant_equal (value, want);
}

/* Fails unless @text is a config of the class and of this model. */
static gboolean
check_config (const QconvOutput *o, const NunchakuClass *c, const char *text, gsize n, GError **error)
{
  g_autoptr (GVariant) json = n <= LARGEST_CONFIG ? qconv_json_parse (text, n, NULL) : NULL;
  const char *name = NULL;

  if (json == NULL || !g_variant_is_of_type (json, G_VARIANT_TYPE_VARDICT)
      || !g_variant_lookup (json, "_class_name", "&s", &name) || !g_str_equal (name, c->config_class))
    return qconv_fail (error, QCONV_ERROR_INPUT, "this is no config with the \"_class_name\" %s", c->config_class);
  for (const NunchakuConfigMember *m = c->config; m->key != NULL; m++)
    {
      g_autofree char *value = make_value (o, m);

      if (!agrees (o, m, json))
        return qconv_fail (error, QCONV_ERROR_INPUT, "the model has \"%s\": %s, the config does not", m->key, value);
    }
  return TRUE;
}

/* Returns: (transfer full) (nullable): @text, the config at @where, if it suits the model, else NULL with a warning.
   @text: (transfer full) (nullable): NULL: there is none. */
static char *
take_config (QconvOutput *o, const NunchakuClass *c, char *text, gsize n, const char *where)
{
  g_autofree char *owned = text;
  g_autoptr (GError) reason = NULL;

  if (text == NULL || check_config (o, c, text, n, &reason))
    return g_steal_pointer (&owned);
  qconv_output_warn (o, "%s is not used: %s", where, reason->message);
  return NULL;
}

/* Returns: (transfer full) (nullable): the text under @key of the input's metadata. */
static char *
read_metadata (const QconvOutput *o, const char *key)
{
  GVariant *value = qconv_directory_metadata (qconv_output_input (o), key);

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (value, NULL)
                                                                              : NULL;
}

/* Returns: (transfer full) (nullable): the config in the input's metadata, if it suits the model. */
static char *
read_stated (QconvOutput *o, const NunchakuClass *c)
{
  char *text = read_metadata (o, "config");

  return take_config (o, c, text, text != NULL ? strlen (text) : 0, "the config in the metadata of the input");
}

/* Returns: (transfer full) (nullable): what ComfyUI's loader reads, if the input's metadata have it and it suits the
   model (ComfyUI-nunchaku: nodes/models/flux.py). */
static char *
read_stated_comfy (const QconvOutput *o, const NunchakuClass *c)
{
  g_autofree char *text = read_metadata (o, "comfy_config");
  g_autoptr (GVariant) json = text != NULL ? qconv_json_parse (text, strlen (text), NULL) : NULL;
  g_autoptr (GVariant) model = NULL;
  const char *name = NULL;

  if (json == NULL || !g_variant_is_of_type (json, G_VARIANT_TYPE_VARDICT))
    return NULL;
  model = g_variant_lookup_value (json, "model_config", G_VARIANT_TYPE_VARDICT);
  if (model == NULL || !g_variant_lookup (json, "model_class", "&s", &name)
      || (!g_str_equal (name, "Flux") && !g_str_equal (name, "FluxSchnell")))
    return NULL;
  for (const NunchakuConfigMember *m = c->comfy; m->key != NULL; m++)
    if (!agrees (o, m, model))
      return NULL;
  return g_steal_pointer (&text);
}

/* Returns: (transfer full) (nullable): the text of the config.json beside the input, if it suits the model. */
static char *
read_sibling (QconvOutput *o, const NunchakuClass *c)
{
  QconvSource *input = qconv_directory_source (qconv_output_input (o));
  QconvSource *s = input != NULL ? qconv_source_sibling (input, "config.json", NULL) : NULL;
  guint64 n = s != NULL ? qconv_source_size (s) : 0;
  g_autofree char *text = n > 0 && n <= LARGEST_CONFIG ? g_malloc0 ((gsize) n + 1) : NULL;

  if (text == NULL || !qconv_source_read (s, 0, (gsize) n, text, NULL))
    return NULL;
  return take_config (o, c, g_steal_pointer (&text), (gsize) n, "config.json beside the input");
}

/* Returns: (transfer full): the text of the file at @path. */
static char *
read_file (const QconvOutput *o, const NunchakuClass *c, const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize n = 0;

  if (nunchaku_read_small (path, LARGEST_CONFIG, &text, &n, error) && check_config (o, c, text, n, error))
    return g_steal_pointer (&text);
  g_prefix_error (error, "%s: ", path);
  return NULL;
}

/* Returns: (transfer full) (nullable): the config of a published model of the variant that the user has. */
static char *
read_cached (QconvOutput *o, const NunchakuClass *c)
{
  const char *variant = qconv_output_fact (o, "variant");

  for (const NunchakuRepo *r = c->repos; r->repo != NULL; r++)
    {
      g_autofree char *path = g_strcmp0 (variant, r->variant) == 0 ? nunchaku_hub_config (r->repo, c->part) : NULL;
      char *text = NULL;
      gsize n = 0;

      if (path == NULL || !nunchaku_read_small (path, LARGEST_CONFIG, &text, &n, NULL))
        continue;
      text = take_config (o, c, text, n, path);
      if (text != NULL)
        return text;
    }
  return NULL;
}

static char *
find_config (QconvOutput *o, const NunchakuClass *c, GError **error)
{
  const char *given = qconv_values_string (qconv_output_options (o), "config");
  char *found;

  if (given != NULL && *given != '\0')
    return read_file (o, c, given, error);
  found = read_stated (o, c);
  if (found == NULL)
    found = read_sibling (o, c);
  if (found == NULL)
    found = read_cached (o, c);
  return found != NULL ? found : make_object (o, c->config);
}

/* ---- Metadata ---- */

/* Returns: (transfer full): the "quantization_config" (nunchaku: nunchaku/merge_safetensors.py). */
static char *
quantization_text (const NunchakuQuantization *q, const NunchakuClass *c)
{
  GString *json = g_string_new ("{\"method\": \"svdquant\", ");

  if (q->fp4)
    g_string_append (json, "\"weight\": {\"dtype\": \"fp4_e2m1_all\", \"scale_dtype\": [null, \"fp8_e4m3_nan\"], "
                           "\"group_size\": 16}, \"activation\": {\"dtype\": \"fp4_e2m1_all\", "
                           "\"scale_dtype\": \"fp8_e4m3_nan\", \"group_size\": 16}, ");
  else
    g_string_append (json, "\"weight\": {\"dtype\": \"int4\", \"scale_dtype\": null, \"group_size\": 64}, "
                           "\"activation\": {\"dtype\": \"int4\", \"scale_dtype\": null, \"group_size\": 64}, ");
  if (c->skip_refiners != NULL)
    g_string_append_printf (json, "\"skip_refiners\": %s, ", c->skip_refiners);
  g_string_append_printf (json, "\"rank\": %" G_GINT64_FORMAT "}", q->rank);
  return g_string_free (json, FALSE);
}

/* ---- The folder ---- */

gboolean
nunchaku_is_folder (const QconvOutput *o)
{
  return qconv_values_boolean (qconv_output_options (o), "folder") && !g_str_equal (qconv_output_target (o), "edit");
}

/* Names the files of the folder that older versions load (nunchaku: nunchaku/models/transformers/utils.py
   _build_model_legacy, nunchaku/merge_safetensors.py). @comfy: (nullable): NULL: the class is not FLUX.1, whose folders
   alone are loaded */
static gboolean
name_files (QconvOutput *o, const NunchakuClass *c, const char *config, const char *comfy, GError **error)
{
  const struct {
    const char *name, *text;
  } files[] = { { "transformer_blocks.safetensors", NULL },
                { "unquantized_layers.safetensors", NULL },
                { "config.json", config },
                { "comfy_config.json", comfy } };

  if (comfy == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "nunchaku loads no folder with its class %s: leave out -o folder",
                       c->name);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autoptr (GBytes) bytes = files[i].text != NULL ? g_bytes_new (files[i].text, strlen (files[i].text)) : NULL;

      qconv_output_add_file (o, files[i].name, bytes);
    }
  return TRUE;
}

/* ---- All of it ---- */

/* Returns: (transfer full) (nullable): the "comfy_config"; NULL: ComfyUI's loader reads none for the class. */
static char *
comfy_text (const QconvOutput *o, const NunchakuClass *c)
{
  char *stated = c->comfy != NULL ? read_stated_comfy (o, c) : NULL;
  g_autofree char *model = c->comfy != NULL ? make_object (o, c->comfy) : NULL;

  if (c->comfy == NULL || stated != NULL)
    return stated;
  return g_strdup_printf ("{\"model_class\": \"%s\", \"model_config\": %s}",
                          dim (o, "guidance") != 0 ? "Flux" : "FluxSchnell", model);
}

gboolean
nunchaku_set_metadata (QconvOutput *o, const NunchakuClass *c, const NunchakuQuantization *q, GError **error)
{
  g_autofree char *config = find_config (o, c, error);
  g_autofree char *quantization = quantization_text (q, c), *comfy = comfy_text (o, c);

  if (config == NULL)
    return FALSE;
  qconv_output_set_metadata (o, "config", config);
  qconv_output_set_metadata (o, "quantization_config", quantization);
  qconv_output_set_metadata (o, "model_class", c->name);
  if (comfy != NULL)
    qconv_output_set_metadata (o, "comfy_config", comfy);
  return !nunchaku_is_folder (o) || name_files (o, c, config, comfy, error);
}
