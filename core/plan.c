/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "directory.h"
#include "edit.h"
#include "input-scale.h"
#include "layer.h"
#include "plan.h"
#include "rules.h"
#include "target.h"
#include "values.h"

/* What planning one layer looks at */
typedef struct {
  QconvPlan *plan;
  const QconvJob *job;
  Rules rules;
  QconvValues *scheme_values; /* (nullable): what the user set for the target's scheme */
  InputScales *scales;        /* (nullable) */
} Planning;

/* What a target fixes is not the user's to change */
static gboolean
check_fixed (const Planning *pl, GError **error)
{
  const QconvTargetInfo *t = pl->plan->target;
  g_autoptr (QconvValues) fixed = NULL;

  if (t->quantizer == NULL || t->target->parameters == NULL)
    return TRUE;
  fixed = qconv_values_copy (pl->scheme_values);
  if (!qconv_values_parse (fixed, t->target->parameters, error))
    return FALSE;
  return qconv_values_same_parameters (fixed, pl->scheme_values)
         || qconv_fail (error, QCONV_ERROR_OPTION, "%s is %s with %s, which -o cannot change", t->name,
                        t->quantizer->id, t->target->parameters);
}

/* "--effort" and "-o" reach everything that takes part */
static gboolean
apply_options (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvQuantizer *q = p->target->quantizer;
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Participant));
  Participant writer = { p->target->writer->id, p->output.options };

  g_array_append_vals (all, p->model->participants->data, p->model->participants->len);
  g_array_append_val (all, writer);
  if (q != NULL)
    {
      Participant scheme = { q->id, pl->scheme_values = qconv_values_new (q->options) };

      g_array_append_val (all, scheme);
      if (!qconv_values_parse (scheme.values, p->target->target->parameters, error))
        return FALSE;
      if (pl->job->effort != NULL && qconv_values_knows (scheme.values, "effort")
          && !qconv_values_set (scheme.values, "effort", pl->job->effort, error))
        return FALSE;
    }
  if (pl->job->effort != NULL && p->warn != NULL && (q == NULL || !qconv_values_knows (pl->scheme_values, "effort")))
    p->warn (_ ("--effort does not reach this target"), p->warn_data);
  return qconv_settings_apply (pl->job->options, (const Participant *) all->data, all->len, TRUE, error)
         && check_fixed (pl, error) && (p->edit == NULL || qconv_edit_check_options (p->edit, &p->output, error));
}

/* ---- One layer ---- */

