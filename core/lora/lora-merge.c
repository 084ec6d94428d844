/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Merges the tensors that a LoRA file has for one layer: finds the rows that they change and attaches the changes to
   the mapped layers. lora.c calls it. */
#include "lora/lora-merge.h"

#include <math.h>

#include "base/names.h"
#include "lora/lora-runs.h"

/* ---- One layer ---- */

/* Adds a copy of @d to the sums of @layer, for those of its rows that are rows of @n */
static gboolean
add_to_layer (Baking *b, const Delta *d, const LoraName *n, SourceLayer *layer, GError **error)
{
  g_autoptr (Delta) copy = g_new (Delta, 1);
  GPtrArray *list = g_hash_table_lookup (b->sums, layer);

  *copy = *d;
  copy->runs = g_array_new (FALSE, FALSE, sizeof (DeltaRun));
  if (!qconv_lora_runs (n, layer, copy->runs) || n->transposed)
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
      gboolean last = i + 1 == n->rows->len || g_array_index (n->rows, NamedRows, i + 1).column == 0;

      rows += qconv_lora_rows_step (n->rows, i);
      cols = r->column + qconv_lora_rows_width (r);
      fits &= !last || cols == d->cols;
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
      const GPtrArray *users = g_hash_table_lookup (b->users, g_array_index (n->rows, NamedRows, i).source);

      for (guint j = 0; users != NULL && j < users->len; j++)
        if (g_hash_table_add (done, g_ptr_array_index (users, j))
            && !add_to_layer (b, d, n, g_ptr_array_index (users, j), error))
          return FALSE;
    }
  return TRUE;
}

/* Calculates strength · alpha / rank. Alpha is a tensor or stands in the file beside the LoRA. @ranked: the factor
   with rank rows; NULL: no factor shows the rank, so only a rank in that file counts */
static gboolean
find_scale (const Baking *b, const LoraGroup *g, const SourceLayer *ranked, double *scale, GError **error)
{
  guint64 rank = ranked != NULL ? ranked->layer->pub.rows : 0;
  double factor = 1;

  *scale = b->file->strength;
  if (ranked != NULL && rank == 0)
    return TRUE;
  if (g->roles[LORA_ALPHA] != NULL && rank > 0)
    {
      if (!qconv_lora_alpha (g->roles[LORA_ALPHA], &factor, error))
        return FALSE;
      factor /= (double) rank;
    }
  else if (g->roles[LORA_ALPHA] == NULL && b->file->config != NULL
           && !qconv_lora_config_factor (b->file->config, g->layer, rank, &factor, error))
    return FALSE;
  *scale *= factor;
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
  const SourceLayer *const factors[4] = { g->roles[LORA_UP], g->roles[LORA_DOWN], g->roles[LORA_MID] };
  DeltaKind kind = factors[2] != NULL ? DELTA_TUCKER : DELTA_PRODUCT;
  double scale;

  if (factors[0] == NULL && factors[1] == NULL && factors[2] == NULL)
    return TRUE;
  if (factors[0] == NULL || factors[1] == NULL)
    return fail_incomplete (g, error);
  return find_scale (b, g, factors[1], &scale, error) && add_delta (b, kind, factors, scale, n, error);
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
  /* A tensor alpha counts only if a side is a product. If both are, ComfyUI divides it by the rank of the second. PEFT
     divides the alpha of its file by the rank there, whatever the sides are */
  return find_scale (b, g, factors[3] != NULL ? factors[3] : factors[1], &scale, error)
         && add_delta (b, DELTA_KRONECKER, factors, scale, n, error);
}

static gboolean
merge_diff (Baking *b, const LoraGroup *g, LoraRole role, const LoraName *n, GError **error)
{
  const SourceLayer *const factors[4] = { g->roles[role] };

  return factors[0] == NULL || add_delta (b, DELTA_FULL, factors, b->file->strength, n, error);
}

/* Replaces a tensor by @with (nullable), whatever the strength is, as ComfyUI does for set_weight and PEFT for
   modules_to_save */
static gboolean
merge_replacement (Baking *b, const SourceLayer *with, const LoraName *n, GError **error)
{
  const SourceLayer *const factors[4] = { with };

  b->counts.n_replaced += with != NULL;
  return with == NULL || add_delta (b, DELTA_REPLACE, factors, 1, n, error);
}

/* ---- One group ---- */

static gboolean
is_bias (guint role)
{
  return role == LORA_DIFF_BIAS || role == LORA_UP_BIAS || role == LORA_REPLACE_BIAS;
}

/* Records that the file changes the rows of @n. Fails if the name is ambiguous or if the file changes them twice under
   two spellings */
