/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader and the writer of the carrier: every component is a tensor "LAYER.COMPONENT" of bytes, and the metadata
   "plugincheck.LAYER" say its scheme. rows.c offers them to the registry. */
#include "plugin-check/carrier.h"

#include <string.h>

#define KEY CARRIER "."

/* ---- Tensors and components ---- */

guint64
check_bytes_of_step (const QconvComponent *c)
{
  QconvShape step = c->shape;
  guint64 n = 0;

  if (step.rank > 0)
    step.dim[0] = 1;
  qconv_shape_bytes (&step, c->dtype, &n);
  return n;
}

static gboolean
pack (const QconvPack *p, GError **error)
{
  memcpy (p->dst, p->src, p->n_dst);
  return TRUE;
}

static gboolean
load (const QconvLoad *l, GError **error)
{
  guint64 step = check_bytes_of_step (l->component);

  return qconv_tensor_read (l->tensors[0], l->first * step, l->n * step, l->dst, error);
}

/* ---- Writer ---- */

static char *
option_text (const QconvOption *o, const QconvValues *values)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  switch (o->type)
    {
    case QCONV_BOOLEAN:
      return g_strdup (qconv_values_boolean (values, o->name) ? "on" : "off");
    case QCONV_INT:
      return g_strdup_printf ("%" G_GINT64_FORMAT, qconv_values_int (values, o->name));
    case QCONV_DOUBLE:
      return g_strdup (g_ascii_dtostr (number, sizeof number, qconv_values_double (values, o->name)));
    case QCONV_CHOICE:
    case QCONV_STRING:
    case QCONV_FILE:
      break;
    }
  return g_strdup (qconv_values_string (values, o->name));
}

/* Returns: (transfer full): "key=value,…" of the options that change the meaning of components */
static char *
parameters_of (const QconvLayer *l)
{
  GString *text = g_string_new (NULL);

  for (const QconvOption *o = qconv_registry_quantizer (l->scheme)->options; o != NULL && o->name != NULL; o++)
    {
      g_autofree char *value = (o->flags & QCONV_OPTION_PARAMETER) != 0 ? option_text (o, l->values) : NULL;

      if (value != NULL)
        g_string_append_printf (text, "%s%s=%s", text->len > 0 ? "," : "", o->name, value);
    }
  return g_string_free (text, FALSE);
}

static gboolean
add_component (QconvOutput *o, const QconvLayer *l, const QconvComponent *c, GError **error)
{
  g_autofree char *suffix = g_strconcat (".", c->name, NULL);
  QconvPlanned planned = { .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (0), .from = c->name, .pack = pack, .load = load };

  if (!qconv_shape_bytes (&c->shape, c->dtype, &planned.shape.dim[0]))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "component %s is too large", c->name);
  planned.run = c->run.rows > 0 ? (QconvRun) { c->run.rows, c->run.n * check_bytes_of_step (c) } : QCONV_WHOLE;
  return qconv_output_add (o, l, suffix, &planned, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  g_autofree char *key = g_strconcat (KEY, l->name, NULL), *parameters = parameters_of (l), *value = NULL;
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; i < l->n_components; i++)
    {
      g_string_append_printf (names, "%s%s", i > 0 ? "," : "", l->components[i]->name);
      if (!add_component (o, l, l->components[i], error))
        return FALSE;
    }
  value = g_strdup_printf ("%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s %s %s", l->scheme, l->rows, l->cols,
                           qconv_dtype_name (l->dtype), names->str, parameters);
  qconv_output_set_metadata (o, key, value);
  return TRUE;
}

/* ---- Reader ---- */

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return strcmp (qconv_directory_container (d), CARRIER) == 0 ? 100 : 0;
}

/* Claims the layer that the metadata @key describe */
static gboolean
claim_layer (const QconvDirectory *d, const char *key, QconvClaims *claims, GError **error)
{
  const char *name = key + strlen (KEY);
  g_auto (GStrv) words = g_strsplit (g_variant_get_string (qconv_directory_metadata (d, key), NULL), " ", 6);
  g_auto (GStrv) components = NULL;
  QconvDType dtype = QCONV_BF16;
  QconvClaim *l;

  if (g_strv_length (words) != 6 || !qconv_dtype_from_name (words[3], &dtype))
    return qconv_fail (error, QCONV_ERROR_INPUT, "metadata \"%s\" describe no layer", key);
  components = g_strsplit (words[4], ",", -1);
  l = qconv_claims_layer (claims, name, words[0], words[5], g_ascii_strtoull (words[1], NULL, 10),
                          g_ascii_strtoull (words[2], NULL, 10), dtype);
  for (guint i = 0; components[i] != NULL; i++)
    {
      g_autofree char *suffix = g_strconcat (".", components[i], NULL);
      const QconvTensor *t = qconv_directory_find2 (d, name, suffix);

      if (t == NULL)
        return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\" has no tensor %s", name, suffix);
      qconv_claim_bind (l, components[i], load, t, NULL);
    }
  qconv_claims_drop_metadata (claims, key);
  return TRUE;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (d);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_str_has_prefix (keys[i], KEY) && !claim_layer (d, keys[i], claims, error))
      return FALSE;
  return TRUE;
}

