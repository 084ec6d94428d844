/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lora/lora-file.h"

#include <math.h>
#include <string.h>

#include "base/json-text.h"
#include "io/directory.h"
#include "layer/load.h"

/* ---- Keys ---- */

typedef struct {
  const char *suffix;
  LoraRole role;
  const char *refused;
} Suffix;

/* ComfyUI: comfy/lora.py and comfy/weight_adapter; kohya sd-scripts; peft; LyCORIS */
static const Suffix suffixes[] = {
  { ".lora_up.weight", LORA_UP },
  { ".lora_down.weight", LORA_DOWN },
  { "_lora.up.weight", LORA_UP },
  { "_lora.down.weight", LORA_DOWN },
  { ".lora.up.weight", LORA_UP },
  { ".lora.down.weight", LORA_DOWN },
  { ".lora_B.weight", LORA_UP },
  { ".lora_A.weight", LORA_DOWN },
  { ".lora_B.default.weight", LORA_UP },
  { ".lora_A.default.weight", LORA_DOWN },
  { ".lora_B", LORA_UP },
  { ".lora_A", LORA_DOWN },
  { ".lora_linear_layer.up.weight", LORA_UP },
  { ".lora_linear_layer.down.weight", LORA_DOWN },
  { ".alpha", LORA_ALPHA },
  { ".diff", LORA_DIFF },
  { ".w_norm", LORA_DIFF },
  { ".diff_b", LORA_DIFF_BIAS },
  { ".b_norm", LORA_DIFF_BIAS },
  { ".hada_w1_a", LORA_HADA_1A },
  { ".hada_w1_b", LORA_HADA_1B },
  { ".hada_w2_a", LORA_HADA_2A },
  { ".hada_w2_b", LORA_HADA_2B },
  { ".lokr_w1", LORA_KRON_1 },
  { ".lokr_w1_a", LORA_KRON_1A },
  { ".lokr_w1_b", LORA_KRON_1B },
  { ".lokr_w2", LORA_KRON_2 },
  { ".lokr_w2_a", LORA_KRON_2A },
  { ".lokr_w2_b", LORA_KRON_2B },
  { ".dora_scale", LORA_REFUSED, "DoRA" },
  { ".lora_magnitude_vector", LORA_REFUSED, "DoRA" },
  { ".lora_magnitude_vector.weight", LORA_REFUSED, "DoRA" },
  { ".lora_magnitude_vector.default.weight", LORA_REFUSED, "DoRA" },
  { ".lora_mid.weight", LORA_REFUSED, "a LoRA with a middle factor (lora_mid)" },
  { ".lora_B.bias", LORA_REFUSED, "a LoRA with a bias of its own" },
  { ".lora_up.bias", LORA_REFUSED, "a LoRA with a bias of its own" },
  { ".hada_t1", LORA_REFUSED, "LoHa in Tucker form" },
  { ".hada_t2", LORA_REFUSED, "LoHa in Tucker form" },
  { ".lokr_t1", LORA_REFUSED, "LoKr in Tucker form" },
  { ".lokr_t2", LORA_REFUSED, "LoKr in Tucker form" },
  { ".set_weight", LORA_REFUSED, "a weight that replaces another (set_weight)" },
  { ".reshape_weight", LORA_REFUSED, "a weight of another shape (reshape_weight)" },
  { ".a1.weight", LORA_REFUSED, "GLoRA" },
  { ".a2.weight", LORA_REFUSED, "GLoRA" },
  { ".b1.weight", LORA_REFUSED, "GLoRA" },
  { ".b2.weight", LORA_REFUSED, "GLoRA" },
  { ".oft_blocks", LORA_REFUSED, "OFT" },
  { ".oft_diag", LORA_REFUSED, "OFT" },
  { ".oft_R.weight", LORA_REFUSED, "OFT" },
  { ".on_input", LORA_REFUSED, "IA3" },
};

/* Returns: (transfer full) (nullable): the layer as @key spells it; NULL: it ends like no key of a LoRA */
static char *
parse_key (const char *key, LoraRole *role, const char **refused)
{
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      gsize n = strlen (key), m = strlen (suffixes[i].suffix);

      if (n <= m || strcmp (key + n - m, suffixes[i].suffix) != 0)
        continue;
      *role = suffixes[i].role;
      *refused = suffixes[i].refused;
      return g_strndup (key, n - m);
    }
  return NULL;
}

/* ---- Groups ---- */

static void
free_group (gpointer data)
{
  LoraGroup *g = data;

  g_free (g->layer);
  g_free (g);
}

/* @layer: (transfer full) */
static LoraGroup *
find_group (LoraFile *f, GHashTable *by_layer, char *layer)
{
  LoraGroup *g = g_hash_table_lookup (by_layer, layer);

  if (g != NULL)
    {
      g_free (layer);
      return g;
    }
  g = g_new0 (LoraGroup, 1);
  g->layer = layer;
  g_ptr_array_add (f->groups, g);
  g_hash_table_insert (by_layer, g->layer, g);
  return g;
}