static PlannedLayer *
new_planned (Layer *layer, SourceLayer *source, How how, const char *rule)
{
  PlannedLayer *l = g_new0 (PlannedLayer, 1);

  l->layer = layer;
  l->source = source;
  l->how = how;
  l->rule = rule;
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
      && !qconv_input_scales_find (pl->scales, l->source->name, q->id, has_own, &found, &l->input_scale, error))
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
plan_encoded (Planning *pl, SourceLayer *s, const char *rule, GError **error)
{
  const QconvQuantizer *q = pl->plan->target->quantizer;
  const QconvLayer *from = &s->layer->pub;
  QconvValues *values = qconv_values_copy (pl->scheme_values);
  gboolean same = s->layer->quantizer == q;
  PlannedLayer *l;

  if (same)
    qconv_values_follow (values, s->layer->values);
  l = new_planned (qconv_layer_new (s->name, q->id, q, values, from->dtype, from->rows, from->cols), s, HOW_ENCODE,
                   rule);
  l->layer->pub.shape = from->shape;
  qconv_layer_settle (l->layer);
  same = same && qconv_values_same_parameters (values, s->layer->values);
  if (same)
    {
      l->how = HOW_MOVE;
      copy_hints (l->layer, s->layer);
    }
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
  l = new_planned (qconv_layer_new (s->name, q->id, q, qconv_values_copy (s->layer->values), from->dtype, from->rows,
                                    from->cols),
                   s, HOW_MOVE, "source");
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
  const QconvOutput *o = &pl->plan->output;
  g_autofree char *name = qconv_family_layer_name (pl->rules.family, l->source->name);
  const QconvTensor *weight = qconv_directory_find (o->directory, l->source->plain_name);

  return qconv_family_probed (pl->rules.family, name)
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

static gboolean
plan_layer (Planning *pl, SourceLayer *s, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvWriter *w = p->target->writer;
  guint n = qconv_directory_n_tensors (p->output.directory);
  const char *rule = "target";
  gboolean encode = p->target->quantizer != NULL
                    && qconv_rules_decide (&pl->rules, s, p->target->quantizer, pl->scheme_values, &rule);
  gboolean move = p->edit != NULL && !qconv_source_layer_plain (s);
  PlannedLayer *l = encode ? plan_encoded (pl, s, rule, error)
                           : move ? plan_moved (pl, s, error) : plan_plain (pl, s, rule, error);

  if (l == NULL || !qconv_output_plan_layer (&p->output, w, l, error))
    return FALSE;
  if (encode && changes_probed (pl, l))
    {
      qconv_output_take_back (&p->output, n);
      l = plan_plain (pl, s, "probed", error);
      if (l == NULL || !qconv_output_plan_layer (&p->output, w, l, error))
        return FALSE;
    }
  if (move)
    qconv_edit_settle (l, &p->output);
  else
    settle_copy (l);
  return qconv_rules_check_precision (&pl->rules, s, l->layer->quantizer != NULL, error);
}

/* ---- The whole ---- */

static gboolean
lay_out (QconvPlan *p, GError **error)
{
  const QconvContainer *c = qconv_registry_container (p->target->writer->container);
  guint n = qconv_directory_n_tensors (p->output.directory);
  g_autofree QconvTensor **tensors = g_new (QconvTensor *, n + 1);

  for (guint i = 0; i < n; i++)
    tensors[i] = qconv_directory_planned (p->output.directory, i);
  p->header = g_byte_array_new ();
  if (c->lay_out == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "container %s cannot be written", c->id);
  return c->lay_out (c, p->output.directory, tensors, n, p->header, &p->file_size, error);
}

static gboolean
plan_costs (QconvPlan *p, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    if (!qconv_cost_layer (&p->output, g_ptr_array_index (p->output.layers, i), p->memory, p->n_threads,
                           !p->no_verify, error))
      return FALSE;
  return TRUE;
}

static gboolean
plan_layers (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvWriter *w = p->target->writer;

  GPtrArray *layers = p->model->layers;

  if (p->target->target->scheme == NULL)
    {
      layers = p->verbatim = qconv_model_verbatim (p->model, error);
      if (layers == NULL)
        return FALSE;
    }
  for (guint i = 0; i < layers->len; i++)
    if (!plan_layer (pl, g_ptr_array_index (layers, i), error))
      return FALSE;
  if (!qconv_rules_check (&pl->rules, p->model, pl->job, error))
    return FALSE;
  if (p->edit != NULL && !qconv_edit_check (p->edit, error))
    return FALSE;
  if (p->edit != NULL && !qconv_edit_metadata (p->edit, &p->output, error))
    return FALSE;
  return (w->end == NULL || w->end (w, &p->output, error))
         && (p->edit == NULL || qconv_edit_check_metadata (p->edit, &p->output, error));
}

/* A loader of quantized files knows one spelling of the names; the plain targets keep any */
static gboolean
check_naming (const Planning *pl, GError **error)
{
  const char *foreign = qconv_family_foreign_naming (pl->rules.family, pl->plan->model->directory);

  if (pl->plan->target->quantizer == NULL || foreign == NULL)
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                     "this is %s, which no loader of %s knows; convert the original checkpoint", foreign,
                     pl->plan->target->name);
}

/* What decoding and encoding again costs is told once */
static void
warn_lossy (const QconvPlan *p)
{
  guint n = 0;

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      n += l->how == HOW_ENCODE && l->source->layer->quantizer != NULL && qconv_encoder (l, 0)->from == NULL
           && l->source->bytes * 8 < l->layer->pub.rows * l->layer->pub.cols * 6;
    }
  if (n > 0 && p->warn != NULL)
    {
      g_autofree char *line = g_strdup_printf (
          _ ("%u layers come from fewer than 6 bits a weight: the error of both formats adds up"), n);

      p->warn (line, p->warn_data);
    }
}

