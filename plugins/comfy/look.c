/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the size and the parameters of one layer from its marker and the shapes of its tensors. */
#include "look.h"

#include <string.h>

#include "check.h"
#include "trouble.h"

/* Limits a dimension. Leaves room for padding. */
#define LARGEST ((guint64) 1 << 62)

static gboolean senseless (const ComfyLook *l, const char *code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Adds a fatal trouble and returns FALSE. */
static gboolean
senseless (const ComfyLook *l, const char *code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  qconv_trouble_add (l->troubles, QCONV_TROUBLE_BROKEN, l->layer, code, "%s", message);
  return FALSE;
}

static void
add_parameter (ComfyLook *l, const char *option, const char *value)
{
  g_string_append_printf (l->parameters, "%s%s=%s", l->parameters->len > 0 ? "," : "", option, value);
}

/* Changes the format to another row, whose members are looked up again. @f: (nullable) */
static void
set_format (ComfyLook *l, const ComfyFormat *f)
{
  l->format = f;
  comfy_members_find (&l->members, l->directory, l->layer, f);
}

static const QconvTensor *
named (const ComfyLook *l, const char *suffix)
{
  return comfy_members_named (&l->members, suffix);
}

/* ---- Keys ---- */

static gboolean
is_power (guint64 n, guint64 base)
{
  while (base > 1 && n % base == 0 && n > 1)
    n /= base;
  return base == 1 || n == 1;
}

/* Sets @n to the number of key @k, or to its fallback. Returns FALSE if the marker has an impossible number. */
static gboolean
read_number (const ComfyLook *l, const ComfyKey *k, guint64 *n)
{
  JsonNode *node = comfy_marker_member (l->marker, k->key);
  gint64 value;

  *n = k->fallback;
  if (node == NULL)
    return TRUE;
  if (!comfy_node_is (node, G_TYPE_INT64))
    return senseless (l, "marker-value", "%s in the marker is not a whole number", k->key);
  value = json_node_get_int (node);
  *n = (guint64) MAX (value, 0);
  return (value > 0 && *n >= k->min && *n <= k->max && is_power (*n, k->base))
         || senseless (l, "marker-value", "%s %" G_GINT64_FORMAT " in the marker is not supported", k->key, value);
}

static gboolean
read_flag (const ComfyLook *l, const ComfyKey *k, gboolean *flag)
{
  JsonNode *node = comfy_marker_member (l->marker, k->key);

  *flag = FALSE;
  if (node == NULL)
    return TRUE;
  if (!comfy_node_is (node, G_TYPE_BOOLEAN))
    return senseless (l, "marker-value", "%s in the marker is neither true nor false", k->key);
  *flag = json_node_get_boolean (node);
  return TRUE;
}

static gboolean
read_rotation (ComfyLook *l, const ComfyKey *k)
{
  g_autofree char *text = NULL;
  guint64 n;

  if (!read_number (l, k, &n))
    return FALSE;
  if (l->size.cols % n != 0)
    return senseless (l, "rotation",
                      "a rotation in groups of %" G_GUINT64_FORMAT " does not divide %" G_GUINT64_FORMAT " columns", n,
                      l->size.cols);
  text = g_strdup_printf ("%" G_GUINT64_FORMAT, n);
  add_parameter (l, k->option, text);
  return TRUE;
}

static gboolean
read_group (ComfyLook *l, const ComfyKey *k)
{
  g_autofree char *text = NULL;

  if (l->size.group == 0)
    return senseless (l, "marker-value", "the marker has no %s", k->key);
  text = g_strdup_printf ("%" G_GUINT64_FORMAT, l->size.group);
  add_parameter (l, k->option, text);
  return TRUE;
}

/* Fails if the key is true, which the loader of nf4 refuses. Formats of the extension do not have the key. */
static gboolean
refuse_flag (const ComfyLook *l, const ComfyKey *k)
{
  gboolean flag;

  return read_flag (l, k, &flag)
         && (!flag || senseless (l, "marker-value", "%s is true in the marker, which is not supported", k->key));
}

static gboolean
check_map (const ComfyLook *l, const ComfyKey *k)
{
  JsonNode *node = comfy_marker_member (l->marker, k->key);
  JsonArray *map = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  return (map != NULL && json_array_get_length (map) == COMFY_MAP_SIZE)
         || senseless (l, "marker-value", "the marker has no %s of %d numbers", k->key, COMFY_MAP_SIZE);
}

/* Reads the parameters that only the marker has. The size must be known. */
static gboolean
read_keys (ComfyLook *l)
{
  gboolean rotated = TRUE, ok = TRUE;

  for (const ComfyKey *k = l->format->keys; ok && k != NULL && k->key != NULL; k++)
    switch (k->type)
      {
      case COMFY_KEY_GROUP:
        ok = read_group (l, k);
        break;
      case COMFY_KEY_ROTATED:
        ok = read_flag (l, k, &rotated);
        if (!rotated)
          add_parameter (l, k->option, "none");
        break;
      case COMFY_KEY_ROTATION:
        ok = !rotated || read_rotation (l, k);
        break;
      case COMFY_KEY_FALSE:
        ok = refuse_flag (l, k);
        break;
      case COMFY_KEY_MAP:
        ok = check_map (l, k);
        break;
      default:
        break;
      }
  return ok;
}

/* Sets the group of the size from the marker; 0 if the marker has none. Returns FALSE if its number is impossible. */
static gboolean
find_group (ComfyLook *l)
{
  for (const ComfyKey *k = l->format->keys; k != NULL && k->key != NULL; k++)
    if (k->type == COMFY_KEY_GROUP)
      return read_number (l, k, &l->size.group);
  return TRUE;
}

static gboolean
group_divides (const ComfyLook *l, guint64 n, const char *what)
{
  return n % l->size.group == 0
         || senseless (l, "group", "groups of %" G_GUINT64_FORMAT " do not divide %" G_GUINT64_FORMAT " %s",
                       l->size.group, n, what);
}

/* ---- Sizes ---- */

gboolean
comfy_measure_matrix (ComfyLook *l)
{
  guint per_item = comfy_form_per_item (l->format->members[0].form);
  const QconvShape *s = &l->members.weight->shape;
  guint64 n = 0;

  if (s->rank != 2 || !qconv_shape_items (s, &n) || n == 0 || s->dim[1] > LARGEST / per_item || s->dim[0] > LARGEST)
    return senseless (l, "weight-shape", "the weight is not a matrix");
  l->size.rows = s->dim[0];
  l->size.cols = s->dim[1] * per_item;
  return TRUE;
}

/* Measures int8_tensorwise, which has one scale or, despite its name, one a row. */
gboolean
comfy_measure_int8 (ComfyLook *l)
{
  if (!comfy_measure_matrix (l))
    return FALSE;
  comfy_members_fit (&l->members, &l->size);
  for (const ComfyMember *m = l->format->members + 1; m->suffix != NULL; m++)
    if (comfy_members_own (&l->members, m) != NULL)
      add_parameter (l, "scaling", g_str_equal (m->component, "row_scale") ? "row" : "tensor");
  return TRUE;
}

static gboolean
is_one (const QconvTensor *t)
{
  guint64 n = 0;

  return qconv_shape_items (&t->shape, &n) && n == 1;
}

/* Returns whether a layer of blocks has a scale for each row: convert_to_quant writes that under the same name if
   blocks do not divide the size. */
static gboolean
is_by_rows (const ComfyLook *l, const QconvTensor *scale)
{
  return g_str_equal (l->format->scheme, "fp8_block") && !comfy_form_fit (COMFY_SQUARES, &l->size, scale)
         && comfy_form_fit (COMFY_ROWS, &l->size, scale) == COMFY_FIT_GOOD;
}

gboolean
comfy_measure_squares (ComfyLook *l)
{
  const QconvTensor *scale = named (l, ".weight_scale");

  if (!comfy_measure_matrix (l) || !find_group (l))
    return FALSE;
  if (scale != NULL && is_by_rows (l, scale))
    {
      qconv_trouble_add (l->troubles, QCONV_TROUBLE_WARN, l->layer, "scale-shape",
                         "%s with a scale for each row is read as float8_e4m3fn_rowwise", l->format->name);
      set_format (l, comfy_format_find ("float8_e4m3fn_rowwise"));
      return TRUE;
    }
  if (l->size.group == 0 && scale != NULL && scale->shape.rank == 2 && scale->shape.dim[0] > 0)
    l->size.group = l->size.rows / scale->shape.dim[0];
  else if (l->size.group == 0 && scale != NULL && is_one (scale))
    l->size.group = l->size.rows;
  return l->size.group == 0 || (group_divides (l, l->size.rows, "rows") && group_divides (l, l->size.cols, "columns"));
}

/* Measures 4-bit and 6-bit codes. The width of the codes decides which of the two they are. */
gboolean
comfy_measure_w4a8 (ComfyLook *l)
{
  const QconvTensor *scale = named (l, ".weight_s_rel");

  if (!comfy_measure_matrix (l) || !find_group (l))
    return FALSE;
  if (scale == NULL)
    return TRUE;
  if (!is_one (scale) && (scale->shape.rank != 2 || scale->shape.dim[1] > LARGEST / l->size.group))
    return senseless (l, "scale-shape", "weight_s_rel is not a matrix");
  l->size.cols = is_one (scale) ? l->size.group : scale->shape.dim[1] * l->size.group;
  for (const ComfyFormat *f = comfy_format_find (l->format->name); f != NULL; f = comfy_format_next (f))
    if (comfy_form_fit (f->members[0].form, &l->size, l->members.weight) == COMFY_FIT_GOOD)
      {
        set_format (l, f);
        break;
      }
  add_parameter (l, "scale-dtype", scale->dtype == QCONV_F32 ? "f32" : "e4m3");
  if (g_str_equal (l->format->scheme, "w4a8"))
    add_parameter (l, "codebook", named (l, ".weight_codebook") != NULL ? "table" : "none");
  return TRUE;
}

gboolean
comfy_measure_awq (ComfyLook *l)
{
  const QconvTensor *scale = named (l, ".weight_scale"), *zero = named (l, ".weight_zeros");

  if (!comfy_measure_matrix (l) || !find_group (l) || !group_divides (l, l->size.cols, "columns"))
    return FALSE;
  if (scale == NULL || zero == NULL)
    return TRUE;
  if (scale->dtype != zero->dtype)
    return senseless (l, "dtype", "the scales are %s and the zeros %s, but one type is needed",
                      qconv_dtype_name (scale->dtype), qconv_dtype_name (zero->dtype));
  add_parameter (l, "scale-dtype", scale->dtype == QCONV_F16 ? "f16" : scale->dtype == QCONV_BF16 ? "bf16" : "f32");
  return TRUE;
}

/* Measures flat codes, whose shape only the marker has. */
gboolean
comfy_measure_flat (ComfyLook *l)
{
  JsonNode *node = comfy_marker_member (l->marker, "shape");
  JsonArray *shape = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  gint64 dim[2] = { 0, 0 }, n;

  for (guint i = 0; shape != NULL && json_array_get_length (shape) == 2 && i < 2; i++)
    if (comfy_node_is (json_array_get_element (shape, i), G_TYPE_INT64))
      dim[i] = json_array_get_int_element (shape, i);
  if (dim[0] <= 0 || dim[1] <= 0 || __builtin_mul_overflow (dim[0], dim[1], &n))
    return senseless (l, "marker-value", "the marker has no shape of a matrix");
  l->size.rows = (guint64) dim[0];
  l->size.cols = (guint64) dim[1];
  return find_group (l);
}

/* ---- Before quantization ---- */

static JsonNode *
text_member (const ComfyLook *l, const char *key)
{
  JsonNode *node = comfy_marker_member (l->marker, key);

  return node != NULL && comfy_node_is (node, G_TYPE_STRING) ? node : NULL;
}

/* Returns the type of the weight before it was quantized. Most files do not store it, but biases mostly keep it. */
static QconvDType
original_dtype (const ComfyLook *l)
{
  const QconvTensor *bias = l->members.bias;
  JsonNode *node = text_member (l, "orig_dtype");
  const char *name;

  if (node == NULL)
    node = text_member (l, "dtype");
  name = node != NULL ? json_node_get_string (node) : "";
  if (g_str_has_prefix (name, "torch."))
    name += strlen ("torch.");
  if (g_str_equal (name, "float16"))
    return QCONV_F16;
  if (g_str_equal (name, "float32"))
    return QCONV_F32;
  return *name == '\0' && bias != NULL && bias->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16;
}

/* Returns @hint if padding to @align makes @stored of it, else @stored. */
static guint64
without_padding (guint64 stored, guint64 hint, guint align)
{
  return hint > 0 && hint < stored && stored - hint < align && stored % align == 0 ? hint : stored;
}

/* Finds the size before padding: some writers put it into the marker, and some tensors of the layer are not padded. */
static void
find_original_shape (ComfyLook *l)
{
  const QconvTensor *bias = l->members.bias, *before = l->members.pre_scale;
  JsonNode *node = l->marker != NULL ? json_object_get_member (l->marker, "orig_shape") : NULL;
  JsonArray *shape = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint align = l->size.align;

  l->rows = l->size.rows;
  l->cols = l->size.cols;
  if (align == 0)
    return;
  if (shape != NULL && json_array_get_length (shape) == 2 && JSON_NODE_HOLDS_VALUE (json_array_get_element (shape, 0))
      && JSON_NODE_HOLDS_VALUE (json_array_get_element (shape, 1)))
    {
      l->rows = without_padding (l->rows, (guint64) MAX (json_array_get_int_element (shape, 0), 0), align);
      l->cols = without_padding (l->cols, (guint64) MAX (json_array_get_int_element (shape, 1), 0), align);
    }
  if (bias != NULL && bias->shape.rank == 1)
    l->rows = without_padding (l->rows, bias->shape.dim[0], align);
  if (before != NULL && before->shape.rank == 1)
    l->cols = without_padding (l->cols, before->shape.dim[0], align);
}

/* ---- The whole ---- */

static gboolean
measure (ComfyLook *l)
{
  if (l->members.weight == NULL)
    return senseless (l, "missing", "%s.weight is missing", l->layer);
  if (l->format == NULL)
    return FALSE;
  l->size.align = l->format->align;
  if (l->format->option != NULL)
    add_parameter (l, l->format->option, l->format->value);
  return l->format->measure (l) && read_keys (l);
}

ComfyLook *
comfy_look_new (const QconvDirectory *d, const char *layer, const ComfyFormat *format, JsonObject *marker,
                GPtrArray *troubles)
{
  ComfyLook *l = g_new0 (ComfyLook, 1);
  gboolean measured;

  l->directory = d;
  l->layer = layer;
  l->marker = marker;
  l->parameters = g_string_new (NULL);
  l->troubles = troubles;
  set_format (l, format);
  measured = measure (l);
  comfy_members_fit (&l->members, &l->size);
  l->dtype = original_dtype (l);
  find_original_shape (l);
  if (measured)
    comfy_check_members (l);
  return l;
}

void
comfy_look_free (ComfyLook *l)
{
  comfy_members_clear (&l->members);
  g_string_free (l->parameters, TRUE);
  g_free (l);
}
