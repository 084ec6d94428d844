/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes beside a scale without a marker, as other toolkits write them. Those that fit no scheme are left to the reader
   scaled, which claims last. */
#include "scaled.h"

#include <string.h>

#include "claim.h"
#include "code-scale.h"
#include "guess.h"
#include "quant-config.h"
#include "tensor-kind.h"
#include "trouble.h"

/* Tensors beside a weight. Each of the first N_DECIDING shows that the weight is scaled. @old: of the older form;
   @orphan: it may be left over beside a weight that is not quantized; @unmarked: of the form of transformers, which has
   no markers */
static const struct {
  const char *suffix, *component;
  gboolean old, orphan, unmarked;
} members[] = {
  { ".weight_scale", "scale", FALSE, TRUE },           { ".scale_weight", "scale", TRUE, TRUE },
  { ".weight_scale_inv", "scale", FALSE, TRUE, TRUE }, { ".weight_s_rel", "scale", FALSE, FALSE },
  { ".weight_s_channel", "row_scale", FALSE, FALSE },  { ".absmax", "scale", FALSE, FALSE },
  { ".weight_scale_2", "second_scale", FALSE, TRUE },  { ".weight_zero_point", "zero", FALSE, FALSE },
  { ".weight_zeros", "zero", FALSE, FALSE },           { ".weight_zero", "zero", FALSE, FALSE },
  { ".weight_codebook", "codebook", FALSE, FALSE },    { ".input_scale", "input_scale", FALSE, TRUE },
  { ".scale_input", "input_scale", TRUE, TRUE },       { ".pre_quant_scale", "pre_quant_scale", FALSE, FALSE },
};
#define N_DECIDING 6

/* Codes and the scale beside them. */
typedef struct {
  const char *layer;
  const QconvTensor *weight, *scale;
} Pair;

/* Returns the row of members[] for @t, or G_N_ELEMENTS (members). @layer: (transfer full) (nullable): the name before
   the suffix; NULL if there is no row */
static guint
find_member (const QconvTensor *t, char **layer)
{
  guint i = 0;

  *layer = NULL;
  while (i < G_N_ELEMENTS (members) && !g_str_has_suffix (t->name, members[i].suffix))
    i++;
  if (i < G_N_ELEMENTS (members))
    *layer = g_strndup (t->name, strlen (t->name) - strlen (members[i].suffix));
  return i;
}

/* Returns whether bitsandbytes wrote the layer: its table lies beside absmax. */
static gboolean
has_table (const QconvDirectory *d, const char *layer)
{
  return qconv_directory_find2 (d, layer, ".quant_map") != NULL;
}

/* Returns: (transfer none) (nullable): the weight that @scale scales. @layer: (transfer full) (nullable) */
static const QconvTensor *
scaled_weight (const QconvDirectory *d, const QconvTensor *scale, gboolean old_too, char **layer)
{
  guint i = find_member (scale, layer);

  if (i >= N_DECIDING || (members[i].old && !old_too) || has_table (d, *layer))
    return NULL;
  return qconv_directory_find2 (d, *layer, ".weight");
}

static gboolean
holds_codes (const QconvTensor *weight)
{
  return qconv_tensor_is_fp8 (weight) || weight->dtype == QCONV_I8 || weight->dtype == QCONV_U8;
}

gboolean
comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale)
{
  g_autofree char *layer = NULL;
  const QconvTensor *weight = scaled_weight (d, scale, TRUE, &layer);

  return weight != NULL && holds_codes (weight);
}

/* Returns whether a tensor beside the weight scales it. */
static gboolean
has_scale (const QconvDirectory *d, const char *layer)
{
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (!g_str_equal (members[i].component, "input_scale")
        && qconv_directory_find2 (d, layer, members[i].suffix) != NULL)
      return TRUE;
  return FALSE;
}

gboolean
comfy_is_orphan (const QconvDirectory *d, const QconvTensor *scale)
{
  g_autofree char *layer = NULL;
  guint i = find_member (scale, &layer);
  const QconvTensor *weight = layer != NULL ? qconv_directory_find2 (d, layer, ".weight") : NULL;

  return weight != NULL && members[i].orphan
         && (qconv_dtype_is_float (weight->dtype)
             || (qconv_tensor_is_fp8 (weight) && g_str_equal (members[i].component, "input_scale")
                 && !has_scale (d, layer)));
}

