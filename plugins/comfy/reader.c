/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of marked layers: reads a file once, then claims it or lists its problems. */
#include "reader.h"

#include <string.h>

#include "check.h"
#include "claim.h"
#include "comfyui.h"
#include "evidence.h"
#include "scaled.h"
#include "trouble.h"

#define FOREIGN_LARGEST 64

/* Returns whether @whole is the tensor scale of an NVFP4 layer. @layer: (transfer full): its name, if so */
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

/* Score of a file with NVFP4 layers without markers. */
#define UNMARKED 30
/* Score of a file with other codes beside scales. */
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

/* Starts a layer whose scheme is "comfy:" and the word of the file. No quantizer has such a scheme: ids have no
   colon. */
static QconvClaim *
claim_foreign (const ComfyMarker *m, guint64 rows, guint64 cols, QconvClaims *claims)
{
  g_autofree char *word = g_strndup (m->name, FOREIGN_LARGEST), *scheme = NULL;

  g_strcanon (word, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-", '_');
  scheme = g_strconcat ("comfy:", word, NULL);
  return qconv_claims_layer (claims, m->layer, scheme, NULL, rows, cols, QCONV_BF16);
}

static void
claim_unknown (const ComfyMarker *m, const QconvTensor *weight, QconvClaims *claims)
{
  guint64 rows = weight->shape.rank > 0 ? weight->shape.dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (&weight->shape, &items) && rows > 0 ? items / rows : 0;

  qconv_claim_bind (claim_foreign (m, rows, cols, claims), "codes", NULL, weight, NULL);
}

static void
warn_of_troubles (QconvClaims *claims, const GPtrArray *troubles)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const QconvTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == QCONV_TROUBLE_WARN)
        qconv_claims_warn_each (claims, t->layer, t->code, "%s", t->message);
    }
}

static gboolean
wrong_layout (const char *layer, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_INPUT, "%s: weight_scale does not have the shape for this scale-layout", layer);
}

/* ---- Reading ---- */

/**
 * Reading: a file as claim() and check() see it. Both read its markers and look at its marked layers once.
 *
 * @options: (nullable): NULL: check()
 * @looks: (element-type ComfyLook): one for each marker of @markers->list, in the same order
 */
typedef struct {
  const QconvDirectory *directory;
  const QconvValues *options;
  GPtrArray *troubles;
  ComfyMarkers *markers;
  GPtrArray *looks;
} Reading;

/* Reads the markers and looks at each marked layer; check() also wants the @numbers of the scales checked. */
static void
read_file (Reading *r, gboolean numbers)
{
  r->troubles = qconv_troubles_new ();
  r->markers = comfy_markers_read (r->directory, r->options, r->troubles);
  r->looks = g_ptr_array_new_with_free_func ((GDestroyNotify) comfy_look_free);
  for (guint i = 0; i < r->markers->list->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (r->markers->list, i);
      ComfyLook *look = comfy_look_new (r->directory, m->layer, m->format, json_node_get_object (m->json), r->troubles);

      g_ptr_array_add (r->looks, look);
      if (numbers && look->format != NULL)
        comfy_check_numbers (look);
    }
}

static void
clear_reading (Reading *r)
{
  g_ptr_array_unref (r->looks);
  comfy_markers_free (r->markers);
  g_ptr_array_unref (r->troubles);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Reading, clear_reading)

/* ---- Claiming ---- */

/**
 * Unmarked: NVFP4 layers without markers.
 *
 * @looks: (element-type ComfyLook)
 * @names: of the looks
 * @troubles: of one layer at a time
 */
typedef struct {
  GPtrArray *looks, *names, *troubles;
} Unmarked;

static void
clear_unmarked (Unmarked *u)
{
  g_ptr_array_unref (u->looks);
  g_ptr_array_unref (u->names);
  g_ptr_array_unref (u->troubles);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Unmarked, clear_unmarked)

/* Looks at @layer (transfer full), or warns that it is not NVFP4. */
static void
add_unmarked (Unmarked *u, const QconvDirectory *d, char *layer, QconvClaims *claims)
{
  g_autoptr (ComfyLook) look = comfy_look_new (d, layer, comfy_format_find ("nvfp4"), NULL, u->troubles);
  const QconvTrouble *fatal = qconv_troubles_fatal (u->troubles);

  if (fatal != NULL)
    qconv_claims_warn_each (claims, layer, "not-nvfp4", "not NVFP4: %s", fatal->message);
  else
    g_ptr_array_add (u->looks, g_steal_pointer (&look));
  g_ptr_array_add (u->names, layer);
  g_ptr_array_set_size (u->troubles, 0);
}