static gboolean
put_tensor (LoraFile *f, GHashTable *by_layer, SourceLayer *s, GError **error)
{
  const char *refused;
  LoraRole role;
  char *layer = parse_key (s->plain_name, &role, &refused);
  LoraGroup *g;

  if (layer == NULL)
    {
      g_ptr_array_add (f->strangers, s);
      return TRUE;
    }
  g = find_group (f, by_layer, layer);
  if (role == LORA_REFUSED)
    g->refused = refused;
  else if (g->roles[role] != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" and \"%s\" say the same", g->roles[role]->plain_name,
                       s->plain_name);
  g->roles[role] = s;
  return TRUE;
}

static gboolean
list_groups (LoraFile *f, GError **error)
{
  g_autoptr (GHashTable) by_layer = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < f->tensors->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (f->tensors, i);
      QconvDType dtype = s->layer->pub.dtype;

      if (!put_tensor (f, by_layer, s, error))
        return FALSE;
      if (!qconv_dtype_is_float (dtype) && dtype != QCONV_F8_E4M3 && dtype != QCONV_F8_E5M2)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "\"%s\" is %s, not floats", s->plain_name,
                           qconv_dtype_name (dtype));
    }
  return TRUE;
}

gboolean
qconv_lora_alpha (const SourceLayer *s, double *alpha, GError **error)
{
  gsize cost = qconv_floats_cost (s, 1, FALSE);
  g_autofree guint8 *memory = NULL;
  Arena arena;
  QconvBuffer floats;
  float value;

  if (s->layer->pub.rows != 1 || s->layer->pub.cols != 1)
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is not one number", s->plain_name);
  memory = g_malloc (cost);
  arena = (Arena) { .base = memory, .size = cost };
  if (!qconv_floats_load (s, NULL, &(Rows) { 0, 1, &arena, NULL }, FALSE, &floats, error))
    return FALSE;
  memcpy (&value, floats.data, sizeof value);
  *alpha = (double) value;
  return isfinite (value) || qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is not finite", s->plain_name);
}

/* ---- Metadata ---- */

#define ALPHA "lora_alpha"

/* 0 where it is no number */
static double
number_of (JsonObject *o, const char *member)
{
  JsonNode *node = json_object_get_member (o, member);
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  return type == G_TYPE_DOUBLE || type == G_TYPE_INT64 ? json_node_get_double (node) : 0;
}

/* "transformer.r", "transformer.lora_alpha" …: a configuration of peft (diffusers: LORA_ADAPTER_METADATA_KEY) */
static double
find_ratio (JsonObject *o)
{
  g_autoptr (GList) members = json_object_get_members (o);

  for (GList *l = members; l != NULL; l = l->next)
    {
      const char *name = l->data;
      gboolean ours = g_str_has_suffix (name, ALPHA) && !g_str_has_prefix (name, "text_encoder");
      g_autofree char *prefix = ours ? g_strndup (name, strlen (name) - strlen (ALPHA)) : NULL;
      g_autofree char *r = ours ? g_strconcat (prefix, "r", NULL) : NULL;
      double alpha, rank;

      if (!ours)
        continue;
      alpha = number_of (o, name);
      rank = number_of (o, r);
      if (alpha > 0 && rank > 0)
        return alpha / rank;
    }
  return 1;
}

double
qconv_lora_file_ratio (const LoraFile *f)
{
  GVariant *text = qconv_directory_metadata (f->model->directory, "lora_adapter_metadata");
  g_autoptr (JsonNode) node = NULL;
  const char *json;
  gsize n;

  if (text == NULL || !g_variant_is_of_type (text, G_VARIANT_TYPE_STRING))
    return 1;
  json = g_variant_get_string (text, &n);
  node = qconv_json_text_parse (json, n, NULL);
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? find_ratio (json_node_get_object (node)) : 1;
}

/* ---- Files ---- */

/* What is behind the last colon is a strength where it is a number */
static void
parse_file (const char *text, LoraFile *f)
{
  const char *colon = strrchr (text, ':');
  char *end = NULL;
  double strength = colon != NULL ? g_ascii_strtod (colon + 1, &end) : 1;
  gboolean number
      = colon != NULL && end > colon + 1 && *end == '\0' && !g_ascii_isspace (colon[1]) && isfinite ((float) strength);

  f->strength = number ? strength : 1;
  f->path = number ? g_strndup (text, (gsize) (colon - text)) : g_strdup (text);
}

void
qconv_lora_file_free (LoraFile *f)
{
  g_ptr_array_unref (f->groups);
  g_ptr_array_unref (f->strangers);
  g_clear_pointer (&f->tensors, g_ptr_array_unref);
  g_clear_pointer (&f->model, qconv_model_free);
  g_free (f->path);
  g_free (f);
}

LoraFile *
qconv_lora_file_open (const char *text, GError **error)
{
  const QconvOpenOptions options = { .for_verify = TRUE };
  g_autoptr (LoraFile) f = g_new0 (LoraFile, 1);

  parse_file (text, f);
  f->groups = g_ptr_array_new_with_free_func (free_group);
  f->strangers = g_ptr_array_new ();
  f->model = qconv_model_open (f->path, &options, error);
  if (f->model == NULL)
    {
      g_prefix_error (error, "--lora ");
      return NULL;
    }
  f->tensors = qconv_model_verbatim (f->model, error);
  if (f->tensors != NULL && list_groups (f, error))
    return g_steal_pointer (&f);
  g_prefix_error (error, "--lora %s: ", f->path);
  return NULL;
}
