/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/plan-layer.h"

#include <string.h>

#include "io/directory.h"
#include "layer/layer.h"
#include "plan/edit.h"
#include "registry/values.h"

static PlannedLayer *
new_planned (Layer *layer, SourceLayer *source, How how, const char *rule)
{
  PlannedLayer *l = g_new0 (PlannedLayer, 1);

  l->layer = layer;
  l->source = source;
  l->how = how;
  l->rule = g_intern_string (rule);
  l->tensors = g_ptr_array_new ();
  return l;
}

static gboolean
is_castable (QconvDType dtype)
{
  return qconv_dtype_is_float (dtype) || dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2;
}

/* What the layer is in a plain file of this target */
static PlannedLayer *
plan_plain (const Planning *pl, SourceLayer *s, const char *rule, GError **error)
{
  const QconvTarget *t = pl->plan->target->target;
  gboolean cast_all = t->scheme != NULL && strcmp (t->scheme, QCONV_PLAIN) == 0 && t->dtype != QCONV_OPAQUE;
  const QconvLayer *l = &s->layer->pub;
  gboolean plain = qconv_source_layer_plain (s);
  QconvDType dtype = cast_all && (!plain || is_castable (l->dtype)) ? t->dtype : l->dtype;
  How how = !plain ? HOW_DECODE : dtype != l->dtype ? HOW_CAST : HOW_COPY;
  Layer *layer;

  if (!qconv_source_layer_decodes (s))
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": no loaded plugin decodes the scheme %s", s->name,
                  s->layer->scheme);
      return NULL;
    }
  layer = qconv_layer_new_plain (s->plain_name, dtype, &l->shape);
  if (!plain || s->parts != NULL)
    qconv_layer_set_rows (layer, l->rows, l->cols);
  return new_planned (layer, s, how, rule);
}

/* Components that only a source or the user gives, where neither does. @change: the user's word is for this layer */
static gboolean
settle_given (Planning *pl, PlannedLayer *l, gboolean change, GError **error)
{
  const QconvQuantizer *q = l->layer->quantizer;
  gboolean found = FALSE;

  gboolean has_own = l->how == HOW_MOVE && qconv_layer_component (&l->source->layer->pub, QCONV_INPUT_SCALE) != NULL;
  gboolean dropped = g_strcmp0 (pl->job->input_scale, "none") == 0;

  if (pl->scales != NULL && change && qconv_layer_component (&l->layer->pub, QCONV_INPUT_SCALE) != NULL
      && !qconv_input_scales_find (pl->scales, l->source, q->id, has_own, &found, &l->input_scale, error))
    return FALSE;
  l->has_input_scale = found;
  for (guint i = l->layer->components->len; i-- > 0;)
    {
      const QconvComponent *c = g_ptr_array_index (l->layer->components, i);
      gboolean in_source = qconv_layer_component (&l->source->layer->pub, c->name) != NULL;
      gboolean scale = strcmp (c->name, QCONV_INPUT_SCALE) == 0;

      gboolean nobody_gives = l->how == HOW_MOVE ? !in_source : (c->flags & QCONV_COMPONENT_GIVEN) != 0;

      if (scale && dropped && change && in_source && l->layer->edited != NULL)
        g_hash_table_add (l->layer->edited, g_strdup (c->name));
      if ((scale && dropped && change) || (nobody_gives && !(scale && found)))
        qconv_layer_drop_component (l->layer, c->name);
    }
  return TRUE;
}

static void
copy_hints (Layer *to, const Layer *from)
{
  if (from->hints != NULL)
    to->hints = g_hash_table_ref (from->hints);
}