/* Claims layers of other toolkits, and layers whose markers are lost: NVFP4 codes in an otherwise plain file. */
static gboolean
claim_unmarked (const Reading *r, QconvClaims *claims, GError **error)
{
  g_auto (Unmarked) u = { g_ptr_array_new_with_free_func ((GDestroyNotify) comfy_look_free),
                          g_ptr_array_new_with_free_func (g_free), qconv_troubles_new () };

  for (guint i = 0; i < qconv_directory_n_tensors (r->directory); i++)
    {
      g_autofree char *layer = NULL;

      if (is_unmarked (r->directory, qconv_directory_tensor (r->directory, i), &layer)
          && !g_hash_table_contains (r->markers->named, layer)
          && !qconv_claims_taken (claims, qconv_directory_find2 (r->directory, layer, ".weight")))
        add_unmarked (&u, r->directory, g_steal_pointer (&layer), claims);
    }
  if (!comfy_judge_scales (u.looks, r->options, claims, error))
    return FALSE;
  for (guint i = 0; i < u.looks->len; i++)
    {
      const ComfyLook *look = g_ptr_array_index (u.looks, i);

      if (comfy_claim_layer (look, r->options, claims))
        continue;
      if (!g_str_equal (qconv_values_string (r->options, "scale-layout"), "auto"))
        return wrong_layout (look->layer, error);
      qconv_claims_warn_each (claims, look->layer, "scale-layout",
                              "it is not known how the block scales lie; use -o comfy.scale-layout=swizzled "
                              "or -o comfy.scale-layout=plain");
    }
  return TRUE;
}

static gboolean
claim_marked (const Reading *r, QconvClaims *claims, GError **error)
{
  for (guint i = 0; i < r->looks->len; i++)
    {
      const ComfyMarker *m = g_ptr_array_index (r->markers->list, i);
      const ComfyLook *look = g_ptr_array_index (r->looks, i);

      if (qconv_claims_taken (claims, look->members.weight))
        continue;
      if (m->tensor != NULL)
        qconv_claims_drop (claims, m->tensor);
      if (m->format == NULL)
        claim_unknown (m, look->members.weight, claims);
      else if (!comfy_claim_layer (look, r->options, claims))
        return wrong_layout (m->layer, error);
    }
  return TRUE;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_auto (Reading) r = { .directory = d, .options = options };
  g_autoptr (GPtrArray) later = qconv_troubles_new ();
  ComfyRest rest = { .directory = d, .options = options, .claims = claims, .troubles = later };
  const QconvTrouble *fatal;

  read_file (&r, FALSE);
  fatal = qconv_troubles_fatal (r.troubles);
  if (fatal != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s%s%s", fatal->layer != NULL ? fatal->layer : "",
                       fatal->layer != NULL ? ": " : "", fatal->message);
  warn_of_troubles (claims, r.troubles);
  if (!comfy_check_word (r.looks, options, error) || !claim_marked (&r, claims, error))
    return FALSE;
  for (guint i = 0; i < r.markers->idle->len; i++)
    qconv_claims_drop (claims, g_ptr_array_index (r.markers->idle, i));
  qconv_claims_drop_metadata (claims, COMFY_HEADER);
  if (!claim_unmarked (&r, claims, error))
    return FALSE;
  rest.markers = r.markers;
  /* As in ComfyUI, the older form counts here only if there are no markers or the header names layers; else its own
     reader claims it later */
  rest.old_too = r.markers->list->len + r.markers->idle->len == 0 || qconv_directory_metadata (d, COMFY_HEADER) != NULL;
  comfy_claim_scaled (&rest);
  comfy_drop_orphans (&rest);
  warn_of_troubles (claims, later);
  return TRUE;
}

/* ---- Checking ---- */

/* Notes tensors whose type the loader does not know. */
static void
check_types (const QconvDirectory *d, GPtrArray *troubles)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (!qconv_comfyui_knows (t->dtype))
        qconv_trouble_add (troubles, QCONV_TROUBLE_NOTE, NULL, "dtype", "%s is %s, a type that ComfyUI does not know",
                           t->name, qconv_dtype_name (t->dtype));
    }
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_auto (Reading) r = { .directory = d };

  read_file (&r, TRUE);
  if (score (self, d) >= UNMARKED)
    check_types (d, r.troubles);
  comfy_check_scaled (d, r.markers, r.troubles);
  qconv_troubles_report (r.troubles, problems);
}

static const QconvOption options_table[] = {
  { .name = "scale-layout",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "swizzled", "plain", NULL },
    .help = N_ ("how NVFP4 block scales lie if neither a marker nor their shape decides it") },
  { .name = "nibble-order",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "high", "low", NULL },
    .help = N_ ("nibble that holds the even columns of NVFP4 codes") },
  { .name = "truth",
    .type = QCONV_CHOICE,
    .value = "header",
    .choices = (const char *const[]) { "header", "markers", NULL },
    .help = N_ ("which one counts if the header and a marker disagree; in ComfyUI the header does") },
  { .name = "unmarked-convrot",
    .type = QCONV_CHOICE,
    .value = "none",
    .choices = (const char *const[]) { "none", "4", "16", "64", "256", "1024", NULL },
    .help = N_ ("columns that are rotated together in layers whose marker is blank or missing; no tensor shows it") },
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
