/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "comfy.h"

#include <string.h>

#define FOREIGN_LARGEST 64

/* Where the parts of one NVFP4 layer lie and how they are meant */
typedef struct {
  const QconvTensor *weight, *scale, *whole;
  guint64 rows, cols, blocks; /* as stored */
  gboolean tiles, high;
} Nvfp4;

static gboolean
is_unmarked (const QconvDirectory *d, const QconvTensor *whole, char **layer)
{
  const QconvTensor *weight, *scale;

  if (!g_str_has_suffix (whole->name, ".weight_scale_2"))
    return FALSE;
  *layer = g_strndup (whole->name, strlen (whole->name) - strlen (".weight_scale_2"));
  weight = qconv_directory_find2 (d, *layer, ".weight");
  scale = qconv_directory_find2 (d, *layer, ".weight_scale");
  if (weight != NULL && weight->dtype == QCONV_U8 && scale != NULL && scale->dtype == QCONV_F8_E4M3)
    return TRUE;
  g_clear_pointer (layer, g_free);
  return FALSE;
}

/* What score() gives files with NVFP4 that no marker speaks of */
#define UNMARKED 30

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  guint best = qconv_directory_metadata (d, COMFY_HEADER) != NULL ? 90 : 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d) && best < 90; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;

      if (g_str_has_suffix (t->name, COMFY_MARKER))
        best = 90;
      else if (best < UNMARKED && is_unmarked (d, t, &layer))
        best = UNMARKED;
      else if (best == 0 && comfy_has_scaled (d, t))
        best = 20;
    }
  return best;
}

/* The type before quantization is not stored; biases mostly keep it */
static QconvDType
original_dtype (const QconvDirectory *d, const char *layer, JsonObject *marker)
{
  const QconvTensor *bias = qconv_directory_find2 (d, layer, ".bias");
  JsonNode *node = marker != NULL ? json_object_get_member (marker, "orig_dtype") : NULL;
  const char *name = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_string (node) : NULL;

  if (g_strcmp0 (name, "torch.float16") == 0)
    return QCONV_F16;
  if (g_strcmp0 (name, "torch.float32") == 0)
    return QCONV_F32;
  return bias != NULL && bias->dtype == QCONV_F16 ? QCONV_F16 : QCONV_BF16;
}

/* Returns: @hint where padding to 16 makes @stored of it, else @stored */
static guint64
without_padding (guint64 stored, guint64 hint)
{
  return hint > 0 && hint < stored && stored - hint < 16 && stored % 16 == 0 ? hint : stored;
}

/* The size before padding: from what some writers put into the marker, or from siblings that are not padded */
static void
original_shape (const QconvDirectory *d, const char *layer, JsonObject *marker, guint64 *rows, guint64 *cols)
{
  const QconvTensor *bias = qconv_directory_find2 (d, layer, ".bias");
  const QconvTensor *before = qconv_directory_find2 (d, layer, ".pre_quant_scale");
  JsonNode *node = marker != NULL ? json_object_get_member (marker, "orig_shape") : NULL;
  JsonArray *shape = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (shape != NULL && json_array_get_length (shape) == 2 && JSON_NODE_HOLDS_VALUE (json_array_get_element (shape, 0))
      && JSON_NODE_HOLDS_VALUE (json_array_get_element (shape, 1)))
    {
      *rows = without_padding (*rows, (guint64) MAX (json_array_get_int_element (shape, 0), 0));
      *cols = without_padding (*cols, (guint64) MAX (json_array_get_int_element (shape, 1), 0));
    }
  if (bias != NULL && bias->shape.rank == 1)
    *rows = without_padding (*rows, bias->shape.dim[0]);
  if (before != NULL && before->shape.rank == 1)
    *cols = without_padding (*cols, before->shape.dim[0]);
}

/* Returns: FALSE where it cannot be known how the scales lie */
static gboolean
find_layout (const QconvValues *options, gboolean marked, Nvfp4 *n)
{
  const char *layout = qconv_values_string (options, "scale-layout");
  const char *nibbles = qconv_values_string (options, "nibble-order");
  gboolean tiles = comfy_scales_swizzled (n->weight, n->scale, n->blocks);
  gboolean plain = comfy_scales_plain (n->weight, n->scale, n->blocks);

  if (g_str_equal (layout, "swizzled"))
    plain = FALSE;
  else if (g_str_equal (layout, "plain"))
    tiles = FALSE;
  if ((!tiles && !plain) || (tiles && plain && !marked))
    return FALSE;
  n->tiles = tiles;
  /* ModelOpt stores plain scales beside low-first codes; a marker or tiles are ComfyUI's way */
  n->high = g_str_equal (nibbles, "auto") ? marked || tiles : g_str_equal (nibbles, "high");
  return TRUE;
}