static PlannedLayer *
plan_encoded (Planning *pl, SourceLayer *s, const Decision *d, GError **error)
{
  const QconvQuantizer *q = d->scheme->quantizer;
  const QconvLayer *from = &s->layer->pub;
  QconvValues *values = qconv_values_copy (d->scheme->values);
  gboolean same = s->layer->quantizer == q;
  PlannedLayer *l;

  qconv_values_parse (values, d->options, NULL); /* checked when it was read */
  if (same)
    qconv_values_follow (values, s->layer->values);
  l = new_planned (qconv_layer_new (s->name, q->id, q, values, from->dtype, from->rows, from->cols), s, HOW_ENCODE,
                   d->rule);
  l->options = g_strdup (d->options);
  l->layer->pub.shape = from->shape;
  qconv_layer_settle (l->layer);
  same = same && qconv_values_same_parameters (values, s->layer->values);
  if (same)
    {
      l->how = HOW_MOVE;
      copy_hints (l->layer, s->layer);
    }
  else if (d->full_precision)
    qconv_layer_set_hint (l->layer, QCONV_HINT_FULL_PRECISION, "true");
  if (qconv_layer_ask_components (l->layer, error) && settle_given (pl, l, TRUE, error)
      && (same || (qconv_source_layer_decodes (s) && qconv_encoder (l, 0) != NULL)
          || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": no loaded plugin makes %s from the scheme %s",
                         s->name, q->id, from->scheme)))
    return l;
  qconv_planned_layer_free (l);
  return NULL;
}

/* The components of an edited file, as they are */
static PlannedLayer *
plan_moved (Planning *pl, SourceLayer *s, GError **error)
{
  const QconvLayer *from = &s->layer->pub;
  const QconvQuantizer *q = s->layer->quantizer;
  gboolean selected = qconv_rules_select (&pl->rules, s);
  PlannedLayer *l;

  if (q == NULL)
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": no loaded plugin knows the scheme %s", s->name,
                  from->scheme);
      return NULL;
    }
  l = new_planned (
      qconv_layer_new (s->name, q->id, q, qconv_values_copy (s->layer->values), from->dtype, from->rows, from->cols), s,
      HOW_MOVE, "source");
  l->layer->pub.shape = from->shape;
  copy_hints (l->layer, s->layer);
  if (selected)
    qconv_edit_hints (pl->plan->edit, l);
  if (qconv_layer_ask_components (l->layer, error) && settle_given (pl, l, selected, error))
    return l;
  qconv_planned_layer_free (l);
  return NULL;
}

/* Loaders tell models apart by the stored shape of some weights: these must not change theirs */
static gboolean
changes_probed (const Planning *pl, const PlannedLayer *l)
{
  const QconvTensor *weight = qconv_directory_find (pl->plan->output.directory, l->source->plain_name);

  return qconv_rules_probed (&pl->rules, l->source)
         && (weight == NULL || !qconv_shape_equal (&weight->shape, &l->layer->pub.shape));
}

/* A plain copy needs no rows and no packing, whatever its type */
static void
settle_copy (PlannedLayer *l)
{
  PlannedTensor *t = l->tensors->len == 1 ? g_ptr_array_index (l->tensors, 0) : NULL;

  if (t != NULL && l->how == HOW_CAST && l->source->bytes == 0)
    {
      l->how = HOW_COPY; /* of nothing */
      l->copies = TRUE;
      t->copied = qconv_source_layer_tensor (l->source);
      return;
    }
  if (l->how != HOW_COPY)
    return;
  if (t == NULL || qconv_source_layer_tensor (l->source) == NULL || t->planned.pack != NULL || t->component < 0
      || t->planned.dtype != l->layer->pub.dtype)
    l->how = HOW_CAST;
  else
    {
      t->copied = qconv_source_layer_tensor (l->source);
      l->copies = TRUE;
    }
}

gboolean
qconv_plan_layer (Planning *pl, SourceLayer *s, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvWriter *w = p->target->writer;
  guint n = qconv_directory_n_tensors (p->output.directory);
  Decision d = qconv_rules_decide (&pl->rules, s);
  gboolean move = p->edit != NULL && qconv_source_layer_quantized (s);
  PlannedLayer *l = d.scheme != NULL ? plan_encoded (pl, s, &d, error)
                    : move           ? plan_moved (pl, s, error)
                                     : plan_plain (pl, s, d.rule, error);

  if (l == NULL || !qconv_output_plan_layer (&p->output, w, l, error))
    return FALSE;
  if (d.scheme != NULL && changes_probed (pl, l))
    {
      qconv_output_take_back (&p->output, n);
      l = plan_plain (pl, s, "probed", error);
      if (l == NULL || !qconv_output_plan_layer (&p->output, w, l, error))
        return FALSE;
    }
  l->packable = d.packable;
  if (move)
    qconv_edit_settle (l, &p->output);
  else
    settle_copy (l);
  return qconv_rules_check_precision (&pl->rules, s, l->layer->quantizer != NULL, error);
}
