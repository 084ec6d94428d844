/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims measured layers: binds their tensors, and hands the keys of their markers on as hints. */
#include "claim.h"

#include "check.h"
#include "load.h"
#include "marker-text.h"
#include "swizzle.h"

/* The layout of block scales (@tiles, else plain rows) and nibbles (@high: even columns in high ones) of one layer. */
typedef struct {
  gboolean tiles, high;
} Layout;

/* Finds how scales and nibbles lie. Returns FALSE if neither shapes nor @options decide it. */
static gboolean
find_layout (const ComfyLook *l, const QconvValues *options, Layout *found)
{
  const char *layout = qconv_values_string (options, "scale-layout");
  const char *nibbles = qconv_values_string (options, "nibble-order");
  const QconvTensor *scale = comfy_members_named (&l->members, ".weight_scale");
  gboolean marked = l->marker != NULL, tiles, plain;

  if (l->size.align == 0)
    return TRUE;
  tiles = comfy_scales_swizzled (&l->size, scale);
  plain = comfy_scales_plain (&l->size, scale);
  if (g_str_equal (layout, "swizzled"))
    plain = FALSE;
  else if (g_str_equal (layout, "plain"))
    tiles = FALSE;
  if ((!tiles && !plain) || (tiles && plain && !marked && l->judged == COMFY_SCALES_UNKNOWN))
    return FALSE;
  found->tiles = tiles && plain && !marked ? l->judged == COMFY_SCALES_TILES : tiles;
  /* ModelOpt stores plain scales beside codes with the even column low; markers and tiles are ComfyUI's */
  found->high = g_str_equal (nibbles, "auto") ? marked || found->tiles : g_str_equal (nibbles, "high");
  return TRUE;
}

/* Returns: (transfer full) (nullable): "params" without the keys of the format, which are written outside of it; NULL
   if no key is left. */
static JsonNode *
other_params (const ComfyFormat *f, JsonObject *params)
{
  g_autoptr (GList) keys = json_object_get_members (params);
  g_autoptr (JsonObject) others = json_object_new ();

  for (GList *key = keys; key != NULL; key = key->next)
    if (comfy_format_key (f, key->data) == NULL)
      json_object_set_member (others, key->data, json_node_copy (json_object_get_member (params, key->data)));
  if (json_object_get_size (others) == 0)
    return NULL;
  return json_node_init_object (json_node_alloc (), others);
}

/* Hints that @key is @node. @node: (nullable) (transfer full) */
static void
hint_json (QconvClaim *claim, const char *key, JsonNode *node)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (node == NULL)
    return;
  comfy_append_json (text, node);
  qconv_claim_hint (claim, key, text->str);
  json_node_unref (node);
}

/* Hints all keys of the marker, so that they come back in the marker of the output if the layer moves. */
static void
hint_marker (QconvClaim *claim, const ComfyLook *l)
{
  g_autoptr (GList) keys = json_object_get_members (l->marker);
  g_autofree char *name = g_strdup_printf ("\"%s\"", l->format->name);

  for (GList *key = keys; key != NULL; key = key->next)
    {
      JsonNode *node = json_object_get_member (l->marker, key->data);
      gboolean params = g_str_equal (key->data, "params") && JSON_NODE_HOLDS_OBJECT (node);

      hint_json (claim, key->data,
                 params ? other_params (l->format, json_node_get_object (node)) : json_node_copy (node));
    }
  for (const ComfyKey *k = l->format->keys; k != NULL && k->key != NULL; k++)
    if (!json_object_has_member (l->marker, k->key) && comfy_marker_member (l->marker, k->key) != NULL)
      hint_json (claim, k->key, json_node_copy (comfy_marker_member (l->marker, k->key)));
  qconv_claim_hint (claim, "format", name);
}

static QconvLoadFunc
load_of (const ComfyMember *m, const Layout *layout)
{
  if (m->load == comfy_load_scales_swizzled && !layout->tiles)
    return comfy_load_scales_plain;
  if (m->load == comfy_load_nibbles_high && !layout->high)
    return comfy_load_nibbles_low;
  return m->load;
}

/* Returns the bytes that the load function of @m allocates. */
static gsize
scratch_of (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t, const Layout *layout)
{
  switch (m->form)
    {
    case COMFY_SWIZZLED:
      return layout->tiles ? comfy_form_run (COMFY_SWIZZLED, &l->size).n : 0;
    case COMFY_SIXES:
    case COMFY_FLAT:
    case COMFY_FLAT_COLUMN:
      return (gsize) l->size.cols + 2;
    case COMFY_ACROSS:
      return t->n_bytes;
    default:
      return 0;
    }
}

static void
bind_members (QconvClaim *claim, const ComfyLook *l, const Layout *layout, QconvClaims *claims)
{
  gsize scratch = 0;

  for (const ComfyMember *m = l->format->members; m->suffix != NULL; m++)
    {
      const QconvTensor *t = comfy_members_own (&l->members, m);

      if (t == NULL)
        continue;
      if (m->component != NULL && !comfy_is_odd_input (l, m, t))
        qconv_claim_bind (claim, m->component, load_of (m, layout), t, NULL);
      else
        qconv_claims_drop (claims, t);
      scratch = MAX (scratch, scratch_of (l, m, t, layout));
    }
  if (comfy_format_key (l->format, COMFY_MAP) != NULL)
    qconv_claim_bind (claim, "codebook", comfy_load_map, NULL, NULL);
  qconv_claim_cost (claim, layout->tiles ? COMFY_TILE_ROWS : 1, scratch);
}

gboolean
comfy_claim_layer (const ComfyLook *l, const QconvValues *options, QconvClaims *claims)
{
  Layout layout = { FALSE, FALSE };
  QconvClaim *claim;

  if (!find_layout (l, options, &layout))
    return FALSE;
  claim = qconv_claims_layer (claims, l->layer, l->format->scheme, l->parameters->str, l->rows, l->cols, l->dtype);
  bind_members (claim, l, &layout, claims);
  if (l->marker != NULL)
    hint_marker (claim, l);
  return TRUE;
}
