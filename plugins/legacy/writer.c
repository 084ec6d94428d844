/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: three tensors a layer, and a marker for each prefix. */
#include "legacy.h"

#include <string.h>

#include "comfyui.h"
#include "output-metadata.h"

static const struct {
  const char *suffix, *component;
} members[] = {
  { ".weight", "codes" },
  { LEGACY_SCALE, "tensor_scale" },
  { LEGACY_INPUT, "input_scale" },
};

/* Refuses to edit the one key: it is no layer's own. */
static gboolean
check_edit (const QconvLayer *layer, GError **error)
{
  return !qconv_layer_hint_edited (layer, LEGACY_FULL_PRECISION)
         || qconv_fail (error, QCONV_ERROR_OPTION,
                        "%s: legacy files have one marker for all layers; use -o full-precision-mm=on|off",
                        layer->name);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  if (!g_str_equal (layer->scheme, "fp8"))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: %s is not FP8 with one scale a tensor, which legacy files need", layer->name,
                       layer->scheme);
  if (!check_edit (layer, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      const QconvComponent *c = qconv_layer_component (layer, members[i].component);
      QconvPlanned planned = { .from = members[i].component };

      if (c == NULL)
        continue;
      planned.dtype = c->dtype;
      planned.shape = c->shape;
      if (!qconv_output_add (o, layer, members[i].suffix, &planned, error))
        return FALSE;
    }
  return TRUE;
}

/* Refuses a scale that belongs to no quantized layer: ComfyUI and the reader would scale by it or miss its weight. */
static gboolean
keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  if (g_str_has_suffix (layer->name, LEGACY_SCALE))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: in a legacy file this would be the scale of a quantized weight; --drop leaves it out",
                       layer->name);
  return qconv_comfyui_keep (self, o, layer, error);
}

/* Returns the length of the prefix before the names of the model that @layer belongs to (ComfyUI:
   comfy/model_detection.py unet_prefix_from_state_dict, comfy/sd.py load_state_dict_guess_config). */
static gsize
known_prefix (const char *layer)
{
  static const char *const prefixes[] = { "model.diffusion_model.", "model.model.", "net." };
  static const char encoders[] = "text_encoders.", inside[] = ".transformer.";
  const char *end;

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (g_str_has_prefix (layer, prefixes[i]))
      return strlen (prefixes[i]);
  end = g_str_has_prefix (layer, encoders) ? strstr (layer, inside) : NULL;
  return end != NULL ? (gsize) (end - layer) + strlen (inside) : 0;
}

/* Returns: (transfer full): the name of the marker for @layer, with the prefix of that in @input if there is one. */
static char *
marker_name (const QconvDirectory *input, const char *layer)
{
  const QconvTensor *before = legacy_find_marker (input, layer);
  gsize n = before != NULL ? legacy_prefix_length (before) : known_prefix (layer);
  g_autofree char *prefix = g_strndup (layer, n);

  return g_strconcat (prefix, LEGACY_MARKER, NULL);
}

/* Returns whether the one marker asks for full precision. A moved layer without the key does not ask for it. */
static gboolean
full_precision (const QconvOutput *o)
{
  const char *word = qconv_values_string (qconv_output_options (o), "full-precision-mm");
  gboolean told = FALSE, wanted = FALSE, all_scaled = TRUE;

  if (!g_str_equal (word, "auto"))
    return g_str_equal (word, "on");
  for (guint i = 0; i < qconv_output_n_layers (o); i++)
    {
      const QconvLayer *layer = qconv_output_layer (o, i);
      const char *hint = qconv_layer_hint (layer, LEGACY_FULL_PRECISION);

      if (layer->values == NULL)
        continue;
      told |= hint != NULL || qconv_layer_hint (layer, "format") != NULL;
      wanted |= g_strcmp0 (hint, "true") == 0;
      all_scaled &= qconv_layer_component (layer, "input_scale") != NULL;
    }
  return told && !qconv_values_is_set (qconv_output_options (o), "full-precision-mm") ? wanted : !all_scaled;
}

static gboolean
add_marker (QconvOutput *o, const char *name, gboolean full, GError **error)
{
  QconvPlanned planned = { .dtype = QCONV_F8_E4M3, .shape = QCONV_SHAPE1 (full ? LEGACY_FULL : 0) };

  return qconv_output_add (o, NULL, name, &planned, error);
}

static gboolean
write_markers (const QconvWriter *self, QconvOutput *o, GError **error)
{
  g_autoptr (GHashTable) done = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gboolean full = full_precision (o);

  qconv_output_inherit_metadata (o);
  qconv_output_set_metadata (o, LEGACY_HEADER, NULL);
  for (guint i = 0; i < qconv_output_n_layers (o); i++)
    {
      const QconvLayer *layer = qconv_output_layer (o, i);
      char *name = layer->values != NULL ? marker_name (qconv_output_input (o), layer->name) : NULL;

      if (name != NULL && g_hash_table_add (done, name) && !add_marker (o, name, full, error))
        return FALSE;
    }
  return TRUE;
}

static const QconvTarget targets[] = {
  { .name = "fp8",
    .summary = N_ ("scaled FP8 for older ComfyUI, 8 bits a weight; newer ones take fp8-comfy"),
    .scheme = "fp8",
    .parameters = "dtype=e4m3" },
  { .name = NULL },
};

static const QconvOption options_table[] = {
  { .name = "full-precision-mm",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "on", "off", NULL },
    .help = N_ ("whether products of the file's layers are made in full precision; auto: unless every layer has an "
                "input_scale. A moved file keeps its own value unless this is set") },
  { .name = NULL },
};

const QconvWriter legacy_writer = {
  .id = "legacy",
  .summary = N_ ("scaled FP8 as older ComfyUI reads it"),
  .options = options_table,
  .container = "safetensors",
  .suffix = ".safetensors",
  .reader = "legacy",
  .spellings = (const char *const[]) { "original", NULL },
  .targets = targets,
  .layer = write_layer,
  .keep = keep,
  .end = write_markers,
  .hints = (const char *const[]) { LEGACY_FULL_PRECISION, NULL },
};