/* Keys beyond the format come back in the marker of a file that the layer moves to */
static void
hint_marker (QconvClaim *l, JsonObject *marker)
{
  g_autoptr (GList) keys = json_object_get_members (marker);

  for (GList *key = keys; key != NULL; key = key->next)
    {
      g_autoptr (GString) text = g_string_new (NULL);

      if (g_str_equal (key->data, "format"))
        continue;
      comfy_append_json (text, json_object_get_member (marker, key->data));
      qconv_claim_hint (l, key->data, text->str);
    }
}

/* @marker: (nullable): NULL for a layer that has none, which is left unclaimed where it cannot be understood */
static gboolean
claim_nvfp4 (const QconvDirectory *d, const char *layer, JsonObject *marker, const QconvValues *options,
             QconvClaims *claims, GError **error)
{
  Nvfp4 n = { .weight = qconv_directory_find2 (d, layer, ".weight"),
              .scale = qconv_directory_find2 (d, layer, ".weight_scale"),
              .whole = qconv_directory_find2 (d, layer, ".weight_scale_2") };
  guint64 rows = n.weight->shape.dim[0], cols = n.weight->shape.dim[1] * 2;
  const QconvTensor *input = qconv_directory_find2 (d, layer, ".input_scale");
  const QconvTensor *before = qconv_directory_find2 (d, layer, ".pre_quant_scale");
  QconvClaim *l;

  n.blocks = comfy_round_up (cols, 16) / 16;
  if (!find_layout (options, marker != NULL, &n))
    {
      if (marker == NULL && g_str_equal (qconv_values_string (options, "scale-layout"), "auto"))
        {
          qconv_claims_warn (claims, "%s: nothing tells how its block scales lie; say -o comfy.scale-layout=swizzled "
                                     "or -o comfy.scale-layout=plain", layer);
          return TRUE;
        }
      return qconv_fail (error, QCONV_ERROR_INPUT,
                         "%s: weight_scale does not have the shape that scale-layout asks for", layer);
    }
  original_shape (d, layer, marker, &rows, &cols);
  l = qconv_claims_layer (claims, layer, "nvfp4", NULL, rows, cols, original_dtype (d, layer, marker));
  qconv_claim_bind (l, "codes", n.high ? comfy_load_codes_high : comfy_load_codes_low, n.weight, NULL);
  qconv_claim_bind (l, "block_scale", n.tiles ? comfy_load_scales_swizzled : comfy_load_scales_plain, n.scale, NULL);
  qconv_claim_bind (l, "tensor_scale", NULL, n.whole, NULL);
  if (input != NULL)
    qconv_claim_bind (l, "input_scale", NULL, input, NULL);
  if (before != NULL)
    qconv_claim_bind (l, "pre_quant_scale", NULL, before, NULL);
  if (n.tiles)
    qconv_claim_cost (l, COMFY_TILE_ROWS, COMFY_TILE_ROWS * comfy_round_up (n.blocks, COMFY_TILE_COLS));
  if (marker != NULL)
    hint_marker (l, marker);
  return TRUE;
}

/* A word of the file, as a scheme that no quantizer has: their ids have no colon */
static QconvClaim *
claim_foreign (const ComfyMarker *m, guint64 rows, guint64 cols, QconvClaims *claims)
{
  g_autofree char *word = g_strndup (m->name, FOREIGN_LARGEST), *scheme = NULL;

  g_strcanon (word, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-", '_');
  scheme = g_strconcat ("comfy:", word, NULL);
  return qconv_claims_layer (claims, m->layer, scheme, NULL, rows, cols, QCONV_BF16);
}

/* Schemes whose quantizers may not be there: tensors as they are, under the names that they have here */
static void
claim_other (const QconvDirectory *d, const ComfyMarker *m, QconvClaims *claims)
{
  const QconvTensor *weight = qconv_directory_find2 (d, m->layer, ".weight");
  guint64 rows = weight->shape.rank > 0 ? weight->shape.dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (&weight->shape, &items) && rows > 0 ? items / rows : 0;
  QconvClaim *l;

  if (m->format == NULL)
    {
      l = claim_foreign (m, rows, cols, claims);
      qconv_claim_bind (l, "codes", NULL, weight, NULL);
      return;
    }
  l = qconv_claims_layer (claims, m->layer, m->format->scheme, NULL, rows, cols * m->format->per_item,
                          original_dtype (d, m->layer, json_node_get_object (m->json)));
  for (const ComfyMember *member = m->format->members; member->suffix != NULL; member++)
    {
      const QconvTensor *t = qconv_directory_find2 (d, m->layer, member->suffix);

      if (t != NULL)
        qconv_claim_bind (l, member->component, NULL, t, NULL);
    }
  hint_marker (l, json_node_get_object (m->json));
}

static const ComfyTrouble *
first_fatal (const GPtrArray *troubles)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const ComfyTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == COMFY_FATAL)
        return t;
    }
  return NULL;
}

