/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rules.h"

#include <string.h>

#include "values.h"

static GRegex *
compile (const char *option, const char *pattern, GError **error)
{
  g_autoptr (GError) broken = NULL;
  GRegex *re = g_regex_new (pattern, G_REGEX_OPTIMIZE, 0, &broken);

  if (re == NULL)
    qconv_fail (error, QCONV_ERROR_OPTION, "%s %s: %s", option, pattern, broken->message);
  return re;
}

gboolean
qconv_rules_init (Rules *r, const QconvModel *model, const QconvJob *job, GError **error)
{
  *r = (Rules) { .family = qconv_family_generic (error) };
  if (r->family == NULL || (job->keep != NULL && (r->keep = compile ("--keep", job->keep, error)) == NULL)
      || (job->only != NULL && (r->only = compile ("--only", job->only, error)) == NULL)
      || (job->hp_filter != NULL && (r->hp = compile ("--hp-filter", job->hp_filter, error)) == NULL))
    return FALSE;
  for (guint i = 0; i < model->layers->len; i++)
    if (qconv_source_layer_quantized (g_ptr_array_index (model->layers, i)))
      r->quantized = TRUE;
  return TRUE;
}

void
qconv_rules_clear (Rules *r)
{
  g_clear_pointer (&r->keep, g_regex_unref);
  g_clear_pointer (&r->only, g_regex_unref);
  g_clear_pointer (&r->hp, g_regex_unref);
  g_clear_error (&r->gave_up);
}

/* An expression that gives up on a name matches nothing, which qconv_rules_check() says */
static gboolean
matches (Rules *r, const GRegex *re, const char *name, gboolean *matched)
{
  gboolean hit = re != NULL
                 && g_regex_match_full (re, name, -1, 0, 0, NULL, r->gave_up == NULL ? &r->gave_up : NULL);

  *matched |= hit;
  return hit;
}

/* A weight of numbers that a quantizer can take: not codes of something that no reader knows */
static gboolean
holds_numbers (const SourceLayer *s)
{
  QconvDType dtype = s->layer->pub.dtype;

  return !qconv_source_layer_plain (s) || qconv_dtype_is_float (dtype) || dtype == QCONV_F8_E4M3
         || dtype == QCONV_F8_E5M2;
}

/* Whether @q can hold the layer at all */
static gboolean
can_hold (const SourceLayer *s, const QconvQuantizer *q, const QconvValues *values)
{
  const QconvLayer *l = &s->layer->pub;
  QconvValues *tried;
  gboolean weight = !qconv_source_layer_plain (s) || g_str_has_suffix (s->plain_name, ".weight");
  g_autoptr (Layer) trial = NULL;

  if (!weight || !holds_numbers (s) || l->rows == 0 || l->cols == 0)
    return FALSE;
  tried = qconv_values_copy (values);
  if (s->layer->quantizer == q)
    qconv_values_follow (tried, s->layer->values);
  trial = qconv_layer_new (s->name, q->id, q, tried, l->dtype, l->rows, l->cols);
  trial->pub.shape = l->shape;
  qconv_layer_settle (trial);
  return qconv_layer_ask_components (trial, NULL);
}

/* What the source and the generic lists say about a layer that nobody named */
static const char *
default_rule (const Rules *r, const SourceLayer *s, const QconvQuantizer *q, const char *name)
{
  const QconvLayer *l = &s->layer->pub;
  gboolean plain = !qconv_source_layer_quantized (s);

  if (strcmp (l->scheme, q->id) == 0)
    return "target";
  if (r->quantized && plain)
    return "source";
  /* Who quantized it has found it worth that */
  if (plain && q->cols_multiple > 0 && l->cols % q->cols_multiple != 0)
    return "shape";
  if (plain && MIN (l->rows, l->cols) < qconv_family_min_dim (r->family))
    return "size";
  return qconv_family_keeps (r->family, name) ? "family" : "target";
}

gboolean
qconv_rules_decide (Rules *r, const SourceLayer *s, const QconvQuantizer *q, const QconvValues *values,
                    const char **rule)
{
  g_autofree char *name = qconv_family_layer_name (r->family, s->name);
  gboolean fits = can_hold (s, q, values);
  gboolean keep = matches (r, r->keep, name, &r->keep_matched);
  gboolean only = matches (r, r->only, name, fits ? &r->only_matched : &r->only_unfit);

  if (keep)
    *rule = "keep";
  else if (!fits)
    *rule = "shape";
  else if (r->only != NULL)
    *rule = "only";
  else
    *rule = default_rule (r, s, q, name);
  return fits && !keep && (only || strcmp (*rule, "target") == 0);
}

gboolean
qconv_rules_select (Rules *r, const SourceLayer *s)
{
  g_autofree char *name = qconv_family_layer_name (r->family, s->name);
  gboolean keep = matches (r, r->keep, name, &r->keep_matched);
  gboolean only = matches (r, r->only, name, &r->only_matched);

  return !keep && (only || r->only == NULL);
}

gboolean
qconv_rules_check_precision (Rules *r, const SourceLayer *s, gboolean encoded, GError **error)
{
  g_autofree char *name = qconv_family_layer_name (r->family, s->name);
  gboolean plain = qconv_source_layer_plain (s) && qconv_dtype_is_float (s->layer->pub.dtype);

  if (!matches (r, r->hp, name, &r->hp_matched) || (plain && !encoded))
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_OPTION, "--hp-filter: layer \"%s\" %s", s->name,
                     plain ? "would be quantized; --keep leaves it alone" : "is not in high precision");
}

static gboolean
matched_nothing (const char *option, const char *pattern, const QconvModel *model, GError **error)
{
  const SourceLayer *first = model->layers->len > 0 ? g_ptr_array_index (model->layers, 0) : NULL;

  return qconv_fail (error, QCONV_ERROR_OPTION, "%s %s matches no layer; layers have names such as \"%s\"", option,
                     pattern, first != NULL ? first->name : "");
}

gboolean
qconv_rules_check (const Rules *r, const QconvModel *model, const QconvJob *job, GError **error)
{
  if (r->gave_up != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "a regular expression is too hard for the names of this file: %s",
                       r->gave_up->message);
  if (r->keep != NULL && !r->keep_matched)
    return matched_nothing ("--keep", job->keep, model, error);
  if (r->hp != NULL && !r->hp_matched)
    return matched_nothing ("--hp-filter", job->hp_filter, model, error);
  if (r->only != NULL && !r->only_matched && r->only_unfit)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--only %s matches no layer that %s can hold", job->only,
                       job->target);
  return r->only == NULL || r->only_matched || matched_nothing ("--only", job->only, model, error);
}
