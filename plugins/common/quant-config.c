/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the JSON files; quant-config.h says which. */
#include "quant-config.h"

#include "qconv-json.h"

/* Largest file that is read: that of a mixture of experts lists thousands of modules. */
#define LARGEST ((guint64) 1 << 24)

/* Returns: (transfer full) (nullable): the JSON object in the file called @name beside @d; NULL without @error if
   there is no such file. */
static GVariant *
read_object (const QconvDirectory *d, const char *name, GError **error)
{
  QconvSource *input = qconv_directory_source (d);
  QconvSource *s = input != NULL ? qconv_source_sibling (input, name, NULL) : NULL;
  gsize n = s != NULL ? (gsize) MIN (qconv_source_size (s), LARGEST) : 0;
  g_autofree char *text = g_malloc (n + 1);
  g_autoptr (GVariant) root = NULL;

  if (s == NULL)
    return NULL;
  if (qconv_source_size (s) > LARGEST)
    {
      qconv_fail (error, QCONV_ERROR_LIMIT, "it has more than 16 MiB");
      return NULL;
    }
  if (!qconv_source_read (s, 0, n, text, error))
    return NULL;
  root = qconv_json_parse (text, n, error);
  if (root == NULL)
    return NULL;
  if (!g_variant_is_of_type (root, G_VARIANT_TYPE_VARDICT))
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "it is not a JSON object");
      return NULL;
    }
  return g_steal_pointer (&root);
}

QuantConfig *
quant_config_read (const QconvDirectory *d, void (*warn) (gpointer data, const char *file, const char *why),
                   gpointer data)
{
  static const struct {
    const char *file, *member;
  } places[] = {
    { "quantize_config.json", NULL },
    { "quant_config.json", NULL },
    { "config.json", "quantization_config" },
    { "hf_quant_config.json", "quantization" },
  };
  QuantConfig *c = g_new0 (QuantConfig, 1);

  for (guint i = 0; i < G_N_ELEMENTS (places) && c->object == NULL; i++)
    {
      g_autoptr (GError) why = NULL;
      g_autoptr (GVariant) root = read_object (d, places[i].file, &why);

      if (why != NULL && warn != NULL)
        warn (data, places[i].file, why->message);
      c->file = places[i].file;
      c->object = places[i].member != NULL ? quant_config_object (root, places[i].member) : g_steal_pointer (&root);
    }
  return c;
}

void
quant_config_free (QuantConfig *c)
{
  g_clear_pointer (&c->object, g_variant_unref);
  g_free (c);
}

/* Returns: (transfer full) (nullable): the member of the type. */
static GVariant *
look_up (GVariant *object, const char *key, const GVariantType *type)
{
  return object != NULL ? g_variant_lookup_value (object, key, type) : NULL;
}

gboolean
quant_config_int (GVariant *object, const char *key, gint64 *value)
{
  g_autoptr (GVariant) v = look_up (object, key, G_VARIANT_TYPE_INT64);

  if (v != NULL)
    *value = g_variant_get_int64 (v);
  return v != NULL;
}

gboolean
quant_config_bool (GVariant *object, const char *key, gboolean *value)
{
  g_autoptr (GVariant) v = look_up (object, key, G_VARIANT_TYPE_BOOLEAN);

  if (v != NULL)
    *value = g_variant_get_boolean (v);
  return v != NULL;
}

const char *
quant_config_string (GVariant *object, const char *key)
{
  const char *value = NULL;

  return object != NULL && g_variant_lookup (object, key, "&s", &value) ? value : NULL;
}

GVariant *
quant_config_object (GVariant *object, const char *key)
{
  return look_up (object, key, G_VARIANT_TYPE_VARDICT);
}