static gboolean
record_rows (Baking *b, const char *key, const LoraName *n, GError **error)
{
  const NamedRows *first = &g_array_index (n->rows, NamedRows, 0);
  guint64 total = 0;
  const char *before;
  char *rows;

  if (n->other != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s is ambiguous: it may mean \"%s\" or \"%s\"", key, n->name,
                       n->other->name);
  for (guint i = 0; i < n->rows->len; i++)
    total += g_array_index (n->rows, NamedRows, i).n;
  rows = g_strdup_printf ("%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                          first->source->plain_name, first->first, total, first->skip, qconv_lora_rows_width (first));
  before = g_hash_table_lookup (b->changed, rows);
  g_hash_table_insert (b->changed, rows, (gpointer) key);
  return before == NULL
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s and %s mean the same layer: a file may change it only once",
                        before, key);
}

static gboolean
merge_weight (Baking *b, const LoraGroup *g, const LoraName *n, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (record_rows (b, g->layer, n, error) && merge_product (b, g, n, &local) && merge_hadamard (b, g, n, &local)
      && merge_kronecker (b, g, n, &local) && merge_diff (b, g, LORA_DIFF, n, &local)
      && merge_replacement (b, g->roles[LORA_REPLACE], n, &local))
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
  const SourceLayer *of = NULL;

  for (guint i = 0; i < LORA_N_ROLES; i++)
    if (of == NULL && is_bias (i))
      of = g->roles[i];
  if (record_rows (b, g->layer, n, error) && merge_diff (b, g, LORA_DIFF_BIAS, n, error)
      && merge_up_bias (b, g, n, error) && merge_replacement (b, g->roles[LORA_REPLACE_BIAS], n, error))
    return TRUE;
  g_prefix_error (error, "%s: ", of->plain_name);
  return FALSE;
}

/* Counts a tensor that is merged, or leaves it out if its LoRA has another shape and the user allows it. Returns FALSE
   if @error stays. @key: of the LoRA, for people */
static gboolean
settle (Baking *b, const char *key, gboolean merged, GError **error)
{
  b->counts.n_merged += merged;
  if (merged)
    return TRUE;
  if (!b->job->partial || !b->misfits)
    return FALSE;
  b->misfits = FALSE;
  g_ptr_array_add (b->counts.left_out[LORA_MISFIT], (gpointer) key);
  if (b->counts.misfit == NULL)
    b->counts.misfit = g_strdup ((*error)->message);
  g_clear_error (error);
  return TRUE;
}

/* Merges the tensors of @g. @weight, @bias: (nullable): what the model has under its name */
static gboolean
merge_tensors (Baking *b, const LoraGroup *g, const LoraName *weight, const LoraName *bias, GError **error)
{
  g_autoptr (GError) local = NULL;

  if ((weight == NULL || settle (b, g->layer, merge_weight (b, g, weight, &local), &local))
      && (bias == NULL || settle (b, g->layer, merge_bias (b, g, bias, &local), &local)))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* Lists a key for which the model has no tensor. @weight: (nullable): the weight of its layer */
static void
leave_out (Baking *b, const char *key, const LoraName *weight)
{
  LoraLeftOut why = weight != NULL                                  ? LORA_NO_BIAS
                    : qconv_lora_names_lack_encoder (b->names, key) ? LORA_OTHER_MODEL
                                                                    : LORA_NO_LAYER;

  g_ptr_array_add (b->counts.left_out[why], (gpointer) key);
}

gboolean
qconv_lora_merge_group (Baking *b, const LoraGroup *g, GError **error)
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
        leave_out (b, g->roles[i]->plain_name, is_bias (i) ? weight : NULL);
    }
  if (g->refused != NULL && (weight != NULL || bias != NULL))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "\"%s\": %s cannot be merged",
                       g->roles[LORA_REFUSED]->plain_name, g->refused);
  if (weight != NULL && !has_weight && !has_bias)
    return fail_incomplete (g, error);
  return merge_tensors (b, g, has_weight ? weight : NULL, has_bias ? bias : NULL, error);
}

gboolean
qconv_lora_merge_whole (Baking *b, const SourceLayer *s, GError **error)
{
  g_autofree char *layer = qconv_weight_stem (s->plain_name);
  const LoraName *n = b->file->groups->len > 0 ? qconv_lora_names_find (b->names, layer, FALSE) : NULL;
  g_autoptr (GError) local = NULL;
  gboolean merged;

  if (n == NULL)
    {
      leave_out (b, s->plain_name, NULL);
      return TRUE;
    }
  if (!record_rows (b, s->plain_name, n, error))
    return FALSE;
  merged = merge_replacement (b, s, n, &local);
  if (!merged)
    g_prefix_error (&local, "%s: ", s->plain_name);
  if (settle (b, s->plain_name, merged, &local))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}
