/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: plans the tensors that the table of formats has for a scheme, and the marker of each layer. */
#include "writer.h"

#include <string.h>

#include "comfyui.h"
#include "json-node.h"
#include "json-write.h"
#include "marker-text.h"
#include "output-metadata.h"
#include "pack.h"
#include "swizzle.h"

static gboolean
wants_extension (const QconvLayer *layer, const QconvValues *options)
{
  const ComfyFormat *before = comfy_format_before (layer);

  if (!qconv_values_is_set (options, "layout") && before != NULL && g_str_equal (before->scheme, layer->scheme))
    return before->extension;
  return g_str_equal (qconv_values_string (options, "layout"), "extension");
}

/* Returns: (nullable): the format for @layer; if its scheme has only one layout, that one. */
static const ComfyFormat *
find_format (const QconvLayer *layer, const QconvValues *options)
{
  gboolean extension = wants_extension (layer, options);
  const ComfyFormat *f = comfy_format_for (layer, extension);

  return f != NULL ? f : comfy_format_for (layer, !extension);
}

/* Most bytes of a value that messages show. */
#define SHOWN_LARGEST 64
/* The one block size that ComfyUI accepts (comfy/quant_nf4.py). */
#define NF4_BLOCK "64"

static gboolean
can_write (const ComfyFormat *f, const QconvLayer *layer, GError **error)
{
  if (f == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: ComfyUI has no format for the scheme %s with these options",
                       layer->name, layer->scheme);
  if (layer->rows > G_MAXINT64 - COMFY_TILE_ROWS || layer->cols > G_MAXINT64 - COMFY_TILE_ROWS)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: the layer is too large to be padded", layer->name);
  if (g_str_equal (f->name, "nf4") && !g_str_equal (qconv_values_string (layer->values, "block"), NF4_BLOCK))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: ComfyUI's nf4 needs blocks of " NF4_BLOCK ", not of %s; -o layout=extension takes others",
                       layer->name, qconv_values_string (layer->values, "block"));
  return TRUE;
}

/* Returns whether @key follows from the weights. Another value would make other weights of them. */
static gboolean
is_settled (const ComfyFormat *f, const QconvLayer *layer, const char *key)
{
  static const char *const keys[] = { "format", "orig_shape", "orig_dtype", "dtype" };
  const ComfyFormat *before = comfy_format_before (layer);

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_str_equal (key, keys[i]))
      return TRUE;
  return comfy_format_key (f, key) != NULL || (before != NULL && comfy_format_key (before, key) != NULL);
}

/* Returns: (nullable): the fault of @value, which an edit gives to @key. One bad value would make readers refuse the
   whole marker. The header holds markers three levels deep. */
static const char *
wrong_value (const char *key, const char *value)
{
  g_autoptr (JsonNode) json = qconv_json_node_parse (value, strlen (value), NULL), nested = NULL;
  g_autofree char *text = g_strconcat ("[[[", value, "]]]", NULL);

  if (json == NULL)
    return "is not JSON; quote text as '\"text\"'";
  nested = qconv_json_node_parse (text, strlen (text), NULL);
  if (nested == NULL)
    return "is nested too deep";
  if (g_str_equal (key, COMFY_FULL_PRECISION) && !comfy_node_is (json, G_TYPE_BOOLEAN))
    return "is neither true nor false";
  return NULL;
}

static gboolean
check_value (const QconvLayer *layer, const char *key, GError **error)
{
  const char *value = qconv_layer_hint (layer, key), *wrong = wrong_value (key, value);
  g_autofree char *shown = g_utf8_make_valid (value, (gssize) MIN (strlen (value), SHOWN_LARGEST));

  return wrong == NULL || qconv_fail (error, QCONV_ERROR_OPTION, "%s: \"%s\": %s %s", layer->name, key, shown, wrong);
}

/* Checks the keys that an edit set or removed. "params" is a second place for the keys of a format, so an edit may
   remove it, but not set it. */
static gboolean
check_edit (const ComfyFormat *f, const QconvLayer *layer, GError **error)
{
  g_autofree const char **edited = qconv_layer_hints_edited (layer);

  for (guint i = 0; edited[i] != NULL; i++)
    {
      gboolean there = qconv_layer_hint (layer, edited[i]) != NULL;

      if (is_settled (f, layer, edited[i]) || (there && g_str_equal (edited[i], "params")))
        return qconv_fail (error, QCONV_ERROR_OPTION, "%s: \"%s\" follows from the weights and cannot be edited",
                           layer->name, edited[i]);
      if (there && !check_value (layer, edited[i], error))
        return FALSE;
    }
  return TRUE;
}

