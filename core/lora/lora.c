/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Merges LoRA files: finds the rows that each of their tensors changes and attaches the changes to the mapped layers,
   which add them when they are loaded. The plan calls qconv_loras_apply(). */
#include <math.h>
#include <string.h>

#include "base/names.h"
#include "layer/compose.h"
#include "layer/delta.h"
#include "lora/lora-file.h"
#include "lora/lora-names.h"
#include "lora/lora-report.h"
#include "lora/lora-runs.h"
#include "lora/lora.h"

/* @files: (element-type LoraFile): the layers of the mapping read them; @dialects outlives them */
struct _Loras {
  GPtrArray *files;
  LoraDialects *dialects;
};

/**
 * Baking: the state of one run of qconv_loras_apply(). From @changed on, the members are about the file at hand.
 *
 * @loras: gets the files that are opened
 * @users: layer of the model -> GPtrArray of the mapped layers that contain rows of it
 * @sums: mapped layer -> GPtrArray of Delta
 * @file: the file at hand
 * @changed: rows that the file changes -> the file's spelling of them
 * @counts: of the file's keys and layers
 * @misfits: the last failure was a LoRA of another shape than its layer
 */
typedef struct {
  const LoraJob *job;
  Loras *loras;
  Mapping *x;
  LoraNames *names;
  GHashTable *users, *sums, *changed;
  const LoraFile *file;
  LoraCounts counts;
  gboolean misfits;
} Baking;

void
qconv_loras_free (Loras *l)
{
  g_ptr_array_unref (l->files);
  g_clear_pointer (&l->dialects, qconv_lora_dialects_free);
  g_free (l);
}

static void
free_list (gpointer data)
{
  g_ptr_array_unref (data);
}

/* ---- One layer ---- */

/* Adds a copy of @d to the sums of @layer, for those of its rows that come from @of */
static gboolean
add_to_layer (Baking *b, const Delta *d, const LoraName *n, const SourceLayer *of, SourceLayer *layer, GError **error)
{
  g_autoptr (Delta) copy = g_new (Delta, 1);
  GPtrArray *list = g_hash_table_lookup (b->sums, layer);

  *copy = *d;
  copy->runs = g_array_new (FALSE, FALSE, sizeof (DeltaRun));
  if (!qconv_lora_runs (n, of, layer, copy->runs) || n->transposed)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "layer \"%s\" is stored transposed: no LoRA can be merged into it", layer->name);
  if (!qconv_source_layer_has_floats (layer))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "layer \"%s\" (%s, %s) cannot be decoded to floats: no LoRA can be merged into it", layer->name,
                       layer->layer->scheme, qconv_dtype_name (layer->layer->pub.dtype));
  if (copy->runs->len == 0)
    return TRUE;
  if (list == NULL)
    g_hash_table_insert (b->sums, layer, list = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_delta_free));
  g_ptr_array_add (list, g_steal_pointer (&copy));
  return TRUE;
}

static gboolean
check_shape (const Delta *d, const LoraName *n, GError **error)
{
  guint64 rows = 0, cols = 0;
  gboolean fits = TRUE;

  for (guint i = 0; i < n->rows->len; i++)
    {
      const NamedRows *r = &g_array_index (n->rows, NamedRows, i);

      rows += r->n;
      cols = r->source->layer->pub.cols;
      fits &= cols == d->cols;
    }
  return (fits && rows == d->rows)
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "the LoRA has %" G_GUINT64_FORMAT " × %" G_GUINT64_FORMAT
                        " items, \"%s\" has %" G_GUINT64_FORMAT " × %" G_GUINT64_FORMAT,
                        d->rows, d->cols, n->name, rows, cols);
}

static gboolean
add_delta (Baking *b, DeltaKind kind, const SourceLayer *const factors[4], double scale, const LoraName *n,
           GError **error)
{
  g_autoptr (Delta) d = qconv_delta_new (kind, factors, error);
  g_autoptr (GHashTable) done = g_hash_table_new (NULL, NULL);

  if (d == NULL)
    return FALSE;
  b->misfits = !check_shape (d, n, error);
  if (b->misfits)
    return FALSE;
  d->scale = (float) scale;
  for (guint i = 0; b->file->strength != 0 && i < n->rows->len; i++)
    {
      const SourceLayer *of = g_array_index (n->rows, NamedRows, i).source;
      const GPtrArray *users = g_hash_table_lookup (b->users, of);

      if (users == NULL || !g_hash_table_add (done, (gpointer) of))
        continue;
      for (guint j = 0; j < users->len; j++)
        if (!add_to_layer (b, d, n, of, g_ptr_array_index (users, j), error))
          return FALSE;
    }
  return TRUE;
}

