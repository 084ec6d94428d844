/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a layer of a file is: its size and parameters, from its marker and the shapes of its tensors. */
#include "comfy.h"

#define LARGEST ((guint64) 1 << 62) /* leaves room for padding */

static gboolean senseless (const ComfyLook *l, const char *code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Returns: FALSE */
static gboolean
senseless (const ComfyLook *l, const char *code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  comfy_trouble (l->troubles, COMFY_FATAL, l->layer, code, "%s", message);
  return FALSE;
}

static void
add_parameter (ComfyLook *l, const char *option, const char *value)
{
  g_string_append_printf (l->parameters, "%s%s=%s", l->parameters->len > 0 ? "," : "", option, value);
}

static const QconvTensor *
find_member (const ComfyLook *l, const ComfyMember *m)
{
  const QconvTensor *t = qconv_directory_find2 (l->directory, l->layer, m->suffix);

  return t == NULL && m->alias != NULL ? qconv_directory_find2 (l->directory, l->layer, m->alias) : t;
}

const QconvTensor *
comfy_look_tensor (const ComfyLook *l, const ComfyMember *m)
{
  const QconvTensor *t = find_member (l, m);
  const ComfyMember *same = l->format->members;

  if (t == NULL)
    return NULL;
  for (; same < m; same++)
    if (g_str_equal (same->suffix, m->suffix) && comfy_form_fit (same->form, &l->size, t) != COMFY_FIT_NOT)
      return NULL;
  if (comfy_form_fit (m->form, &l->size, t) != COMFY_FIT_NOT)
    return t;
  for (same = m + 1; same->suffix != NULL; same++)
    if (g_str_equal (same->suffix, m->suffix))
      return NULL;
  return t;
}

static const QconvTensor *
sibling (const ComfyLook *l, const char *suffix)
{
  return qconv_directory_find2 (l->directory, l->layer, suffix);
}

/* ---- Keys ---- */

static JsonNode *
marker_member (const ComfyLook *l, const ComfyKey *k)
{
  return l->marker != NULL ? comfy_marker_member (l->marker, k->key) : NULL;
}

static gboolean
is_power (guint64 n, guint64 base)
{
  while (base > 1 && n % base == 0 && n > 1)
    n /= base;
  return base == 1 || n == 1;
}

/* Returns: FALSE where there is a number that cannot be meant; @n 0 where there is none */
static gboolean
read_number (const ComfyLook *l, const ComfyKey *k, guint64 *n)
{
  JsonNode *node = marker_member (l, k);
  gint64 value;

  *n = k->fallback;
  if (node == NULL)
    return TRUE;
  if (!comfy_node_is (node, G_TYPE_INT64))
    return senseless (l, "marker-value", "%s in its marker is no whole number", k->key);
  value = json_node_get_int (node);
  *n = (guint64) MAX (value, 0);
  return (value > 0 && *n >= k->min && *n <= k->max && is_power (*n, k->base))
         || senseless (l, "marker-value", "%s %" G_GINT64_FORMAT " in its marker is not supported", k->key, value);
}

static gboolean
read_flag (const ComfyLook *l, const ComfyKey *k, gboolean *flag)
{
  JsonNode *node = marker_member (l, k);

  *flag = FALSE;
  if (node == NULL)
    return TRUE;
  if (!comfy_node_is (node, G_TYPE_BOOLEAN))
    return senseless (l, "marker-value", "%s in its marker is neither true nor false", k->key);
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
                      "groups of %" G_GUINT64_FORMAT " columns are rotated, which does not divide %" G_GUINT64_FORMAT,
                      n, l->size.cols);
  text = g_strdup_printf ("%" G_GUINT64_FORMAT, n);
  add_parameter (l, k->option, text);
  return TRUE;
}

static gboolean
read_group (ComfyLook *l, const ComfyKey *k)
{
  g_autofree char *text = NULL;

  if (l->size.group == 0)
    return senseless (l, "marker-value", "its marker has no %s", k->key);
  text = g_strdup_printf ("%" G_GUINT64_FORMAT, l->size.group);
  add_parameter (l, k->option, text);
  return TRUE;
}

/* The loader of nf4 takes nothing else; the extension formats do not have it */
static gboolean
refuse_flag (const ComfyLook *l, const ComfyKey *k)
{
  gboolean flag;

  return read_flag (l, k, &flag)
         && (!flag || senseless (l, "marker-value", "%s is true in its marker, which is not supported", k->key));
}

static gboolean
check_map (const ComfyLook *l, const ComfyKey *k)
{
  JsonNode *node = marker_member (l, k);
  JsonArray *map = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  return (map != NULL && json_array_get_length (map) == COMFY_MAP_SIZE)
         || senseless (l, "marker-value", "its marker has no %s of %d numbers", k->key, COMFY_MAP_SIZE);
}

/* Once the size is known: parameters that the marker alone says */
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

/* Returns: FALSE where the marker has a number that cannot be meant; the size's group stays 0 where it has none */
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
  const QconvShape *s = &l->weight->shape;
  guint64 n = 0;

  if (s->rank != 2 || !qconv_shape_items (s, &n) || n == 0 || s->dim[1] > LARGEST / per_item || s->dim[0] > LARGEST)
    return senseless (l, "weight-shape", "the weight is no matrix");
  l->size.rows = s->dim[0];
  l->size.cols = s->dim[1] * per_item;
  return TRUE;
}

