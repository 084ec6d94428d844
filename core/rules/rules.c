/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides what becomes of each layer: the user's rules first, then source, size and family. plan-layer.c calls
   qconv_rules_decide() for each layer. */
#include "rules/rules.h"

#include <string.h>

#include "families/advice.h"
#include "families/expand.h"
#include "families/keymap.h"
#include "registry/values.h"
#include "rules/like.h"
#include "rules/target-layer.h"

/* Limit --skip-inefficient: layers with fewer than SMALL_ITEMS items, or with one side LOPSIDED times the other,
   are kept. Their scales and padding take the space that codes save */
#define SMALL_ITEMS ((guint64) 1 << 18)
#define LOPSIDED 64

static gboolean
init_fallback (Rules *r, const char *scheme, GError **error)
{
  if (scheme == NULL)
    return TRUE;
  r->no_fallback = strcmp (scheme, "keep") == 0;
  r->fallback = r->no_fallback ? NULL : qconv_schemes_add (r->schemes, scheme, "--fallback", error);
  return r->no_fallback || r->fallback != NULL;
}

static gboolean
init_rows (Rules *r, GError **error)
{
  r->rows = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_layer_row_free);
  for (guint i = 0; r->job->rules.layer_config != NULL && r->job->rules.layer_config[i] != NULL; i++)
    {
      g_ptr_array_add (r->files, g_strdup (r->job->rules.layer_config[i]));
      if (!qconv_layer_config_read (r->rows, r->job->rules.layer_config[i], r->schemes, error))
        return FALSE;
    }
  for (guint i = 0; r->job->rules.layers != NULL && r->job->rules.layers[i] != NULL; i++)
    if (!qconv_layer_config_add (r->rows, r->job->rules.layers[i], r->schemes, error))
      return FALSE;
  return TRUE;
}

/* Returns: (nullable): the pattern of the layers that files with the names of the output hold as plain numbers, if @s
   is one of them */
static const char *
naming_keeps (const Rules *r, const SourceLayer *s)
{
  const Mapping *x = r->mapping;

  return x->naming != NULL ? qconv_keymap_keeps (x->identity->family, x->naming, qconv_mapping_original (x, s)) : NULL;
}

/* Returns the family's advice for the scheme @id with weights of @bits */
static Advice
advise_for (const Rules *r, const SourceLayer *s, const char *id, guint bits)
{
  const Identity *is = r->mapping->identity;
  const char *kept = naming_keeps (r, s);

  if (kept != NULL)
    return (Advice) { .kind = ADVICE_KEEP, .why = kept };
  return qconv_family_advise (is->family, is->dims, id, bits, qconv_mapping_original (r->mapping, s));
}

static Advice
advise (const Rules *r, const SourceLayer *s, const Layer *trial)
{
  return advise_for (r, s, trial->quantizer->id, qconv_target_layer_bits (trial));
}

/* Returns: (nullable): the scheme that the target has for @s */
static const Scheme *
target_scheme (const Rules *r, const SourceLayer *s)
{
  const Identity *id = r->mapping != NULL ? r->mapping->identity : NULL;
  g_autofree char *name = id != NULL ? qconv_weight_name (qconv_mapping_original (r->mapping, s)) : NULL;
  const QconvTarget *t = r->schemes->info->target;
  guint64 block = 0, n = 0;

  if (t->roles == NULL || id == NULL)
    return qconv_schemes_main (r->schemes);
  if (!qconv_family_find_block (id->family, id->dims, name, &block, &n))
    block = n = 0;
  return qconv_schemes_for_role (r->schemes, qconv_family_role (id->family, id->dims, name),
                                 qconv_family_kind (id->family), block, n);
}

/* Returns: (transfer full): @s in @scheme, or NULL. Keeps the first broken contract for qconv_rules_check() */
static Layer *
try_scheme (Rules *r, const SourceLayer *s, const Scheme *scheme, const QconvValues *values)
{
  return qconv_target_layer (s, scheme, values, r->gave_up == NULL ? &r->gave_up : NULL);
}

/* Adds the fallback schemes of the family, and the schemes of the source that kept layers may stay in, before options
   are given to schemes */