/* Calculates strength · alpha / rank. Alpha is a tensor or stands in the file beside the LoRA. @ranked: the factor
   with rank rows; NULL: alpha is ignored */
static gboolean
find_scale (const Baking *b, const LoraGroup *g, const SourceLayer *ranked, double *scale, GError **error)
{
  double alpha;

  *scale = b->file->strength;
  if (ranked == NULL || ranked->layer->pub.rows == 0)
    return TRUE;
  if (g->roles[LORA_ALPHA] != NULL && !qconv_lora_alpha (g->roles[LORA_ALPHA], &alpha, error))
    return FALSE;
  if (g->roles[LORA_ALPHA] != NULL)
    *scale *= alpha / (double) ranked->layer->pub.rows;
  else if (b->file->config != NULL)
    *scale *= qconv_lora_config_factor (b->file->config, g->layer, ranked->layer->pub.rows);
  return isfinite ((float) *scale)
         || qconv_fail (error, QCONV_ERROR_INPUT, "strength times alpha is too large: use a smaller strength");
}

static gboolean
fail_incomplete (const LoraGroup *g, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_INPUT, "%s: a factor of the LoRA is missing", g->layer);
}

static gboolean
merge_product (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const SourceLayer *const factors[4] = { g->roles[LORA_UP], g->roles[LORA_DOWN] };
  double scale;

  if (factors[0] == NULL && factors[1] == NULL)
    return TRUE;
  if (factors[0] == NULL || factors[1] == NULL)
    return fail_incomplete (g, error);
  return find_scale (b, g, factors[1], &scale, error) && add_delta (b, DELTA_PRODUCT, factors, scale, n, error);
}

static gboolean
merge_hadamard (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const SourceLayer *const *factors = g->roles + LORA_HADAMARD_1A;
  guint have = 0;
  double scale;

  for (guint i = 0; i < 4; i++)
    have += factors[i] != NULL;
  if (have == 0)
    return TRUE;
  if (have < 4)
    return fail_incomplete (g, error);
  return find_scale (b, g, factors[1], &scale, error) && add_delta (b, DELTA_HADAMARD, factors, scale, n, error);
}

/* Finds one side of a Kronecker product: one tensor, in @a, or the product of @a and @b. Returns FALSE if a tensor is
   missing, or if there is one too many */
static gboolean
find_side (const LoraGroup *g, LoraRole whole, const SourceLayer **a, const SourceLayer **b)
{
  *a = g->roles[whole] != NULL ? g->roles[whole] : g->roles[whole + 1];
  *b = g->roles[whole] != NULL ? NULL : g->roles[whole + 2];
  return g->roles[whole] != NULL ? g->roles[whole + 1] == NULL && g->roles[whole + 2] == NULL
                                 : *a != NULL && *b != NULL;
}

static gboolean
merge_kronecker (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const SourceLayer *factors[4];
  gboolean complete = find_side (g, LORA_KRONECKER_1, &factors[0], &factors[1]);
  double scale;

  complete &= find_side (g, LORA_KRONECKER_2, &factors[2], &factors[3]);
  for (guint i = LORA_KRONECKER_1; !complete && i <= LORA_KRONECKER_2B; i++)
    if (g->roles[i] != NULL)
      return fail_incomplete (g, error);
  if (!complete)
    return TRUE;
  /* Alpha counts only if a side is a product. If both are, ComfyUI divides it by the rank of the second */
  return find_scale (b, g, factors[3] != NULL ? factors[3] : factors[1], &scale, error)
         && add_delta (b, DELTA_KRONECKER, factors, scale, n, error);
}

static gboolean
merge_diff (Baking *b, const LoraGroup *g, LoraRole role, const LoraName *n, GError **error)
{
  const SourceLayer *const factors[4] = { g->roles[role] };

  return factors[0] == NULL || add_delta (b, DELTA_FULL, factors, b->file->strength, n, error);
}

/* ---- One file ---- */

/* Records that the file changes the rows of @n. Fails if the name is ambiguous or if the file changes them twice under
   two spellings */