static void
warn_unscaled (const QconvPlan *p)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    if (((const PlannedLayer *) g_ptr_array_index (p->output.layers, i))->has_input_scale)
      return;
  if (p->warn != NULL)
    p->warn (_ ("--input-scale does not reach any layer"), p->warn_data);
}

static void
warn_nothing (const QconvPlan *p)
{
  g_autofree char *line = NULL;
  gboolean decoded = FALSE;

  if (p->target->quantizer == NULL || p->warn == NULL)
    return;
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->layer->quantizer != NULL)
        return;
      decoded |= l->how == HOW_DECODE;
    }
  line = g_strdup_printf (decoded ? _ ("no layer becomes %s: what was quantized is decoded")
                                  : _ ("no layer becomes %s: the output is a copy"),
                          p->target->quantizer->id);
  p->warn (line, p->warn_data);
}

static gboolean
make_plan (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;

  if (!qconv_rules_init (&pl->rules, p->model, pl->job, error) || !check_naming (pl, error)
      || !apply_options (pl, error))
    return FALSE;
  if (p->edit == NULL && p->target->quantizer == NULL && (pl->job->keep != NULL || pl->job->only != NULL))
    return qconv_fail (error, QCONV_ERROR_OPTION, "--keep and --only mean nothing for %s", p->target->name);
  if (p->allow_nonfinite && p->target->quantizer != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--allow-nonfinite is for plain targets, not for %s",
                       p->target->name);
  pl->scales = qconv_input_scales_new (pl->job->input_scale, error);
  if (pl->scales == NULL && *error != NULL)
    return FALSE;
  if (pl->scales != NULL && !qconv_input_scales_check (pl->scales, p->model, error))
    return FALSE;
  if (!plan_layers (pl, error) || !lay_out (p, error) || !plan_costs (p, error))
    return FALSE;
  if (pl->scales != NULL)
    warn_unscaled (p);
  warn_lossy (p);
  warn_nothing (p);
  return TRUE;
}

static gboolean
find_target (QconvPlan *p, const QconvJob *job, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (job->target != NULL)
    {
      p->target = qconv_target_find (job->target, error);
      if (p->target != NULL)
        p->path = job->output != NULL ? g_strdup (job->output) : qconv_target_derive_output (p->target, p->model);
      return p->target != NULL;
    }
  p->in_place = qconv_edit_in_place (p->model, job, &local);
  if (local == NULL)
    p->edit = qconv_edit_new (p->model, job, &local);
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  p->target = qconv_edit_target (p->edit);
  p->path = g_strdup (p->in_place ? p->model->path : job->output);
  return TRUE;
}

QconvPlan *
qconv_plan_new (QconvModel *model, const QconvJob *job, GError **error)
{
  g_autoptr (QconvPlan) p = g_new0 (QconvPlan, 1);
  g_autoptr (GError) local = NULL;
  Planning pl = { .plan = p, .job = job };
  gboolean ok;

  p->model = model;
  if (!find_target (p, job, error))
    return NULL;
  p->memory = job->memory > 0 ? job->memory : QCONV_DEFAULT_MEMORY;
  p->n_threads = job->n_threads > 0 ? job->n_threads : g_get_num_processors ();
  p->no_verify = job->no_verify;
  p->force = job->force;
  p->allow_nonfinite = job->allow_nonfinite;
  p->warn = job->warn;
  p->warn_data = job->warn_data;
  qconv_output_init (&p->output, model, qconv_values_new (p->target->writer->options));
  ok = make_plan (&pl, &local);
  qconv_rules_clear (&pl.rules);
  g_clear_pointer (&pl.scheme_values, qconv_values_free);
  g_clear_pointer (&pl.scales, qconv_input_scales_free);
  if (ok)
    return g_steal_pointer (&p);
  if (qconv_error_exit_status (local) == 3)
    g_prefix_error (&local, "%s: ", qconv_source_path (model->source));
  g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}