static void
imply_schemes (Rules *r)
{
  const Scheme *first = qconv_schemes_main (r->schemes);

  for (guint i = 0; first != NULL && i < r->mapping->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (r->mapping->layers, i);
      g_autoptr (Layer) trial = try_scheme (r, s, first, NULL);
      Advice advice = { .kind = ADVICE_TARGET };

      if (trial != NULL)
        advice = advise (r, s, trial);
      if (advice.kind == ADVICE_FALLBACK)
        qconv_schemes_imply (r->schemes, advice.fallback);
      if (s->layer->quantizer != NULL)
        qconv_schemes_imply_beside (r->schemes, s->layer->scheme);
    }
}

gboolean
qconv_rules_init (Rules *r, const QconvModel *model, const Mapping *mapping, Schemes *schemes, const QconvJob *job,
                  GError **error)
{
  *r = (Rules) { .job = job, .mapping = mapping, .schemes = schemes };
  r->files = g_ptr_array_new_with_free_func (g_free);
  r->keep = qconv_name_rules_new ("--keep", job->rules.keep, error);
  r->only = r->keep != NULL ? qconv_name_rules_new ("--only", job->rules.only, error) : NULL;
  r->hp = r->only != NULL ? qconv_name_rules_new ("--hp-filter", job->rules.hp_filter, error) : NULL;
  if (r->hp == NULL || !init_rows (r, error) || !init_fallback (r, job->rules.fallback, error))
    return FALSE;
  for (guint i = 0; i < model->layers->len; i++)
    r->quantized |= qconv_source_layer_quantized (g_ptr_array_index (model->layers, i));
  for (guint i = 0; job->rules.like != NULL && job->rules.like[i] != NULL; i++)
    if (!qconv_like_add (&r->like, job->rules.like[i], r->files, error))
      return FALSE;
  if (mapping != NULL && r->fallback == NULL && !r->no_fallback)
    imply_schemes (r);
  return TRUE;
}

void
qconv_rules_settle (Rules *r)
{
  for (guint i = 0; i < r->rows->len; i++)
    {
      LayerRow *row = g_ptr_array_index (r->rows, i);
      QconvValues *all = row->scheme != NULL ? qconv_values_copy (row->scheme->values) : NULL;

      if (all == NULL)
        continue;
      qconv_values_override (all, row->values);
      qconv_values_free (row->values);
      row->values = all;
    }
}

void
qconv_rules_clear (Rules *r)
{
  g_clear_pointer (&r->keep, g_array_unref);
  g_clear_pointer (&r->only, g_array_unref);
  g_clear_pointer (&r->hp, g_array_unref);
  g_clear_pointer (&r->rows, g_ptr_array_unref);
  g_clear_pointer (&r->like, g_hash_table_unref);
  g_clear_pointer (&r->files, g_ptr_array_unref);
  g_clear_error (&r->gave_up);
}

/* ---- Decisions ---- */

/* Returns the first row that matches the layer, or NULL */
static LayerRow *
find_row (Rules *r, const SourceLayer *s)
{
  for (guint i = 0; qconv_source_layer_is_weight (s) && i < r->rows->len; i++)
    {
      LayerRow *row = g_ptr_array_index (r->rows, i);

      if (qconv_name_matches (row->match, s, &r->gave_up))
        return row;
    }
  return NULL;
}

void
qconv_decision_clear (Decision *d)
{
  g_clear_pointer (&d->layer, qconv_layer_unref);
}

static Decision
stays (const char *rule)
{
  return (Decision) { .rule = rule };
}

/* Returns the decision for @scheme. @layer: (transfer full): the layer in @scheme */
static Decision
becomes (const Scheme *scheme, Layer *layer, const char *rule)
{
  return (Decision) { .scheme = scheme, .layer = layer, .rule = rule };
}

/* Returns: (nullable): the family's template of the weight; NULL if the family does not know the weight */
static const FamilyLayer *
find_template (const Rules *r, const SourceLayer *s)
{
  const Identity *id = r->mapping->identity;
  g_autofree char *name = qconv_weight_name (qconv_mapping_original (r->mapping, s));

  return qconv_family_template (id->family, id->dims, name);
}