static gboolean
record_rows (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const NamedRows *first = &g_array_index (n->rows, NamedRows, 0);
  guint64 total = 0;
  const char *before;
  char *rows;

  if (n->other != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s is ambiguous: it may mean \"%s\" or \"%s\"", g->layer, n->name,
                       n->other->name);
  for (guint i = 0; i < n->rows->len; i++)
    total += g_array_index (n->rows, NamedRows, i).n;
  rows
      = g_strdup_printf ("%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, first->source->plain_name, first->first, total);
  before = g_hash_table_lookup (b->changed, rows);
  g_hash_table_insert (b->changed, rows, g->layer);
  return before == NULL
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s and %s mean the same layer: a file may change it only once",
                        before, g->layer);
}

static gboolean
merge_weight (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (record_rows (b, g, n, error) && merge_product (b, g, n, &local) && merge_hadamard (b, g, n, &local)
      && merge_kronecker (b, g, n, &local) && merge_diff (b, g, LORA_DIFF, n, &local))
    return TRUE;
  if (local != NULL)
    g_propagate_prefixed_error (error, g_steal_pointer (&local), "%s: ", g->layer);
  return FALSE;
}

/* Adds the bias of the second factor of a product, which is scaled as the product is */
static gboolean
merge_up_bias (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const SourceLayer *const factors[4] = { g->roles[LORA_UP_BIAS] };
  double scale;

  return factors[0] == NULL
         || (find_scale (b, g, g->roles[LORA_DOWN], &scale, error)
             && add_delta (b, DELTA_FULL, factors, scale, n, error));
}

static gboolean
merge_bias (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  const SourceLayer *of = g->roles[LORA_DIFF_BIAS] != NULL ? g->roles[LORA_DIFF_BIAS] : g->roles[LORA_UP_BIAS];

  if (record_rows (b, g, n, error) && merge_diff (b, g, LORA_DIFF_BIAS, n, error) && merge_up_bias (b, g, n, error))
    return TRUE;
  g_prefix_error (error, "%s: ", of->plain_name);
  return FALSE;
}

static gboolean
is_bias (guint role)
{
  return role == LORA_DIFF_BIAS || role == LORA_UP_BIAS;
}

static gboolean
starts_with_any (const char *key, const GPtrArray *starts)
{
  for (guint i = 0; i < starts->len; i++)
    if (g_str_has_prefix (key, g_ptr_array_index (starts, i)))
      return TRUE;
  return FALSE;
}

/* Counts a key that belongs to no layer */
static void
count_unmatched (Baking *b, const char *key)
{
  if (starts_with_any (key, b->loras->dialects->other_models))
    b->counts.n_other++;
  else if (b->counts.n_unmatched++ == 0)
    b->counts.unmatched = key;
}

/* Leaves the layer out if its LoRA has another shape and the user allows it. Returns FALSE if @error stays */
static gboolean
forgive_misfit (Baking *b, GError **error)
{
  if (!b->job->partial || !b->misfits)
    return FALSE;
  b->misfits = FALSE;
  if (b->counts.n_misfits++ == 0)
    b->counts.misfit = g_strdup ((*error)->message);
  g_clear_error (error);
  return TRUE;
}

/* Merges the tensors of @g. @weight, @bias: (nullable): what the model has under its name */
static gboolean
merge_tensors (Baking *b, const LoraGroup *g, const LoraName *weight, const LoraName *bias, GError **error)
{
  g_autoptr (GError) local = NULL;

  if ((weight == NULL || merge_weight (b, g, weight, &local)) && (bias == NULL || merge_bias (b, g, bias, &local)))
    b->counts.n_merged += weight != NULL || bias != NULL;
  else if (!forgive_misfit (b, &local))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  return TRUE;
}

static gboolean
merge_group (Baking *b, const LoraGroup *g, GError **error)
{
  const LoraName *weight = qconv_lora_names_find (b->names, g->layer, FALSE);
  const LoraName *bias = qconv_lora_names_find (b->names, g->layer, TRUE);
  gboolean has_weight = FALSE, has_bias = FALSE;

  for (guint i = 0; i < LORA_N_ROLES; i++)
    {
      gboolean known = is_bias (i) ? bias != NULL : weight != NULL || (i == LORA_ALPHA && bias != NULL);

      has_weight |= g->roles[i] != NULL && !is_bias (i) && i != LORA_ALPHA;
      has_bias |= g->roles[i] != NULL && is_bias (i);
      if (g->roles[i] != NULL && !known)
        count_unmatched (b, g->roles[i]->plain_name);
    }
  if (g->refused != NULL && (weight != NULL || bias != NULL))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "\"%s\": %s cannot be merged",
                       g->roles[LORA_REFUSED]->plain_name, g->refused);
  if (weight != NULL && !has_weight && !has_bias)
    return fail_incomplete (g, error);
  return merge_tensors (b, g, has_weight ? weight : NULL, has_bias ? bias : NULL, error);
}

