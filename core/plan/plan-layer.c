/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans layers: asks the rules, makes the planned layer, has the writer plan its tensors. plan.c calls it. */
#include "plan/plan-layer.h"

#include <string.h>

#include "base/dtype.h"
#include "base/names.h"
#include "families/expand.h"
#include "io/directory.h"
#include "layer/layer.h"
#include "plan/edit.h"
#include "plan/encoder.h"
#include "plan/undecoded.h"
#include "registry/values.h"

/* Returns whether the family calls @s a parameter, or part of a module that loaders build as it is */
static gboolean
is_bare (const QconvPlan *p, const SourceLayer *s)
{
  static const char *const ops[] = { "param", "buffer", "nn_linear", "nn_embedding", NULL };
  const Identity *id = p->mapping != NULL ? p->mapping->identity : NULL;
  const FamilyLayer *template = NULL;
  g_autofree char *name = id != NULL ? qconv_weight_name (qconv_mapping_original (p->mapping, s)) : NULL;

  if (id != NULL)
    template = qconv_family_template (id->family, id->dims, name);
  return template != NULL && g_strv_contains (ops, template->op);
}

/* Returns the type of @s as a plain tensor */
static QconvDType
plain_type (const Planning *pl, const SourceLayer *s)
{
  const QconvTarget *t = pl->plan->target->target;
  const QconvWriter *w = pl->plan->target->writer;
  gboolean cast_all = t->scheme != NULL && strcmp (t->scheme, QCONV_PLAIN) == 0 && t->dtype != QCONV_OPAQUE;
  const QconvLayer *l = &s->layer->pub;
  QconvDType wanted = QCONV_OPAQUE;

  if (qconv_source_layer_plain (s) && !qconv_dtype_is_number (l->dtype))
    return l->dtype;
  if (w->plain_type != NULL && pl->plan->edit == NULL)
    wanted = w->plain_type (w, &pl->plan->output, s->plain_name, &l->shape, l->dtype, is_bare (pl->plan, s));
  return qconv_dtype_is_float (wanted) ? wanted : cast_all ? t->dtype : l->dtype;
}

/* Plans the layer as a plain tensor: copied, cast or decoded */
static PlannedLayer *
plan_plain (const Planning *pl, SourceLayer *s, const char *rule, GError **error)
{
  const QconvLayer *l = &s->layer->pub;
  gboolean plain = qconv_source_layer_plain (s);
  QconvDType dtype = plain_type (pl, s);
  How how = !plain ? HOW_DECODE : dtype != l->dtype ? HOW_CAST : HOW_COPY;
  Layer *layer;

  if (!qconv_source_layer_decodes (s))
    {
      qconv_fail_undecoded (pl->plan, s, error);
      return NULL;
    }
  if (how == HOW_COPY && s->parts == NULL && strcmp (l->name, s->plain_name) == 0)
    return qconv_planned_layer_new (qconv_layer_ref (s->layer), s, how, rule);
  layer = qconv_layer_new_plain (s->plain_name, dtype, &l->shape);
  if (layer->pub.rows != l->rows || layer->pub.cols != l->cols)
    qconv_layer_set_rows (layer, l->rows, l->cols);
  return qconv_planned_layer_new (layer, s, how, rule);
}

/* Finds the input scale of @l and drops components that neither the source nor the user gives. @change: the user's
   input scale options apply to this layer */