/* Returns whether the family calls the layer linear or does not know the layer */
static gboolean
is_linear (const Rules *r, const SourceLayer *s)
{
  const FamilyLayer *template = find_template (r, s);

  return template == NULL || strcmp (template->op, "linear") == 0;
}

/* Returns whether the target's loader takes @s in the scheme of the source. @layer: @s in that scheme.
   Diffusion models: linear layers, because the family keeps these for their precision only. Text encoders: layers that
   the family quantizes in this scheme, because loaders need others plain. Layers that the family does not know: those
   of a file that this loader reads */
static gboolean
loads_quantized (const Rules *r, const SourceLayer *s, const Layer *layer)
{
  const Identity *id = r->mapping->identity;
  const char *reader = r->schemes->info->writer->reader;
  const FamilyLayer *template = find_template (r, s);

  if (!g_str_has_prefix (s->plain_name, r->mapping->prefix)) /* another model of an all-in-one checkpoint */
    return FALSE;
  if (qconv_identity_known (id) && strcmp (qconv_family_kind (id->family), "diffusion") != 0)
    return advise (r, s, layer).kind == ADVICE_TARGET;
  return template != NULL ? strcmp (template->op, "linear") == 0
                          : s->reader != NULL && g_strcmp0 (s->reader->id, reader) == 0;
}

/* Decides for a layer that no rule of the user names and that does not become the target's scheme. It stays in the
   scheme of the source if the target's loader takes that beside its own; else it becomes or stays plain */
static Decision
stays_small (Rules *r, const SourceLayer *s, const char *rule)
{
  const Scheme *scheme = qconv_schemes_find (r->schemes, s->layer->scheme);
  g_autoptr (Layer) layer = NULL;

  if (r->fallback != NULL || r->no_fallback || scheme == NULL || !scheme->beside)
    return stays (rule);
  layer = try_scheme (r, s, scheme, NULL);
  return layer != NULL && qconv_values_same_parameters (layer->values, s->layer->values)
                 && loads_quantized (r, s, layer)
             ? becomes (scheme, g_steal_pointer (&layer), rule)
             : stays (rule);
}

/* Decides between fallback and keeping, if the family advises against the target's scheme */
static Decision
fall_back (Rules *r, const SourceLayer *s, const Advice *advice)
{
  const Scheme *scheme = r->fallback;
  Layer *layer = NULL;

  if (scheme == NULL && advice->kind == ADVICE_FALLBACK && !r->no_fallback)
    scheme = qconv_schemes_find (r->schemes, advice->fallback);
  if (scheme != NULL && is_linear (r, s))
    layer = try_scheme (r, s, scheme, NULL);
  return layer != NULL ? becomes (scheme, layer, "fallback") : stays ("family");
}

/* Returns: (nullable): the reason to keep a layer that no rule of the user names; NULL if the layer may be
   encoded. Shape and least size count only for plain layers that the family does not know. --skip-inefficient
   counts for all layers */
static const char *
reason_to_stay (const Rules *r, const SourceLayer *s, const QconvQuantizer *q)
{
  const QconvLayer *l = &s->layer->pub;
  gboolean plain = !qconv_source_layer_quantized (s);
  gboolean strange = plain && find_template (r, s) == NULL;
  guint64 low = MIN (l->rows, l->cols), high = MAX (l->rows, l->cols);

  if (!g_str_has_prefix (s->plain_name, r->mapping->prefix)) /* another model of an all-in-one checkpoint */
    return "family";
  if (r->schemes->info->target->complete)
    return NULL;
  if (r->quantized && plain)
    return "source";
  if (strange && q->cols_multiple > 0 && l->cols % q->cols_multiple != 0)
    return "shape";
  if (strange && low < qconv_family_least_dim (r->mapping->identity->family))
    return "size";
  if (r->job->rules.skip_inefficient && (l->rows * l->cols < SMALL_ITEMS || high / low >= LOPSIDED))
    return "size";
  return NULL;
}

/* Decides by source, size and family for a layer that no rule of the user names. @trial: the layer in @scheme;
   NULL afterwards if the decision took the layer */