/* Returns whether the codes need more than @scale: it is not a weight_scale, or another tensor counts, too. */
static gboolean
is_more (const QconvDirectory *d, const char *layer, const QconvTensor *scale)
{
  static const char *const others[]
      = { ".weight_scale_2", ".weight_zero_point", ".weight_zeros", ".weight_zero", ".pre_quant_scale" };
  guint n_scales = 0;

  for (guint i = 0; i < N_DECIDING; i++)
    n_scales += qconv_directory_find2 (d, layer, members[i].suffix) != NULL;
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    n_scales += qconv_directory_find2 (d, layer, others[i]) != NULL;
  return n_scales > 1 || !g_str_has_suffix (scale->name, ".weight_scale");
}

static void
claim_known (const ComfyRest *r, const Pair *p, const QconvCodeScale *found, const char *parameters)
{
  const QconvTensor *input = qconv_directory_find2 (r->directory, p->layer, ".input_scale");
  QconvClaim *l = qconv_claims_layer (r->claims, p->layer, found->scheme, parameters, p->weight->shape.dim[0],
                                      p->weight->shape.dim[1], QCONV_BF16);

  qconv_claim_bind (l, "codes", NULL, p->weight, NULL);
  qconv_claim_bind (l, found->component, found->load, p->scale, NULL);
  if (input != NULL && !g_str_equal (found->scheme, "int8"))
    qconv_claim_bind (l, "input_scale", NULL, input, NULL);
  else if (input != NULL)
    qconv_claims_drop (r->claims, input);
}

/* Claims packed codes if their format can be seen without a marker. Returns FALSE if it cannot. */
static gboolean
claim_packed (const ComfyRest *r, const Pair *p)
{
  const ComfyFormat *f = comfy_format_guess (r->directory, p->layer);
  g_autoptr (GPtrArray) troubles = qconv_troubles_new ();
  g_autoptr (JsonObject) marker = json_object_new ();
  g_autoptr (ComfyLook) look = NULL;
  g_autofree char *rotation = NULL;
  const QconvTrouble *fatal;

  if (f == NULL || (!g_str_equal (f->name, "asym_w4a8_int8") && !g_str_equal (f->name, "awq_w4a16")))
    return FALSE;
  rotation = comfy_guess_rotation (f, p->weight, r->options, marker);
  look = comfy_look_new (r->directory, p->layer, f, marker, troubles);
  fatal = qconv_troubles_fatal (troubles);
  if (fatal == NULL && comfy_claim_layer (look, r->options, r->claims))
    qconv_trouble_add (r->troubles, QCONV_TROUBLE_WARN, p->layer, "no-marker",
                       "the marker is missing; its tensors look like %s%s", f->name, rotation);
  else if (fatal != NULL)
    qconv_trouble_add (r->troubles, QCONV_TROUBLE_WARN, p->layer, "no-marker",
                       "the marker is missing; it is not %s%s: %s", f->name, rotation, fatal->message);
  return fatal == NULL;
}

/* Returns: (transfer full) (nullable): the parameters; those of INT8 with the rotation that the user names. */
static char *
find_parameters (const ComfyRest *r, const QconvTensor *weight, const QconvCodeScale *found, char **rotation)
{
  const ComfyFormat *f = comfy_format_find ("int8_tensorwise");
  g_autoptr (JsonObject) marker = json_object_new ();

  *rotation
      = g_str_equal (found->scheme, f->scheme) ? comfy_guess_rotation (f, weight, r->options, marker) : g_strdup ("");
  if (json_object_get_size (marker) == 0)
    return g_strdup (found->parameters);
  return g_strdup_printf ("%s,convrot=%" G_GINT64_FORMAT, found->parameters,
                          json_object_get_int_member (marker, "convrot_groupsize"));
}

static void
claim_codes (const ComfyRest *r, const Pair *p)
{
  g_auto (QconvCodeScale) found = { NULL, NULL, NULL, NULL };
  g_autofree char *parameters = NULL, *rotation = NULL;

  if (claim_packed (r, p))
    return;
  if (!is_more (r->directory, p->layer, p->scale))
    qconv_code_scale (p->weight, p->scale, FALSE, &found);
  if (found.scheme == NULL)
    return;
  parameters = find_parameters (r, p->weight, &found, &rotation);
  claim_known (r, p, &found, parameters);
  qconv_trouble_add (r->troubles, QCONV_TROUBLE_WARN, p->layer, "no-marker",
                     "the marker is missing; by its scale the layer is %s%s", found.scheme, rotation);
}

/* Drops the markers of the older form (ComfyUI: comfy/utils.py convert_old_quants). */
static void
drop_file_markers (const QconvDirectory *d, QconvClaims *claims)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const char *last = strrchr (t->name, '.');

      if (g_str_equal (last != NULL ? last + 1 : t->name, COMFY_OLD_MARKER) && !qconv_claims_taken (claims, t))
        qconv_claims_drop (claims, t);
    }
}