/* Counts a tensor whose key has no known suffix. Fails if it is a whole tensor of the model */
static gboolean
take_unknown (Baking *b, const char *key, GError **error)
{
  g_autofree char *layer = qconv_weight_stem (key);

  if (b->file->groups->len > 0 && !b->job->partial && qconv_lora_names_find (b->names, layer, FALSE) != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "\"%s\" replaces a tensor of the model instead of changing it, which cannot be merged; "
                       "--lora-partial leaves it out",
                       key);
  count_unmatched (b, key);
  return TRUE;
}

static gboolean
merge_file (Baking *b, GError **error)
{
  const LoraFile *f = b->file;
  gboolean ok = TRUE;

  b->counts = (LoraCounts) { 0 };
  b->changed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; ok && i < f->unknown->len; i++)
    ok = take_unknown (b, ((const SourceLayer *) g_ptr_array_index (f->unknown, i))->plain_name, error);
  for (guint i = 0; ok && i < f->groups->len; i++)
    ok = merge_group (b, g_ptr_array_index (f->groups, i), error);
  g_hash_table_unref (b->changed);
  ok = ok && qconv_lora_report (f, &b->counts, b->job, error);
  g_clear_pointer (&b->counts.misfit, g_free);
  return ok;
}

/* ---- All files ---- */

/* Notes that @layer has rows of the claimed layer @of */
static void
add_user (Baking *b, const SourceLayer *of, SourceLayer *layer)
{
  GPtrArray *list = g_hash_table_lookup (b->users, of);

  if (list == NULL)
    g_hash_table_insert (b->users, (gpointer) of, list = g_ptr_array_new ());
  if (!g_ptr_array_find (list, layer, NULL))
    g_ptr_array_add (list, layer);
}

static void
add_users (Baking *b, SourceLayer *layer)
{
  if (layer->parts == NULL)
    add_user (b, layer, layer);
  for (guint i = 0; layer->parts != NULL && i < layer->sources->len; i++)
    add_user (b, g_ptr_array_index (layer->sources, i), layer);
}

static void
replace_layers (Baking *b)
{
  Mapping *x = b->x;

  for (guint i = 0; i < x->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (x->layers, i);
      GPtrArray *deltas = g_hash_table_lookup (b->sums, s);
      SourceLayer *sum;

      if (deltas == NULL)
        continue;
      sum = qconv_compose_sum (s, g_ptr_array_ref (deltas));
      g_hash_table_insert (x->originals, sum, g_strdup (qconv_mapping_original (x, s)));
      g_ptr_array_add (x->composed, sum);
      g_ptr_array_index (x->layers, i) = sum;
    }
}

static gboolean
merge_files (Baking *b, GError **error)
{
  for (const char *const *text = b->job->files; *text != NULL; text++)
    {
      LoraFile *f = qconv_lora_file_open (*text, b->loras->dialects, error);

      if (f == NULL)
        return FALSE;
      g_ptr_array_add (b->loras->files, f);
      b->file = f;
      if (!merge_file (b, error))
        {
          g_prefix_error (error, "--lora %s: ", f->path);
          return FALSE;
        }
      qconv_lora_report_alpha (f, b->loras->dialects, b->job);
    }
  return TRUE;
}

Loras *
qconv_loras_apply (const LoraJob *job, const QconvModel *m, Mapping *x, GError **error)
{
  g_autoptr (Loras) l = g_new0 (Loras, 1);
  Baking b = { .job = job, .loras = l, .x = x };
  gboolean ok;

  l->files = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_lora_file_free);
  l->dialects = qconv_lora_dialects_load (error);
  if (l->dialects == NULL)
    return NULL;
  b.names = qconv_lora_names_new (m, x, l->dialects);
  b.users = g_hash_table_new_full (NULL, NULL, NULL, free_list);
  b.sums = g_hash_table_new_full (NULL, NULL, NULL, free_list);
  for (guint i = 0; i < x->layers->len; i++)
    add_users (&b, g_ptr_array_index (x->layers, i));
  ok = merge_files (&b, error);
  if (ok)
    replace_layers (&b);
  g_hash_table_unref (b.users);
  g_hash_table_unref (b.sums);
  qconv_lora_names_free (b.names);
  return ok ? g_steal_pointer (&l) : NULL;
}