/* One line for each kind of trouble, however many layers have it */
static void
warn_once_each (QconvClaims *claims, const GPtrArray *troubles)
{
  g_autoptr (GHashTable) counts = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < troubles->len; i++)
    {
      const ComfyTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == COMFY_WARN)
        g_hash_table_insert (counts, (gpointer) t->code,
                             GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (counts, t->code)) + 1));
    }
  for (guint i = 0; i < troubles->len; i++)
    {
      const ComfyTrouble *t = g_ptr_array_index (troubles, i);
      guint n = t->weight == COMFY_WARN ? GPOINTER_TO_UINT (g_hash_table_lookup (counts, t->code)) : 0;

      if (n > 1)
        qconv_claims_warn (claims, "%s: %s (and %u more like this)", t->layer, t->message, n - 1);
      else if (n == 1)
        qconv_claims_warn (claims, "%s: %s", t->layer, t->message);
      if (n > 0)
        g_hash_table_remove (counts, t->code);
    }
}

/* Layers of other toolkits, or ones whose markers got lost: plain files but for their codes */
static gboolean
claim_unmarked (const QconvDirectory *d, const ComfyMarkers *markers, const QconvValues *options, QconvClaims *claims,
                GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      g_autoptr (GPtrArray) troubles = comfy_troubles_new ();
      g_autofree char *layer = NULL;
      const ComfyTrouble *fatal;

      if (!is_unmarked (d, qconv_directory_tensor (d, i), &layer)
          || g_hash_table_contains (markers->named, layer)
          || qconv_claims_taken (claims, qconv_directory_find2 (d, layer, ".weight")))
        continue;
      comfy_check_layer (d, layer, comfy_nvfp4, troubles);
      fatal = first_fatal (troubles);
      if (fatal != NULL)
        qconv_claims_warn (claims, "%s: not NVFP4: %s", layer, fatal->message);
      else if (!claim_nvfp4 (d, layer, NULL, options, claims, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) troubles = comfy_troubles_new (), later = comfy_troubles_new ();
  g_autoptr (ComfyMarkers) markers = comfy_markers_read (d, troubles);
  const ComfyTrouble *fatal;

  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);

      comfy_check_layer (d, m->layer, m->format, troubles);
    }
  fatal = first_fatal (troubles);
  if (fatal != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s%s%s", fatal->layer != NULL ? fatal->layer : "",
                       fatal->layer != NULL ? ": " : "", fatal->message);
  warn_once_each (claims, troubles);
  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);

      if (qconv_claims_taken (claims, qconv_directory_find2 (d, m->layer, ".weight")))
        continue;
      if (m->tensor != NULL)
        qconv_claims_drop (claims, m->tensor);
      if (m->format != comfy_nvfp4)
        claim_other (d, m, claims);
      else if (!claim_nvfp4 (d, m->layer, json_node_get_object (m->json), options, claims, error))
        return FALSE;
    }
  qconv_claims_drop_metadata (claims, COMFY_HEADER);
  if (!claim_unmarked (d, markers, options, claims, error))
    return FALSE;
  comfy_claim_scaled (d, claims, later);
  warn_once_each (claims, later);
  return TRUE;
}

/* In files that are meant for it: scales that nobody will apply, and types that the loader does not know */
static void
check_tensors (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *troubles)
{
  static const char *const scales[] = { ".weight_scale", ".weight_scale_2", ".scale_weight", ".weight_scale_inv" };

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (!comfy_knows_dtype (t->dtype))
        comfy_trouble (troubles, COMFY_NOTE, NULL, "dtype", "%s is %s, a type that its loader does not know", t->name,
                       qconv_dtype_name (t->dtype));
      for (guint j = 0; j < G_N_ELEMENTS (scales); j++)
        if (g_str_has_suffix (t->name, scales[j]))
          {
            g_autofree char *layer = g_strndup (t->name, strlen (t->name) - strlen (scales[j]));

            if (!g_hash_table_contains (markers->named, layer))
              comfy_trouble (troubles, COMFY_NOTE, layer, "no-marker", "%s has no effect without a marker",
                             scales[j] + 1);
          }
    }
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) troubles = comfy_troubles_new ();
  g_autoptr (ComfyMarkers) markers = comfy_markers_read (d, troubles);

  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);

      comfy_check_layer (d, m->layer, m->format, troubles);
      if (m->format == comfy_nvfp4)
        comfy_check_numbers (d, m->layer, troubles);
    }
  if (score (self, d) >= UNMARKED)
    check_tensors (d, markers, troubles);
  for (guint i = 0; i < troubles->len; i++)
    {
      const ComfyTrouble *t = g_ptr_array_index (troubles, i);

      qconv_problems_add (problems, t->layer, t->code, "%s", t->message);
    }
}

static const QconvOption options_table[] = {
  { .name = "scale-layout",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "swizzled", "plain", NULL },
    .help = N_ ("how NVFP4 block scales lie where neither a marker nor their shape tells") },
  { .name = "nibble-order",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "high", "low", NULL },
    .help = N_ ("nibble that holds the even columns of NVFP4 codes") },
  { .name = NULL },
};

const QconvReader comfy_reader = {
  .id = "comfy",
  .summary = N_ ("layers marked by comfy_quant"),
  .options = options_table,
  .score = score,
  .claim = claim,
  .check = check,
};
