/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the JSON beside the weights says (GPTQModel: quantization/config.py QuantizeConfig). Shapes are to be trusted
   more. */
#include <string.h>

#include "gptq.h"
#include "trouble.h"

/* The first GPTQModel that writes asymmetric version 1 (quantization/config.py, loader) */
#define PACKING_MAJOR 0
#define PACKING_MINOR 9

/* A row of "dynamic": what it says of layers whose name starts with a match. @regex: (nullable): NULL after it failed;
   @excluded: such layers are not quantized */
typedef struct {
  GRegex *regex;
  gboolean excluded;
  GptqSaid said;
} GptqOverride;

static void
free_override (gpointer data)
{
  GptqOverride *o = data;

  g_clear_pointer (&o->regex, g_regex_unref);
  g_free (o);
}

/* Replaces members of @said by those of @object (nullable). */
static void
read_said (GVariant *object, GptqSaid *said)
{
  gboolean flag = FALSE;

  if (!quant_config_int (object, "bits", &said->bits) && !quant_config_int (object, "w_bit", &said->bits))
    quant_config_int (object, "wbits", &said->bits);
  if (!quant_config_int (object, "group_size", &said->group))
    quant_config_int (object, "q_group_size", &said->group);
  if (quant_config_bool (object, "sym", &flag))
    said->sym = flag;
  else if (quant_config_bool (object, "zero_point", &flag))
    said->sym = !flag;
}

/* Returns whether @text names a GPTQModel whose asymmetric version 1 is packed arithmetic. */
static gboolean
names_packer (const char *text)
{
  guint64 major, minor;
  char *end;

  if (g_ascii_strncasecmp (text, "gptqmodel:", strlen ("gptqmodel:")) != 0)
    return FALSE;
  major = g_ascii_strtoull (text + strlen ("gptqmodel:"), &end, 10);
  minor = *end == '.' ? g_ascii_strtoull (end + 1, NULL, 10) : 0;
  return major > PACKING_MAJOR || minor >= PACKING_MINOR;
}

/* Returns whether one of the programs in "meta" is such a GPTQModel. */
static gboolean
is_packer (GVariant *config)
{
  g_autoptr (GVariant) meta = quant_config_object (config, "meta");
  g_autoptr (GVariant) list = meta != NULL ? g_variant_lookup_value (meta, "quantizer", G_VARIANT_TYPE ("av")) : NULL;
  const char *one = quant_config_string (meta, "quantizer");

  for (gsize i = 0; list != NULL && i < g_variant_n_children (list); i++)
    {
      g_autoptr (GVariant) boxed = g_variant_get_child_value (list, i), text = g_variant_get_variant (boxed);

      if (g_variant_is_of_type (text, G_VARIANT_TYPE_STRING) && names_packer (g_variant_get_string (text, NULL)))
        return TRUE;
    }
  return one != NULL && names_packer (one);
}

/* Adds the row @pattern of "dynamic". A pattern with "-:" is of layers that are not quantized. */
static void
add_override (GptqConfig *c, const char *pattern, GVariant *value, GPtrArray *troubles)
{
  g_autoptr (GError) error = NULL;
  gboolean marked = g_str_has_prefix (pattern, "-:") || g_str_has_prefix (pattern, "+:");
  GRegex *regex = g_regex_new (pattern + (marked ? 2 : 0), G_REGEX_ANCHORED, 0, &error);
  GptqOverride *o;

  if (regex == NULL)
    {
      qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, pattern, "dynamic",
                         "%s: this pattern of \"dynamic\" is no regular expression and is ignored", c->json->file);
      return;
    }
  o = g_new0 (GptqOverride, 1);
  o->regex = regex;
  o->excluded = pattern[0] == '-' && marked;
  o->said.sym = -1;
  read_said (g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT) ? value : NULL, &o->said);
  g_ptr_array_add (c->overrides, o);
}

static void
read_overrides (GptqConfig *c, GPtrArray *troubles)
{
  g_autoptr (GVariant) dynamic = quant_config_object (c->json->object, "dynamic");
  GVariantIter iter;
  const char *pattern;
  GVariant *value;

  if (dynamic == NULL)
    return;
  g_variant_iter_init (&iter, dynamic);
  while (g_variant_iter_next (&iter, "{&sv}", &pattern, &value))
    {
      add_override (c, pattern, value, troubles);
      g_variant_unref (value);
    }
}

static void
warn_of_file (gpointer data, const char *file, const char *why)
{
  qconv_trouble_add (data, QCONV_TROUBLE_WARN, file, "config", "a file beside the weights is ignored: %s", why);
}

GptqConfig *
gptq_config_read (const QconvDirectory *d, GPtrArray *troubles)
{
  GptqConfig *c = g_new0 (GptqConfig, 1);
  const char *format;
  GVariant *object;

  c->json = quant_config_read (d, warn_of_file, troubles);
  c->overrides = g_ptr_array_new_with_free_func (free_override);
  object = c->json->object;
  format = qweight_format (object);
  c->planar = g_ascii_strcasecmp (format, "gptq_p") == 0;
  c->v2 = c->planar || g_ascii_strcasecmp (format, "gptq_v2") == 0;
  c->packed_zeros = is_packer (object);
  read_overrides (c, troubles);
  qweight_refuse_tiling (c->json, troubles);
  if (object != NULL)
    {
      g_autoptr (GVariant) rotation = g_variant_lookup_value (object, "rotation", G_VARIANT_TYPE_STRING);

      if (rotation != NULL)
        qconv_trouble_add (troubles, QCONV_TROUBLE_WARN, NULL, "rotation",
                           "%s says that the weights were rotated (%.40s): the result is the rotated model",
                           c->json->file, g_variant_get_string (rotation, NULL));
    }
  return c;
}

void
gptq_config_free (GptqConfig *c)
{
  g_clear_pointer (&c->json, quant_config_free);
  g_ptr_array_unref (c->overrides);
  g_free (c);
}

GptqSaid
gptq_config_layer (const GptqConfig *c, const char *name)
{
  GptqSaid said = { .sym = -1 };

  read_said (c->json->object, &said);
  for (guint i = 0; i < c->overrides->len; i++)
    {
      GptqOverride *o = g_ptr_array_index (c->overrides, i);
      g_autoptr (GError) error = NULL;
      gboolean matches = o->regex != NULL && g_regex_match_full (o->regex, name, -1, 0, 0, NULL, &error);

      if (error != NULL) /* it takes too long; do not try it for every layer */
        g_clear_pointer (&o->regex, g_regex_unref);
      if (!matches)
        continue;
      if (o->excluded)
        return (GptqSaid) { .sym = -1 };
      said.bits = o->said.bits != 0 ? o->said.bits : said.bits;
      said.group = o->said.group != 0 ? o->said.group : said.group;
      said.sym = o->said.sym >= 0 ? o->said.sym : said.sym;
      break;
    }
  return said;
}
