/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new scheme is a new row of packings[], its tensors a new table. */
#include "comfy.h"

#include <string.h>

#include "json-write.h"
#include "output-metadata.h"

/**
 * PackedTensor: one tensor of an encoded layer.
 * @shape, @run: (nullable): NULL: those of the component
 * @pack: (nullable): NULL: the component as it is
 */
typedef struct {
  const char *suffix, *component;
  QconvDType dtype;
  QconvShape (*shape) (const QconvLayer *layer);
  QconvRun (*run) (const QconvLayer *layer);
  QconvPackFunc pack;
} PackedTensor;

/**
 * Packing: how one scheme is written.
 * @hints: marker keys that a moved layer keeps, in the order of the marker; NULL-terminated
 * @tensors: the weight first; ends with { NULL }
 */
typedef struct {
  const char *scheme, *format;
  const char *const *hints;
  const PackedTensor *tensors;
} Packing;

static QconvShape
shape_of_codes (const QconvLayer *l)
{
  return QCONV_SHAPE2 (comfy_round_up (l->rows, 16), comfy_round_up (l->cols, 16) / 2);
}

static QconvRun
run_of_codes (const QconvLayer *l)
{
  return (QconvRun) { 1, comfy_round_up (l->cols, 16) / 2 };
}

static QconvShape
shape_of_tiles (const QconvLayer *l)
{
  return QCONV_SHAPE2 (comfy_round_up (l->rows, COMFY_TILE_ROWS), comfy_round_up (l->cols, 64) / 16);
}

static QconvRun
run_of_tiles (const QconvLayer *l)
{
  return (QconvRun) { COMFY_TILE_ROWS, COMFY_TILE_ROWS * (comfy_round_up (l->cols, 64) / 16) };
}

static const PackedTensor nvfp4_tensors[] = {
  { ".weight", "codes", QCONV_U8, shape_of_codes, run_of_codes, comfy_pack_codes_high },
  { ".weight_scale", "block_scale", QCONV_F8_E4M3, shape_of_tiles, run_of_tiles, comfy_pack_scales_swizzled },
  { ".weight_scale_2", "tensor_scale", QCONV_F32, NULL, NULL, NULL },
  { ".input_scale", "input_scale", QCONV_F32, NULL, NULL, NULL },
  { ".pre_quant_scale", "pre_quant_scale", QCONV_F32, NULL, NULL, NULL },
  { .suffix = NULL },
};

static const Packing packings[] = {
  { "nvfp4", "nvfp4",
    (const char *const[]) { "full_precision_matrix_mult", "group_size", "orig_dtype", "orig_shape", NULL },
    nvfp4_tensors },
};

static const Packing *
find_packing (const char *scheme)
{
  for (guint i = 0; i < G_N_ELEMENTS (packings); i++)
    if (g_str_equal (packings[i].scheme, scheme))
      return &packings[i];
  return NULL;
}

/* Spaced as ComfyUI writes it (comfy/ops.py _quantized_weight_state_dict). Hints are JSON already */
static void
append_marker (GString *out, const Packing *packing, const QconvLayer *layer)
{
  g_string_append (out, "{\"format\": ");
  qconv_json_append_string (out, packing->format);
  for (guint i = 0; packing->hints[i] != NULL; i++)
    {
      const char *value = qconv_layer_hint (layer, packing->hints[i]);

      if (value == NULL)
        continue;
      g_string_append (out, ", ");
      qconv_json_append_string (out, packing->hints[i]);
      g_string_append_printf (out, ": %s", value);
    }
  g_string_append_c (out, '}');
}

static gboolean
write_marker (QconvOutput *o, const Packing *packing, const QconvLayer *layer, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GBytes) bytes = NULL;
  QconvPlanned planned = { .dtype = QCONV_U8 };

  append_marker (text, packing, layer);
  bytes = g_bytes_new (text->str, text->len);
  planned.shape = QCONV_SHAPE1 (text->len);
  planned.data = bytes;
  return qconv_output_add (o, layer, COMFY_MARKER, &planned, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const Packing *packing = find_packing (layer->scheme);

  if (packing == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "%s: ComfyUI has no format for the scheme %s", layer->name,
                       layer->scheme);
  if (layer->rows > G_MAXINT64 - COMFY_TILE_ROWS || layer->cols > G_MAXINT64 - 64)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: too large for padding", layer->name);
  for (const PackedTensor *t = packing->tensors; t->suffix != NULL; t++)
    {
      const QconvComponent *c = qconv_layer_component (layer, t->component);
      QconvPlanned planned = { .dtype = t->dtype, .from = t->component, .pack = t->pack };

      if (c == NULL)
        continue;
      planned.shape = t->shape != NULL ? t->shape (layer) : c->shape;
      planned.run = t->run != NULL ? t->run (layer) : QCONV_WHOLE;
      if (!qconv_output_add (o, layer, t->suffix, &planned, error))
        return FALSE;
    }
  return write_marker (o, packing, layer, error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvLayer *const *) a)->name, (*(const QconvLayer *const *) b)->name);
}

/* Kept tensors come as they are, and not all types can */
static gboolean
keep_tensor (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error)
{
  QconvPlanned planned = { .dtype = tensor->dtype, .shape = tensor->shape, .from = "weight" };

  if (!comfy_knows_dtype (tensor->dtype))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\" is %s, a type that ComfyUI does not load",
                       tensor->name, qconv_dtype_name (tensor->dtype));
  return qconv_output_add (o, tensor, "", &planned, error);
}

/* The markers once more in the header, for readers that look there first. Sorted, so that a file made of this one says
   the same */
static gboolean
write_metadata (const QconvWriter *self, QconvOutput *o, GError **error)
{
  g_autoptr (GString) text = g_string_new ("{\"format_version\": \"1.0\", \"layers\": {");
  g_autoptr (GPtrArray) layers = g_ptr_array_new ();

  qconv_output_inherit_metadata (o);
  for (guint i = 0; i < qconv_output_n_layers (o); i++)
    {
      const QconvLayer *layer = qconv_output_layer (o, i);

      if (find_packing (layer->scheme) != NULL)
        g_ptr_array_add (layers, (gpointer) layer);
    }
  g_ptr_array_sort (layers, compare_names);
  for (guint i = 0; i < layers->len; i++)
    {
      const QconvLayer *layer = g_ptr_array_index (layers, i);

      g_string_append (text, i > 0 ? ", " : "");
      qconv_json_append_string (text, layer->name);
      g_string_append (text, ": ");
      append_marker (text, find_packing (layer->scheme), layer);
    }
  g_string_append (text, "}}");
  qconv_output_set_metadata (o, COMFY_HEADER, layers->len > 0 ? text->str : NULL);
  return TRUE;
}

static const QconvTarget targets[] = {
  { .name = "nvfp4", .summary = N_ ("NVFP4, 4.5 bits a weight"), .scheme = "nvfp4" },
  { .name = NULL },
};

const QconvWriter comfy_writer = {
  .id = "comfy",
  .summary = N_ ("quantized checkpoints that ComfyUI loads"),
  .container = "safetensors",
  .suffix = ".safetensors",
  .reader = "comfy",
  .targets = targets,
  .layer = write_layer,
  .keep = keep_tensor,
  .end = write_metadata,
};