static Decision
decide_unnamed (Rules *r, const SourceLayer *s, const Scheme *scheme, Layer **trial)
{
  const char *reason;
  Advice advice;
  Decision d;

  if (naming_keeps (r, s) != NULL)
    return stays ("family");
  if (strcmp (s->layer->scheme, scheme->quantizer->id) == 0)
    return becomes (scheme, g_steal_pointer (trial), "target");
  reason = reason_to_stay (r, s, scheme->quantizer);
  if (reason != NULL)
    return stays_small (r, s, reason);
  if (scheme->role != NULL) /* the family advises about the target's own scheme */
    return advise_for (r, s, qconv_schemes_main (r->schemes)->quantizer->id, qconv_target_layer_bits (*trial)).kind
                   == ADVICE_KEEP
               ? stays ("family")
               : becomes (scheme, g_steal_pointer (trial), "target");
  advice = advise (r, s, *trial);
  if (advice.kind == ADVICE_TARGET)
    return becomes (scheme, g_steal_pointer (trial), "target");
  d = fall_back (r, s, &advice);
  return d.scheme != NULL ? d : stays_small (r, s, d.rule);
}

static Decision
decide_row (Rules *r, const SourceLayer *s, LayerRow *row)
{
  Layer *layer = row->scheme != NULL ? try_scheme (r, s, row->scheme, row->values) : NULL;
  gboolean fits = row->scheme == NULL || layer != NULL;

  row->matched |= fits;
  row->unfit |= !fits;
  if (!fits)
    return stays ("shape");
  return (Decision) { .scheme = row->scheme, .layer = layer, .options = row->options, .rule = row->rule };
}

/* Decides by the file of --like: encodes a layer if that file quantizes the layer; in the fallback scheme if the
   family advises one. @trial: as in decide_unnamed() */
static Decision
decide_like (Rules *r, const SourceLayer *s, const Scheme *scheme, Layer **trial, gboolean packed)
{
  Advice advice = advise (r, s, *trial);
  Decision d = packed && advice.kind == ADVICE_FALLBACK ? fall_back (r, s, &advice) : stays ("like");

  if (packed && d.scheme == NULL)
    return becomes (scheme, g_steal_pointer (trial), "like");
  d.rule = "like";
  return d;
}

/* Decides by rows, --keep, shape, --only, --like, then the rest, in this order. Asks every rule for every layer,
   because qconv_rules_check() reports rules without effect. @trial: (nullable): as in decide_unnamed(); NULL if
   the target's scheme cannot hold the layer */
static Decision
decide (Rules *r, const SourceLayer *s, const Scheme *scheme, Layer **trial)
{
  LayerRow *row = scheme != NULL ? find_row (r, s) : NULL;
  const char *row_said = row != NULL ? row->said : NULL;
  const NameRule *keep = qconv_name_rules_match (r->keep, s, TRUE, row_said, &r->gave_up);
  const char *taken_by = row == NULL && keep != NULL ? keep->said : row_said;
  gboolean only = qconv_name_rules_match (r->only, s, *trial != NULL, taken_by, &r->gave_up) != NULL;
  gpointer packed = NULL;
  gboolean like = r->like != NULL
                  && g_hash_table_lookup_extended (r->like, qconv_mapping_original (r->mapping, s), NULL, &packed);

  r->like_matched |= GPOINTER_TO_INT (packed);
  if (scheme == NULL)
    return stays ("target");
  if (row != NULL)
    return decide_row (r, s, row);
  if (keep != NULL)
    return stays ("keep");
  if (*trial == NULL)
    return r->only->len > 0 || r->like != NULL ? stays ("shape") : stays_small (r, s, "shape");
  if (r->only->len > 0)
    return only ? becomes (scheme, g_steal_pointer (trial), "only") : stays ("only");
  if (like)
    return decide_like (r, s, scheme, trial, GPOINTER_TO_INT (packed));
  return decide_unnamed (r, s, scheme, trial);
}