static ComfySize
size_of (const ComfyFormat *f, const QconvLayer *layer)
{
  ComfySize size = { layer->rows, layer->cols, 0, f->align };

  for (const ComfyKey *k = f->keys; k != NULL && k->key != NULL; k++)
    if (k->type == COMFY_KEY_GROUP)
      size.group = (guint64) qconv_values_int (layer->values, k->option);
  return size;
}

static gboolean
write_member (QconvOutput *o, const ComfyFormat *f, const ComfyMember *m, const QconvLayer *layer, GError **error)
{
  const QconvComponent *c = m->component != NULL ? qconv_layer_component (layer, m->component) : NULL;
  ComfySize size = size_of (f, layer);
  QconvPlanned planned = { .from = m->component, .load = m->load, .pack = m->pack };

  if (c == NULL)
    return TRUE;
  planned.dtype = m->dtype != QCONV_OPAQUE ? m->dtype : c->dtype;
  planned.shape = comfy_form_shape (m->form, &size);
  planned.run = comfy_form_run (m->form, &size);
  return qconv_output_add (o, layer, m->suffix, &planned, error);
}

/* Plans the marker. If the code book is part of it, comfy_pack_marker() adds its numbers later and fills with
   spaces. */
static gboolean
write_marker (QconvOutput *o, const ComfyFormat *f, const QconvLayer *layer, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GBytes) bytes = NULL;
  QconvPlanned planned = { .dtype = QCONV_U8 };
  gboolean later = comfy_format_key (f, COMFY_MAP) != NULL;

  comfy_append_marker (text, f, layer, qconv_output_options (o));
  if (!later)
    g_string_append_c (text, '}');
  bytes = g_bytes_new (text->str, text->len);
  planned.shape = QCONV_SHAPE1 (text->len + (later ? COMFY_MAP_ROOM : 0));
  planned.data = bytes;
  planned.from = later ? "codebook" : NULL;
  planned.pack = later ? comfy_pack_marker : NULL;
  return qconv_output_add (o, layer, COMFY_MARKER, &planned, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const ComfyFormat *f = find_format (layer, qconv_output_options (o));

  if (!can_write (f, layer, error) || !check_edit (f, layer, error))
    return FALSE;
  for (const ComfyMember *m = f->members; m->suffix != NULL; m++)
    if (!write_member (o, f, m, layer, error))
      return FALSE;
  return write_marker (o, f, layer, error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvLayer *const *) a)->name, (*(const QconvLayer *const *) b)->name);
}

/* Fails if an option is set that no layer of the file takes. */
static gboolean
check_options (const QconvValues *options, guint n_layers, guint n_full, guint n_layouts, GError **error)
{
  if (n_layers > 0 && n_full == 0 && g_str_equal (qconv_values_string (options, "full-precision-mm"), "on"))
    return qconv_fail (error, QCONV_ERROR_OPTION, "full-precision-mm has no effect: no layer of this file takes it");
  if (n_layers > 0 && n_layouts == 0 && g_str_equal (qconv_values_string (options, "layout"), "extension"))
    return qconv_fail (error, QCONV_ERROR_OPTION, "layout has no effect: no layer of this file is NF4, FP4 or AF4");
  return TRUE;
}

/* Returns: (transfer container): layers whose markers are known now, sorted by name. @n_all: layers with a format;
   @n_full, @n_layouts: layers that take the options full-precision-mm and layout */
static GPtrArray *
marked_layers (const QconvOutput *o, guint *n_all, guint *n_full, guint *n_layouts)
{
  const QconvValues *options = qconv_output_options (o);
  GPtrArray *layers = g_ptr_array_new ();

  for (guint i = 0; i < qconv_output_n_layers (o); i++)
    {
      const QconvLayer *layer = qconv_output_layer (o, i);
      const ComfyFormat *f = layer->values != NULL ? find_format (layer, options) : NULL;

      if (f == NULL)
        continue;
      *n_all += 1;
      *n_full += f->full != COMFY_FULL_NEVER;
      *n_layouts += comfy_form_per_item (f->members[0].form) == 2 && f->members[0].form != COMFY_NIBBLES;
      if (comfy_format_key (f, COMFY_MAP) == NULL)
        g_ptr_array_add (layers, (gpointer) layer);
    }
  g_ptr_array_sort (layers, compare_names);
  return layers;
}

