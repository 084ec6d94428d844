/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "comfy.h"

#include <string.h>

#include "comfyui.h"

#define FOREIGN_LARGEST 64

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
/* Codes of other toolkits */
#define SCALED 20

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
      else if (best < SCALED && comfy_has_scaled (d, t))
        best = SCALED;
      else if (best == 0 && comfy_is_orphan (d, t))
        best = 10;
    }
  return best;
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

static void
claim_unknown (const QconvDirectory *d, const ComfyMarker *m, QconvClaims *claims)
{
  const QconvTensor *weight = qconv_directory_find2 (d, m->layer, ".weight");
  guint64 rows = weight->shape.rank > 0 ? weight->shape.dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (&weight->shape, &items) && rows > 0 ? items / rows : 0;

  qconv_claim_bind (claim_foreign (m, rows, cols, claims), "codes", NULL, weight, NULL);
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

static gboolean
wrong_layout (const char *layer, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_INPUT, "%s: weight_scale does not have the shape that scale-layout asks for",
                     layer);
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
      g_autoptr (ComfyLook) look = NULL;
      const ComfyTrouble *fatal;

      if (!is_unmarked (d, qconv_directory_tensor (d, i), &layer) || g_hash_table_contains (markers->named, layer)
          || qconv_claims_taken (claims, qconv_directory_find2 (d, layer, ".weight")))
        continue;
      look = comfy_look_new (d, layer, comfy_format_find ("nvfp4"), NULL, troubles);
      fatal = comfy_first_fatal (troubles);
      if (fatal != NULL)
        qconv_claims_warn (claims, "%s: not NVFP4: %s", layer, fatal->message);
      else if (!comfy_claim_layer (look, options, claims))
        {
          if (!g_str_equal (qconv_values_string (options, "scale-layout"), "auto"))
            return wrong_layout (layer, error);
          qconv_claims_warn (claims,
                             "%s: nothing tells how its block scales lie; say -o comfy.scale-layout=swizzled "
                             "or -o comfy.scale-layout=plain",
                             layer);
        }
    }
  return TRUE;
}

static gboolean
claim_marked (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *looks, const QconvValues *options,
              QconvClaims *claims, GError **error)
{
  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);

      if (qconv_claims_taken (claims, qconv_directory_find2 (d, m->layer, ".weight")))
        continue;
      if (m->tensor != NULL)
        qconv_claims_drop (claims, m->tensor);
      if (m->format == NULL)
        claim_unknown (d, m, claims);
      else if (!comfy_claim_layer (g_ptr_array_index (looks, i), options, claims))
        return wrong_layout (m->layer, error);
    }
  return TRUE;
}

/* Returns: (transfer full): a #ComfyLook for each marker */
static GPtrArray *
look_at_all (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *troubles)
{
  GPtrArray *looks = g_ptr_array_new_with_free_func ((GDestroyNotify) comfy_look_free);

  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);

      g_ptr_array_add (looks, comfy_look_new (d, m->layer, m->format, json_node_get_object (m->json), troubles));
    }
  return looks;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) troubles = comfy_troubles_new (), later = comfy_troubles_new ();
  g_autoptr (ComfyMarkers) markers = comfy_markers_read (d, options, troubles);
  g_autoptr (GPtrArray) looks = look_at_all (d, markers, troubles);
  const ComfyTrouble *fatal = comfy_first_fatal (troubles);
  /* What ComfyUI does with the older form where markers are: the reader of that form comes later */
  gboolean old_too = markers->list->len + markers->idle->len == 0 || qconv_directory_metadata (d, COMFY_HEADER) != NULL;

  if (fatal != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s%s%s", fatal->layer != NULL ? fatal->layer : "",
                       fatal->layer != NULL ? ": " : "", fatal->message);
  warn_once_each (claims, troubles);
  if (!claim_marked (d, markers, looks, options, claims, error))
    return FALSE;
  for (guint i = 0; i < markers->idle->len; i++)
    qconv_claims_drop (claims, g_ptr_array_index (markers->idle, i));
  qconv_claims_drop_metadata (claims, COMFY_HEADER);
  if (!claim_unmarked (d, markers, options, claims, error))
    return FALSE;
  comfy_claim_scaled (d, old_too, options, claims, later);
  comfy_drop_orphans (d, markers, old_too, claims, later);
  warn_once_each (claims, later);
  return TRUE;
}

/* In files that are meant for it: types that the loader does not know */
static void
check_types (const QconvDirectory *d, GPtrArray *troubles)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (!qconv_comfyui_knows (t->dtype))
        comfy_trouble (troubles, COMFY_NOTE, NULL, "dtype", "%s is %s, a type that its loader does not know", t->name,
                       qconv_dtype_name (t->dtype));
    }
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) troubles = comfy_troubles_new ();
  g_autoptr (ComfyMarkers) markers = comfy_markers_read (d, NULL, troubles);

  for (guint i = 0; i < markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (markers->list, i);
      g_autoptr (ComfyLook) look = comfy_look_new (d, m->layer, m->format, json_node_get_object (m->json), troubles);

      if (look->format != NULL)
        comfy_check_numbers (look);
    }
  if (score (self, d) >= UNMARKED)
    check_types (d, troubles);
  comfy_check_scaled (d, markers, troubles);
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
  { .name = "truth",
    .type = QCONV_CHOICE,
    .value = "header",
    .choices = (const char *const[]) { "header", "markers", NULL },
    .help = N_ ("what counts where the header and a marker disagree; ComfyUI believes the header") },
  { .name = "unmarked-convrot",
    .type = QCONV_CHOICE,
    .value = "none",
    .choices = (const char *const[]) { "none", "4", "16", "64", "256", "1024", NULL },
    .help = N_ ("columns that are rotated together in layers whose marker is blank or missing: no tensor tells") },
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