void
comfy_claim_scaled (const ComfyRest *r)
{
  gboolean any = FALSE;

  for (guint i = 0; i < qconv_directory_n_tensors (r->directory); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (r->directory, i);
      g_autofree char *layer = NULL;
      const QconvTensor *weight = scaled_weight (r->directory, scale, r->old_too, &layer);

      if (weight == NULL || !holds_codes (weight) || qconv_claims_taken (r->claims, weight)
          || qconv_claims_taken (r->claims, scale))
        continue;
      claim_codes (r, &(Pair) { layer, weight, scale });
      any = TRUE;
    }
  if (any && r->old_too)
    drop_file_markers (r->directory, r->claims);
}

/* ---- Scales that belong to nothing ---- */

/* Returns: (transfer full): names of layers that have a tensor like a weight that is not in members[]. */
static GHashTable *
other_stems (const QconvDirectory *d)
{
  GHashTable *stems = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const char *weight = g_strrstr (t->name, ".weight");
      g_autofree char *layer = NULL;

      if (weight == NULL)
        weight = g_strrstr (t->name, ".qweight");
      if (weight != NULL && find_member (t, &layer) == G_N_ELEMENTS (members))
        g_hash_table_add (stems, g_strndup (t->name, (gsize) (weight - t->name)));
    }
  return stems;
}

/* Returns whether @t can only be a scale. A list of floats may be a parameter of the model with this name. */
static gboolean
is_surely_scale (const QconvTensor *t)
{
  guint64 n = 0;

  return qconv_tensor_is_fp8 (t) || t->dtype == QCONV_F8_E8M0 || (qconv_shape_items (&t->shape, &n) && n == 1);
}

/* Returns: (transfer full) (nullable): why the scale of @p, member @row, scales nothing beside its weight. */
static char *
why_orphan (const ComfyRest *r, const Pair *p, guint row)
{
  const ComfyMarker *m = g_hash_table_lookup (r->markers->named, p->layer);

  if (m != NULL && m->format != NULL)
    return g_strdup_printf ("format %s has none", m->format->name);
  if (!qconv_claims_taken (r->claims, p->weight) && comfy_is_orphan (r->directory, p->scale)
      && (r->old_too || !members[row].old))
    return g_strdup_printf ("the weight is %s, not quantized", qconv_dtype_name (p->weight->dtype));
  return NULL;
}

void
comfy_drop_orphans (const ComfyRest *r)
{
  g_autoptr (GHashTable) stems = other_stems (r->directory);

  for (guint i = 0; i < qconv_directory_n_tensors (r->directory); i++)
    {
      const QconvTensor *scale = qconv_directory_tensor (r->directory, i), *weight;
      g_autofree char *layer = NULL, *why = NULL;
      guint row = find_member (scale, &layer);

      if (layer == NULL || !members[row].orphan || qconv_claims_taken (r->claims, scale))
        continue;
      weight = qconv_directory_find2 (r->directory, layer, ".weight");
      if (weight != NULL)
        why = why_orphan (r, &(Pair) { layer, weight, scale }, row);
      else if (is_surely_scale (scale) && !g_hash_table_contains (stems, layer))
        why = g_strdup ("there is no weight");
      if (why == NULL)
        continue;
      qconv_claims_drop (r->claims, scale);
      qconv_trouble_add (r->troubles, QCONV_TROUBLE_WARN, layer, "orphan", "%s is dropped: %s", members[row].suffix + 1,
                         why);
    }
}

/* The older form counts here only if the header names layers; else its own reader checks it. Scales that a JSON file
   beside the weights describes are for its loader. */
void
comfy_check_scaled (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *troubles)
{
  g_autoptr (QuantConfig) config = quant_config_read (d, NULL, NULL);
  gboolean old_too = qconv_directory_metadata (d, COMFY_HEADER) != NULL, described = config->object != NULL;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *layer = NULL;
      guint row = find_member (t, &layer);
      const QconvTensor *weight = layer != NULL ? qconv_directory_find2 (d, layer, ".weight") : NULL;
      gboolean scales = row < N_DECIDING || (layer != NULL && g_str_equal (members[row].suffix, ".weight_scale_2"));

      if (weight == NULL || !scales || (members[row].old && !old_too) || g_hash_table_contains (markers->named, layer)
          || ((members[row].unmarked || described) && holds_codes (weight))
          || (!members[row].orphan && (!holds_codes (weight) || has_table (d, layer))))
        continue;
      qconv_trouble_add (troubles, QCONV_TROUBLE_NOTE, layer, "no-marker", "%s has no effect without a marker",
                         members[row].suffix + 1);
    }
}