Decision
qconv_rules_decide (Rules *r, const SourceLayer *s)
{
  const Scheme *scheme = target_scheme (r, s);
  const QconvTarget *t = r->schemes->info->target;
  g_autoptr (Layer) trial = NULL;
  gboolean fits;
  Decision d;

  for (const Scheme *other = scheme; trial == NULL && other != NULL; other = qconv_schemes_instead (r->schemes, other))
    {
      trial = try_scheme (r, s, other, NULL);
      scheme = trial != NULL ? other : scheme;
    }
  fits = trial != NULL;
  d = decide (r, s, scheme, &trial);
  if (d.scheme != NULL && r->job->rules.plain != NULL && g_strv_contains (r->job->rules.plain, s->name))
    {
      qconv_decision_clear (&d);
      d = stays ("keep");
    }

  /* The loader of a complete target does not take the layer in another form */
  if (scheme != NULL && t->complete && !fits && r->gave_up == NULL
      && advise_for (r, s, qconv_schemes_main (r->schemes)->quantizer->id, 0).kind != ADVICE_KEEP)
    qconv_target_takes (s, scheme, &r->gave_up);
  d.packable = fits || d.scheme != NULL;
  /* The family's advice on full precision counts for every encoded layer, also if the user chose the scheme */
  d.full_precision = d.layer != NULL && advise (r, s, d.layer).full_precision_mm;
  return d;
}

gboolean
qconv_rules_probed (const Rules *r, const SourceLayer *s)
{
  return r->mapping != NULL && qconv_identity_probes (r->mapping->identity, qconv_mapping_original (r->mapping, s));
}

gboolean
qconv_rules_select (Rules *r, const SourceLayer *s)
{
  const NameRule *keep = qconv_name_rules_match (r->keep, s, TRUE, NULL, &r->gave_up);
  const NameRule *only = qconv_name_rules_match (r->only, s, TRUE, keep != NULL ? keep->said : NULL, &r->gave_up);

  return keep == NULL && (only != NULL || r->only->len == 0);
}

/* ---- What has to hold ---- */

gboolean
qconv_rules_check_precision (Rules *r, const SourceLayer *s, gboolean encoded, GError **error)
{
  gboolean plain = !qconv_source_layer_quantized (s) && qconv_dtype_is_float (s->layer->pub.dtype);

  if (qconv_name_rules_match (r->hp, s, TRUE, NULL, &r->gave_up) == NULL || (plain && !encoded))
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_OPTION, "--hp-filter: layer \"%s\" %s", s->name,
                     plain ? "would be quantized; --keep leaves it alone" : "is not in high precision");
}

/* Fails if @row decided nothing: no matching layer fits, earlier rows decide all matching layers, or no layer
   matches */
static gboolean
check_row (Rules *r, const LayerRow *row, const GPtrArray *layers, GError **error)
{
  if (row->matched)
    return TRUE;
  if (row->unfit)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s matches no layer that %s can hold", row->said,
                       row->scheme->quantizer->id);
  for (guint i = 0; i < layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (layers, i);
      const LayerRow *first = find_row (r, s);

      if (first != NULL && qconv_name_matches (row->match, s, &r->gave_up))
        return qconv_name_no_effect (row->said, s->name, first->said, error);
    }
  return qconv_name_matched_nothing (row->said, g_regex_get_pattern (row->match), layers, error);
}

gboolean
qconv_rules_gave_up (Rules *r, GError **error)
{
  if (r->gave_up == NULL || r->gave_up->domain != QCONV_ERROR)
    return FALSE;
  g_propagate_error (error, g_steal_pointer (&r->gave_up));
  return TRUE;
}

gboolean
qconv_rules_check (Rules *r, const GPtrArray *layers, GError **error)
{
  const char *target = r->job->target;

  if (qconv_rules_gave_up (r, error))
    return FALSE;
  if (r->gave_up != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "a regular expression is too hard for the names of this file: %s",
                       r->gave_up->message);
  for (guint i = 0; i < r->rows->len; i++)
    if (!check_row (r, g_ptr_array_index (r->rows, i), layers, error))
      return FALSE;
  if (r->like != NULL && !r->like_matched)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--like %s: it has quantized none of the layers of this model",
                       r->job->rules.like[0]);
  return qconv_name_rules_check (r->keep, target, layers, error)
         && qconv_name_rules_check (r->hp, target, layers, error)
         && qconv_name_rules_check (r->only, target, layers, error);
}