/* Repeats the markers in the header, where some readers look first. */
static gboolean
write_metadata (const QconvWriter *self, QconvOutput *o, GError **error)
{
  const QconvValues *options = qconv_output_options (o);
  g_autoptr (GString) text = g_string_new ("{\"format_version\": \"1.0\", \"layers\": {");
  guint n_all = 0, n_full = 0, n_layouts = 0;
  g_autoptr (GPtrArray) layers = marked_layers (o, &n_all, &n_full, &n_layouts);

  qconv_output_inherit_metadata (o);
  for (guint i = 0; i < layers->len; i++)
    {
      const QconvLayer *layer = g_ptr_array_index (layers, i);

      g_string_append (text, i > 0 ? ", " : "");
      qconv_json_append_string (text, layer->name);
      g_string_append (text, ": ");
      comfy_append_marker (text, find_format (layer, options), layer, options);
      g_string_append_c (text, '}');
    }
  g_string_append (text, "}}");
  qconv_output_set_metadata (o, COMFY_HEADER, layers->len > 0 ? text->str : NULL);
  return check_options (options, n_all, n_full, n_layouts, error);
}

static const QconvTarget targets[] = {
  { .name = "nvfp4", .summary = N_ ("NVFP4, 4.5 bits a weight"), .scheme = "nvfp4" },
  { .name = "fp8", .summary = N_ ("FP8 with one scale, 8 bits a weight"), .scheme = "fp8", .beside = TRUE },
  { .name = "mxfp8",
    .summary = N_ ("MXFP8, 8.25 bits a weight; hybrid=on needs the QuantOps extension"),
    .scheme = "mxfp8",
    .beside = TRUE },
  { .name = "int8",
    .summary = N_ ("INT8 with a scale for each row, 8 bits a weight; needs ComfyUI 0.27"),
    .scheme = "int8",
    .beside = TRUE },
  { .name = "convrot-w4a4",
    .summary = N_ ("rotated INT4 with a scale for each row, 4 bits a weight"),
    .scheme = "convrot_w4a4" },
  { .name = "w4a8",
    .summary = N_ ("rotated 4-bit codes for INT8 products, 4.5 bits a weight; newer than ComfyUI 0.29"),
    .scheme = "w4a8" },
  { .name = "w6a8",
    .summary = N_ ("rotated 6-bit codes for INT8 products, 6.5 bits a weight; newer than ComfyUI 0.29"),
    .scheme = "w6a8" },
  { .name = "awq",
    .summary = N_ ("4-bit codes with scale and zero, 4.5 bits a weight; newer than ComfyUI 0.29"),
    .scheme = "awq",
    .parameters = "centre=8" },
  { .name = "nf4",
    .summary = N_ ("NF4, 4.5 bits a weight; for the one loader of ComfyUI that reads it"),
    .scheme = "nf4",
    .parameters = "double-quant=off" },
  { .name = "fp4",
    .summary = N_ ("bitsandbytes' FP4, 4.5 bits a weight; needs the QuantOps extension"),
    .scheme = "fp4",
    .parameters = "double-quant=off" },
  { .name = "af4", .summary = N_ ("AF4, 4.5 bits a weight; needs the QuantOps extension"), .scheme = "af4" },
  { .name = "fp8-row",
    .summary = N_ ("FP8 with a scale for each row, 8 bits a weight; needs the QuantOps extension"),
    .scheme = "fp8_row" },
  { .name = "fp8-block",
    .summary = N_ ("FP8 with a scale for each block, 8 bits a weight; needs the QuantOps extension"),
    .scheme = "fp8_block" },
  { .name = "int8-block",
    .summary = N_ ("INT8 with a scale for each block, 8 bits a weight; needs the QuantOps extension"),
    .scheme = "int8_block" },
  { .name = NULL },
};

static const QconvOption options_table[] = {
  { .name = "full-precision-mm",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "on", "off", NULL },
    .help = N_ ("whether products of FP8 layers are made in full precision; auto: if no input_scale is known. A moved "
                "layer keeps the value in its marker unless this is set") },
  { .name = "layout",
    .type = QCONV_CHOICE,
    .value = "comfy",
    .choices = (const char *const[]) { "comfy", "extension", NULL },
    .help = N_ ("names and nibbles of NF4: ComfyUI's own loader or the QuantOps extension; a moved layer keeps its own "
                "unless this is set") },
  { .name = NULL },
};

const QconvWriter comfy_writer = {
  .id = "comfy",
  .summary = N_ ("quantized checkpoints that ComfyUI loads"),
  .options = options_table,
  .container = "safetensors",
  .suffix = ".safetensors",
  .reader = "comfy",
  .spellings = (const char *const[]) { "original", NULL },
  .targets = targets,
  .layer = write_layer,
  .keep = qconv_comfyui_keep,
  .end = write_metadata,
  .hints = (const char *const[]) { COMFY_FULL_PRECISION, QCONV_ANY_HINT, NULL },
};