/* One number or one a row, whatever the format is called */
gboolean
comfy_measure_int8 (ComfyLook *l)
{
  if (!comfy_measure_matrix (l))
    return FALSE;
  for (const ComfyMember *m = l->format->members + 1; m->suffix != NULL; m++)
    if (comfy_look_tensor (l, m) != NULL)
      add_parameter (l, "scaling", g_str_equal (m->component, "row_scale") ? "row" : "tensor");
  return TRUE;
}

static gboolean
is_one (const QconvTensor *t)
{
  guint64 n = 0;

  return qconv_shape_items (&t->shape, &n) && n == 1;
}

/* convert_to_quant falls back to a scale a row and keeps the name */
static gboolean
is_by_rows (const ComfyLook *l, const QconvTensor *scale)
{
  return g_str_equal (l->format->scheme, "fp8_block") && !comfy_form_fit (COMFY_SQUARES, &l->size, scale)
         && comfy_form_fit (COMFY_ROWS, &l->size, scale) == COMFY_FIT_GOOD;
}

gboolean
comfy_measure_squares (ComfyLook *l)
{
  const QconvTensor *scale = sibling (l, ".weight_scale");

  if (!comfy_measure_matrix (l) || !find_group (l))
    return FALSE;
  if (scale != NULL && is_by_rows (l, scale))
    {
      comfy_trouble (l->troubles, COMFY_WARN, l->layer, "scale-shape",
                     "%s with a scale for each row is read as "
                     "float8_e4m3fn_rowwise",
                     l->format->name);
      l->format = comfy_format_find ("float8_e4m3fn_rowwise");
      return TRUE;
    }
  if (l->size.group == 0 && scale != NULL && scale->shape.rank == 2 && scale->shape.dim[0] > 0)
    l->size.group = l->size.rows / scale->shape.dim[0];
  else if (l->size.group == 0 && scale != NULL && is_one (scale))
    l->size.group = l->size.rows;
  return l->size.group == 0 || (group_divides (l, l->size.rows, "rows") && group_divides (l, l->size.cols, "columns"));
}

/* The width of the codes tells how many bits they have */
gboolean
comfy_measure_w4a8 (ComfyLook *l)
{
  const QconvTensor *scale = sibling (l, ".weight_s_rel");

  if (!comfy_measure_matrix (l) || !find_group (l))
    return FALSE;
  if (scale == NULL)
    return TRUE;
  if (!is_one (scale) && (scale->shape.rank != 2 || scale->shape.dim[1] > LARGEST / l->size.group))
    return senseless (l, "scale-shape", "weight_s_rel is no matrix");
  l->size.cols = is_one (scale) ? l->size.group : scale->shape.dim[1] * l->size.group;
  for (const ComfyFormat *f = comfy_format_find (l->format->name); f != NULL; f = comfy_format_next (f))
    if (comfy_form_fit (f->members[0].form, &l->size, l->weight) == COMFY_FIT_GOOD)
      {
        l->format = f;
        break;
      }
  add_parameter (l, "scale-dtype", scale->dtype == QCONV_F32 ? "f32" : "e4m3");
  if (g_str_equal (l->format->scheme, "w4a8"))
    add_parameter (l, "codebook", sibling (l, ".weight_codebook") != NULL ? "table" : "none");
  return TRUE;
}

gboolean
comfy_measure_awq (ComfyLook *l)
{
  const QconvTensor *scale = sibling (l, ".weight_scale"), *zero = find_member (l, &l->format->members[2]);

  if (!comfy_measure_matrix (l) || !find_group (l) || !group_divides (l, l->size.cols, "columns"))
    return FALSE;
  if (scale == NULL || zero == NULL)
    return TRUE;
  if (scale->dtype != zero->dtype)
    return senseless (l, "dtype", "its scales are %s and its zeros %s", qconv_dtype_name (scale->dtype),
                      qconv_dtype_name (zero->dtype));
  add_parameter (l, "scale-dtype", scale->dtype == QCONV_F16 ? "f16" : scale->dtype == QCONV_BF16 ? "bf16" : "f32");
  return TRUE;
}

/* Only the marker knows what was made flat */
gboolean
comfy_measure_flat (ComfyLook *l)
{
  JsonNode *node = l->marker != NULL ? comfy_marker_member (l->marker, "shape") : NULL;
  JsonArray *shape = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  gint64 dim[2] = { 0, 0 }, n;

  for (guint i = 0; shape != NULL && json_array_get_length (shape) == 2 && i < 2; i++)
    if (comfy_node_is (json_array_get_element (shape, i), G_TYPE_INT64))
      dim[i] = json_array_get_int_element (shape, i);
  if (dim[0] <= 0 || dim[1] <= 0 || __builtin_mul_overflow (dim[0], dim[1], &n))
    return senseless (l, "marker-value", "its marker has no shape of a matrix");
  l->size.rows = (guint64) dim[0];
  l->size.cols = (guint64) dim[1];
  return find_group (l);
}

/* ---- The whole ---- */

static gboolean
measure (ComfyLook *l)
{
  l->weight = qconv_directory_find2 (l->directory, l->layer, ".weight");
  if (l->weight == NULL)
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

  l->directory = d;
  l->layer = layer;
  l->format = format;
  l->marker = marker;
  l->parameters = g_string_new (NULL);
  l->troubles = troubles;
  if (measure (l))
    comfy_check_members (l);
  return l;
}

void
comfy_look_free (ComfyLook *l)
{
  g_string_free (l->parameters, TRUE);
  g_free (l);
}