static gboolean
settle_given (Planning *pl, PlannedLayer *l, gboolean change, GError **error)
{
  const QconvQuantizer *q = l->layer->quantizer;
  InputScale given = { 0 };
  gboolean has_own = l->how == HOW_MOVE && qconv_layer_component (&l->source->layer->pub, QCONV_INPUT_SCALE) != NULL;
  gboolean dropped = g_strcmp0 (pl->job->input_scale, "none") == 0;

  if (pl->scales != NULL && change && qconv_layer_component (&l->layer->pub, QCONV_INPUT_SCALE) != NULL
      && !qconv_input_scales_find (pl->scales, l->source, q->id, &given, error))
    return FALSE;
  l->has_input_scale = given.found && !(given.for_all && has_own);
  l->input_scale = given.value;
  for (guint i = l->layer->components->len; i-- > 0;)
    {
      const QconvComponent *c = g_ptr_array_index (l->layer->components, i);
      gboolean in_source = qconv_layer_component (&l->source->layer->pub, c->name) != NULL;
      gboolean scale = strcmp (c->name, QCONV_INPUT_SCALE) == 0;
      gboolean nobody_gives = l->how == HOW_MOVE ? !in_source : (c->flags & QCONV_COMPONENT_GIVEN) != 0;

      if (scale && dropped && change && in_source && l->layer->edited != NULL)
        g_hash_table_add (l->layer->edited, g_strdup (c->name));
      if ((scale && dropped && change) || (nobody_gives && !(scale && l->has_input_scale)))
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

/* Gives @l the bias of its source, if the writer takes biases and there is one that fits */
static void
attach_bias (const Planning *pl, PlannedLayer *l)
{
  g_autofree char *name = pl->biases != NULL ? qconv_bias_name (l->source->plain_name) : NULL;
  SourceLayer *bias = name != NULL ? g_hash_table_lookup (pl->biases, name) : NULL;
  const QconvComponent component
      = { .name = QCONV_BIAS, .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (l->layer->pub.rows), .run = QCONV_WHOLE };

  if (bias == NULL || bias->layer->pub.rows != l->layer->pub.rows || bias->layer->pub.cols != 1
      || !qconv_source_layer_has_floats (bias))
    return;
  l->bias = bias;
  qconv_layer_add_component (l->layer, &component);
}

/* Fails unless @l is moved, or the source can be decoded and an encoder for @l exists */
static gboolean
check_encodable (const QconvPlan *p, const PlannedLayer *l, GError **error)
{
  if (l->how == HOW_MOVE)
    return TRUE;
  if (!qconv_source_layer_decodes (l->source))
    return qconv_fail_undecoded (p, l->source, error);
  return qconv_encoder (l, 0) != NULL
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": no loaded plugin makes %s from the scheme %s",
                        l->source->name, l->layer->scheme, l->source->layer->scheme);
}

/* Plans @s in the scheme of @d. Takes d->layer */
static PlannedLayer *
plan_encoded (Planning *pl, SourceLayer *s, Decision *d, GError **error)
{
  gboolean same = s->layer->quantizer == d->scheme->quantizer
                  && qconv_values_same_parameters (d->layer->values, s->layer->values);
  g_autoptr (PlannedLayer) l
      = qconv_planned_layer_new (g_steal_pointer (&d->layer), s, same ? HOW_MOVE : HOW_ENCODE, d->rule);

  l->options = g_strdup (d->options);
  if (same)
    copy_hints (l->layer, s->layer);
  else if (d->full_precision)
    qconv_layer_set_hint (l->layer, QCONV_HINT_FULL_PRECISION, "true");
  if (!settle_given (pl, l, TRUE, error) || !check_encodable (pl->plan, l, error))
    return NULL;
  attach_bias (pl, l);
  return g_steal_pointer (&l);
}

/* Plans a quantized layer of an edited file: moves its components without change */
static PlannedLayer *
plan_moved (Planning *pl, SourceLayer *s, GError **error)
{
  const QconvLayer *from = &s->layer->pub;
  const QconvQuantizer *q = s->layer->quantizer;
  gboolean selected = qconv_rules_select (&pl->rules, s);
  g_autoptr (PlannedLayer) l = NULL;

  if (q == NULL)
    {
      qconv_fail_undecoded (pl->plan, s, error);
      return NULL;
    }
  l = qconv_planned_layer_new (qconv_layer_new (s->name, &(Encoding) { q->id, q, qconv_values_copy (s->layer->values) },
                                                from->dtype, from->rows, from->cols),
                               s, HOW_MOVE, "source");
  l->layer->pub.shape = from->shape;
  copy_hints (l->layer, s->layer);
  if (selected && !qconv_edit_hints (pl->plan->edit, l, error))
    return NULL;
  if (!qconv_layer_ask_components (l->layer, error) || !settle_given (pl, l, selected, error))
    return NULL;
  attach_bias (pl, l);
  return g_steal_pointer (&l);
}

/* Returns whether @l changes a stored shape by which loaders recognize the model */
static gboolean
changes_probed (const Planning *pl, const PlannedLayer *l)
{
  const QconvTensor *weight = qconv_directory_find (pl->plan->output.directory, l->source->plain_name);

  return qconv_rules_probed (&pl->rules, l->source)
         && (weight == NULL || !qconv_shape_equal (&weight->shape, &l->layer->pub.shape));
}

/* Marks @l as copied if its bytes do not change; else turns HOW_COPY into HOW_CAST */
static void
settle_copy (PlannedLayer *l)
{
  PlannedTensor *t = l->tensors->len == 1 ? g_ptr_array_index (l->tensors, 0) : NULL;

  if (t != NULL && l->how == HOW_CAST && l->source->bytes == 0)
    {
      l->how = HOW_COPY; /* the tensor is empty */
      l->copies = TRUE;
      t->copied = qconv_source_layer_tensor (l->source);
      return;
    }
  if (l->how != HOW_COPY)
    return;
  if (t == NULL || qconv_source_layer_tensor (l->source) == NULL || t->pack != NULL || t->component < 0
      || t->dtype != l->layer->pub.dtype)
    l->how = HOW_CAST;
  else
    {
      t->copied = qconv_source_layer_tensor (l->source);
      l->copies = TRUE;
    }
}

/* Returns whether Inf and NaN in @s are an error. Edits and verbatim copies take any value */
static gboolean
must_be_finite (const QconvPlan *p, const SourceLayer *s)
{
  const Family *base;

  if (p->edit != NULL || p->target->target->scheme == NULL || p->allow_nonfinite)
    return FALSE;
  base = qconv_family_base (p->mapping->identity->family);
  return qconv_family_match_any (&qconv_family_data (base)->may_be_infinite, s->plain_name) == NULL;
}

/* Plans the output of @s: decides what becomes of it, has the writer plan its tensors and adds both to the plan */
static gboolean
plan_layer (Planning *pl, SourceLayer *s, GError **error)
{
  QconvPlan *p = pl->plan;
  guint n = qconv_directory_n_tensors (p->output.directory);
  g_auto (Decision) d = qconv_rules_decide (&pl->rules, s);
  gboolean move = p->edit != NULL && qconv_source_layer_quantized (s);
  PlannedLayer *l = d.scheme != NULL ? plan_encoded (pl, s, &d, error)
                    : move           ? plan_moved (pl, s, error)
                                     : plan_plain (pl, s, d.rule, error);

  if (l == NULL)
    return FALSE;
  if (qconv_rules_gave_up (&pl->rules, error))
    {
      qconv_planned_layer_free (l);
      return FALSE;
    }
  if (!qconv_output_plan_layer (&p->output, l, error))
    return FALSE;
  if (d.scheme != NULL && !p->target->target->complete && changes_probed (pl, l))
    {
      qconv_output_take_back (&p->output, n);
      l = plan_plain (pl, s, "probed", error);
      if (l == NULL || !qconv_output_plan_layer (&p->output, l, error))
        return FALSE;
    }
  l->packable = d.packable;
  l->finite = must_be_finite (p, s);
  if (move)
    qconv_edit_settle (l, &p->output);
  else
    settle_copy (l);
  return qconv_rules_check_precision (&pl->rules, s, l->layer->quantizer != NULL, error);
}

/* Returns: (transfer full) (nullable): the layers of @layers that may be biases, by name; NULL unless the writer takes
   biases */
static GHashTable *
find_biases (const QconvPlan *p, const GPtrArray *layers)
{
  GHashTable *biases = p->target->writer->takes_bias ? g_hash_table_new (g_str_hash, g_str_equal) : NULL;

  for (guint i = 0; biases != NULL && i < layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (layers, i);

      if (g_str_has_suffix (s->plain_name, ".bias"))
        g_hash_table_insert (biases, s->plain_name, s);
    }
  return biases;
}

/* Takes the biases that planned layers took out of @biases */
static void
leave_taken (const QconvPlan *p, GHashTable *biases)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->bias != NULL)
        g_hash_table_remove (biases, l->bias->plain_name);
    }
}

gboolean
qconv_plan_each_layer (Planning *pl, const GPtrArray *layers, GError **error)
{
  g_autoptr (GHashTable) biases = pl->biases = find_biases (pl->plan, layers);

  for (guint i = 0; i < layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (layers, i);

      if ((biases == NULL || g_hash_table_lookup (biases, s->plain_name) != s) && !plan_layer (pl, s, error))
        return FALSE;
    }
  if (biases != NULL)
    leave_taken (pl->plan, biases);
  for (guint i = 0; biases != NULL && i < layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (layers, i);

      if (g_hash_table_lookup (biases, s->plain_name) == s && !plan_layer (pl, s, error))
        return FALSE;
    }
  return TRUE;
}