/* ---- The plugin ---- */

static const QconvReader reader
    = { .id = CARRIER, .summary = "layers of this program", .score = score, .claim = claim };

static guint
count (gconstpointer features)
{
  return features != NULL ? g_strv_length ((char **) features) : 0;
}

/* Returns: (transfer full): the target @name with the scheme of this name */
static QconvTarget
scheme_target (const char *prefix, const char *id)
{
  const char *name = g_strconcat (prefix, id, NULL);

  return (QconvTarget) { .name = name, .summary = "components as they are", .scheme = name };
}

/* Returns: (transfer full): the targets of the carrier: for each scheme of @plugin one of itself or of random numbers,
   and one of its probe; and plain F32 */
static QconvTarget *
make_targets (const QconvPlugin *plugin)
{
  guint n = count (plugin->quantizers);
  QconvTarget *targets = g_new0 (QconvTarget, 2 * n + 2), *t = targets;

  for (guint i = 0; i < n; i++)
    {
      *t++ = scheme_target (plugin->quantizers[i]->encoders != NULL ? "" : RANDOM, plugin->quantizers[i]->id);
      *t++ = scheme_target (PROBE, plugin->quantizers[i]->id);
    }
  *t = (QconvTarget) { .name = "decoded", .summary = "all layers as F32", .scheme = "plain", .dtype = QCONV_F32 };
  return targets;
}

/* Returns: (transfer full): the probes of all containers of @plugin, and the carrier's own */
static const QconvContainer **
make_containers (const QconvPlugin *plugin)
{
  guint n = count (plugin->containers);
  const QconvContainer **list = g_new0 (const QconvContainer *, n + 2);
  QconvContainer *probes = g_new0 (QconvContainer, n);

  for (guint i = 0; i < n; i++)
    {
      check_probe_container (&probes[i], plugin->containers[i]);
      list[i] = &probes[i];
    }
  list[n] = &check_carrier_container;
  return list;
}

static const QconvReader **
make_readers (const QconvPlugin *plugin)
{
  guint n = count (plugin->readers);
  const QconvReader **list = g_new0 (const QconvReader *, n + 2);
  QconvReader *probes = g_new0 (QconvReader, n);

  for (guint i = 0; i < n; i++)
    {
      check_probe_reader (&probes[i], plugin->readers[i]);
      list[i] = &probes[i];
    }
  list[n] = &reader;
  return list;
}

static const QconvQuantizer **
make_quantizers (const QconvPlugin *plugin)
{
  guint n = count (plugin->quantizers);
  const QconvQuantizer **list = g_new0 (const QconvQuantizer *, 2 * n + 1), **next = list;
  QconvQuantizer *probes = g_new0 (QconvQuantizer, 2 * n);

  for (guint i = 0; i < n; i++)
    {
      const QconvQuantizer *real = plugin->quantizers[i];

      check_probe_quantizer (&probes[2 * i], real);
      *next++ = &probes[2 * i];
      if (real->encoders != NULL)
        continue;
      check_random_quantizer (&probes[2 * i + 1], real);
      *next++ = &probes[2 * i + 1];
    }
  return list;
}

void
check_carrier_add (const QconvPlugin *plugin)
{
  static QconvWriter writer = { .id = CARRIER,
                                .summary = "components as they are",
                                .container = CARRIER,
                                .suffix = "." CARRIER,
                                .reader = CARRIER,
                                .layer = write_layer };
  static const QconvWriter *const writers[] = { &writer, NULL };
  static QconvPlugin own = { .abi = QCONV_PLUGIN_ABI,
                             .api = QCONV_PLUGIN_API,
                             .name = CARRIER,
                             .summary = "what qconv-plugin-check adds",
                             .license = "LGPL-2.1-or-later",
                             .writers = writers };

  writer.targets = make_targets (plugin);
  own.containers = make_containers (plugin);
  own.readers = make_readers (plugin);
  own.quantizers = make_quantizers (plugin);
  qconv_registry_add (&own);
}
