/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a plan from a job and lists its contents. The program and other users of libqconv call it. */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "base/checksum-map.h"
#include "base/error.h"
#include "families/missing.h"
#include "graph/identify.h"
#include "graph/odd-bias.h"
#include "graph/select-part.h"
#include "graph/stated.h"
#include "graph/unwrap.h"
#include "io/directory.h"
#include "lora/lora.h"
#include "plan/beside.h"
#include "plan/edit.h"
#include "plan/encoder.h"
#include "plan/error-lora.h"
#include "plan/facts.h"
#include "plan/output-name.h"
#include "plan/plan-checksums.h"
#include "plan/plan-layer.h"
#include "plan/plan-warnings.h"
#include "plan/source-note.h"
#include "registry/target.h"
#include "registry/values.h"

static gboolean
plan_costs (QconvPlan *p, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    if (!qconv_cost_layer (&p->output, g_ptr_array_index (p->output.layers, i), &p->limits,
                           p->verify || p->error_lora != NULL, error))
      return FALSE;
  return p->error_lora == NULL || qconv_error_lora_cost (p->error_lora, &p->limits, error);
}

/* Refuses to encode @s, a layer of @m, if its bias does not fit: no loader takes the result */
static gboolean
check_bias (const QconvModel *m, const SourceLayer *s, GError **error)
{
  const SourceLayer *bias = qconv_odd_bias (m, s, TRUE);
  g_autofree char *text = bias != NULL ? qconv_odd_bias_text (bias, s) : NULL;

  return bias == NULL || qconv_fail (error, QCONV_ERROR_INPUT, "%s", text);
}

static gboolean
check_biases (const QconvPlan *p, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      const GPtrArray *sources = l->source->sources;

      if (l->layer->quantizer == NULL)
        continue;
      if (sources == NULL && !check_bias (p->model, l->source, error))
        return FALSE;
      for (guint k = 0; sources != NULL && k < sources->len; k++)
        if (!check_bias (p->model, g_ptr_array_index (sources, k), error))
          return FALSE;
    }
  return TRUE;
}

static gboolean
plan_layers (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvWriter *w = p->target->writer;
  GPtrArray *layers = p->mapping != NULL ? p->mapping->layers : p->model->layers;

  if (p->target->target->scheme == NULL)
    {
      layers = p->verbatim = qconv_select_verbatim (p->model, pl->job->names.component, error);
      if (layers == NULL)
        return FALSE;
    }
  if (!qconv_plan_each_layer (pl, layers, error) || !check_biases (p, error)
      || !qconv_rules_check (&pl->rules, layers, error))
    return FALSE;
  if (p->edit != NULL && !qconv_edit_check (p->edit, error))
    return FALSE;
  if (p->edit != NULL && !qconv_edit_metadata (p->edit, &p->output, error))
    return FALSE;
  if (p->edit == NULL && p->target->target->scheme != NULL)
    qconv_source_note_set (p);
  return qconv_beside_add_tokenizer (p, error) && qconv_call_end (w, &p->output, error)
         && (p->edit == NULL || qconv_edit_check_metadata (p->edit, &p->output, error));
}

/* Returns the namings to write, best first, or NULL to keep the names. @asked: room for the one that the user named */
static const char *const *
output_namings (const Planning *pl, const char **asked)
{
  if (pl->job->names.naming == NULL)
    return pl->plan->target->writer->spellings;
  asked[0] = pl->job->names.naming;
  return strcmp (asked[0], "keep") == 0 ? NULL : asked;
}

/* Refuses an incomplete model if the target has a loader, else warns */
static gboolean
check_complete (const Planning *pl, GError **error)
{
  const Mapping *x = pl->plan->mapping;
  gboolean known = qconv_identity_known (x->identity);
  g_autofree char *names = qconv_first_names (x->missing);
  const char *family;

  if (x->missing->len == 0)
    return TRUE;
  family = qconv_family_id (x->missing_of);
  if (pl->plan->target->writer->spellings == NULL || pl->job->names.allow_incomplete)
    {
      if (known)
        qconv_warn (&pl->plan->warn, _ ("the model is incomplete: %s needs %u tensors that are missing: %s"), family,
                    x->missing->len, names);
      else
        qconv_warn (&pl->plan->warn,
                    _ ("nearly all names are those of %s, but %u tensors are missing, so it cannot be recognised: %s"),
                    family, x->missing->len, names);
      return TRUE;
    }
  if (!known)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "nearly all names are those of %s, but %u tensors are missing, so loaders cannot recognise it: "
                       "%s; --allow-incomplete converts it as a model of no known family",
                       family, x->missing->len, names);
  return qconv_fail (
      error, QCONV_ERROR_INPUT,
      "the model is incomplete: %s needs %u tensors that are missing: %s; --allow-incomplete converts it "
      "without them",
      family, x->missing->len, names);
}

/* Fails if --names asks for names that the target's loader does not know */
static gboolean
check_naming (const Planning *pl, GError **error)
{
  const QconvTargetInfo *target = pl->plan->target;
  const char *const *spellings = target->writer->spellings, *naming = pl->job->names.naming;

  return naming == NULL || spellings == NULL || strcmp (naming, "keep") == 0 || g_strv_contains (spellings, naming)
         || qconv_fail (error, QCONV_ERROR_OPTION,
                        "--names %s: loaders of %s do not know these names; leave --names out, or keep those of the "
                        "input with --names keep",
                        naming, target->name);
}

/* Warns about names and tensors that the output lacks */
static void
warn_names (const QconvPlan *p, const MappingOptions *options)
{
  const Identity *id = p->mapping->identity;
  const char *wrapper = NULL, *fewer_than;
  gint64 has = 0, wants = 0;
  guint n = options->keep_prefix ? 0 : qconv_unwrap_count (p->model, qconv_model_families (p->model, NULL), &wrapper);

  if (n > 0)
    qconv_warn (&p->warn,
                _ ("%u names hold wrappers of modules such as \"%s\", which no loader knows: they are removed"), n,
                wrapper);
  if (id->foreign > 0 && !options->keep_prefix && options->component == NULL)
    qconv_warn (&p->warn, _ ("names begin with \"%.*s\", which no loader knows: it is removed"), (int) id->foreign,
                id->prefix);
  fewer_than = qconv_identity_fewer_blocks (id, &has, &wants);
  if (fewer_than != NULL)
    qconv_warn (&p->warn, _ ("the model has %u blocks, %s %s has %u: unless it was made so, the last ones are missing"),
                (guint) has, qconv_family_id (id->family), fewer_than, (guint) wants);
  if (p->mapping->n_ema > 0)
    qconv_warn (&p->warn, _ ("%u tensors of an averaged copy (EMA) are left out; --component all writes them, too"),
                p->mapping->n_ema);
}

/* Hands the facts of an edited file to its writer, if the model is known: names stay as they are */
static void
add_facts_of_edit (QconvPlan *p)
{
  const Identity *id = qconv_model_known (p->model, NULL);

  if (id != NULL)
    p->output.facts = qconv_facts_new (id, id->naming, id->prefix, qconv_model_architecture_of (p->model, id));
}

/* Maps names and merges LoRAs. Edits and verbatim copies do neither */
static gboolean
map_layers (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;
  const QconvJob *job = pl->job;
  MappingOptions options = { .component = job->names.component, .drop = job->names.drop };
  LoraJob loras = { job->lora.files, job->lora.partial, p->warn };
  const char *asked[] = { NULL, NULL };

  if (job->lora.files != NULL && (p->edit != NULL || p->target->target->scheme == NULL))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s takes all weights as they are: no LoRA can be merged",
                       p->target->name);
  if (p->edit != NULL || p->target->target->scheme == NULL)
    return ((p->edit == NULL || job->names.component == NULL) && job->names.drop == NULL
            && (job->names.naming == NULL || strcmp (job->names.naming, "keep") == 0))
           || qconv_fail (error, QCONV_ERROR_OPTION, "%s takes all layers under their names", p->target->name);
  if (!check_naming (pl, error))
    return FALSE;
  options.namings = output_namings (pl, asked);
  options.asked = job->names.naming != NULL;
  options.keep_prefix = g_strcmp0 (job->names.naming, "keep") == 0;
  options.for_loader = p->target->writer->spellings != NULL;
  options.left_out = p->target->writer->left_out;
  if (options.component == NULL)
    options.component = p->target->writer->component;
  p->mapping = qconv_mapping_new (p->model, &options, error);
  if (p->mapping == NULL && job->names.component == NULL && p->target->writer->component != NULL
      && g_error_matches (*error, QCONV_ERROR, QCONV_ERROR_OPTION))
    g_prefix_error (error, "%s takes the part \"%s\" of a model: ", p->target->name, options.component);
  if (p->mapping != NULL && !check_complete (pl, error))
    return FALSE;
  if (p->mapping != NULL)
    {
      p->output.facts = qconv_facts_new (p->mapping->identity, p->mapping->naming, p->mapping->prefix,
                                         qconv_model_architecture_of (p->model, p->mapping->identity));
      warn_names (p, &options);
    }
  if (p->mapping != NULL && p->mapping->n_useless > 0)
    qconv_warn (&p->warn, _ ("%u tensors that no loader of %s uses are left out"), p->mapping->n_useless,
                qconv_family_id (p->mapping->identity->family));
  if (p->mapping != NULL && job->lora.files != NULL)
    p->loras = qconv_loras_apply (&loras, p->model, p->mapping, error);
  return p->mapping != NULL && (job->lora.files == NULL || p->loras != NULL);
}

/* Fails if a loader would take the output, by its names and stored shapes, for another model. A model without the parts
   that the files do not hold is another one, and that is meant */
static gboolean
check_recognised (const Planning *pl, GError **error)
{
  const QconvPlan *p = pl->plan;

  return p->mapping == NULL || p->target->quantizer == NULL || p->target->target->complete || p->mapping->n_left_out > 0
         || !qconv_identity_known (p->mapping->identity)
         || qconv_model_check_recognised (p->model, p->mapping->identity, p->output.directory, error);
}

/* Returns: (transfer full): the first option of @job that gives schemes to layers, as the user wrote it */
static char *
scheme_option (const QconvRuleOptions *rules)
{
  const struct {
    const char *option, *value;
  } all[] = { { "--layers ", rules->layers != NULL ? rules->layers[0] : NULL },
              { "--layer-config ", rules->layer_config != NULL ? rules->layer_config[0] : NULL },
              { "--fallback ", rules->fallback },
              { "--like ", rules->like != NULL ? rules->like[0] : NULL } };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if (all[i].value != NULL)
      return g_strconcat (all[i].option, all[i].value, NULL);
  return g_strdup ("--skip-inefficient");
}

/* Fails if an option has no effect on this target */
static gboolean
check_job (const Planning *pl, GError **error)
{
  const QconvPlan *p = pl->plan;
  const QconvJob *job = pl->job;

  if (p->target->quantizer == NULL && p->edit == NULL && (pl->rules.keep->len > 0 || pl->rules.only->len > 0))
    return qconv_fail (error, QCONV_ERROR_OPTION, "--keep and --only mean nothing for %s", p->target->name);
  if (p->target->quantizer == NULL
      && (pl->rules.rows->len > 0 || job->rules.fallback != NULL || pl->rules.like != NULL
          || job->rules.skip_inefficient))
    {
      g_autofree char *option = scheme_option (&job->rules);

      return qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s holds no schemes", option, p->target->name);
    }
  return !p->allow_nonfinite || p->target->quantizer == NULL
         || qconv_fail (error, QCONV_ERROR_OPTION, "--allow-nonfinite is for plain targets, not for %s",
                        p->target->name);
}

/* Names the output after the options of its scheme, and the folder if it is one, unless the user named it */
static gboolean
name_output (const Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;
  const Scheme *scheme = qconv_schemes_main (&pl->schemes);
  const QconvValues *values = scheme != NULL ? scheme->values : p->output.options;

  if (p->edit != NULL || (p->target->target->file_name == NULL && !qconv_plan_is_folder (p)))
    return TRUE;
  g_free (p->path);
  if (qconv_plan_is_folder (p))
    p->path = qconv_output_folder (p->target, values, p->model->path, pl->job->output, error);
  else
    p->path = qconv_output_path (p->target, values, p->model->path, pl->job->output, error);
  return p->path != NULL;
}

/* Lays the files out, when all tensors are planned and the output has its name */
static gboolean
lay_out (const Planning *pl, GError **error)
{
  if (!name_output (pl, error))
    return FALSE;
  pl->plan->files = qconv_plan_lay_out (pl->plan, NULL, error);
  return pl->plan->files != NULL;
}

static gboolean
make_plan (Planning *pl, GError **error)
{
  QconvPlan *p = pl->plan;

  if (p->edit != NULL)
    add_facts_of_edit (p);
  if (!map_layers (pl, error) || !qconv_rules_init (&pl->rules, p->model, p->mapping, &pl->schemes, pl->job, error)
      || !check_job (pl, error)
      || !qconv_schemes_apply (&pl->schemes, pl->job, p->model->participants, p->output.options, error)
      || (p->edit != NULL && !qconv_edit_check_options (p->edit, &p->output, error)))
    return FALSE;
  pl->scales = qconv_input_scales_new (pl->job->input_scale, error);
  if (pl->scales == NULL && *error != NULL)
    return FALSE;
  qconv_rules_settle (&pl->rules);
  if (pl->scales != NULL
      && !qconv_input_scales_check (pl->scales, p->mapping != NULL ? p->mapping->layers : p->model->layers, error))
    return FALSE;
  if (!plan_layers (pl, error) || !check_recognised (pl, error) || !lay_out (pl, error)
      || !qconv_error_lora_plan (p, pl->job->lora.error, error) || !plan_costs (p, error))
    return FALSE;
  if (p->edit != NULL)
    p->changes = qconv_edit_changes (p);
  qconv_plan_warn (p, pl->scales != NULL);
  return TRUE;
}

/* Lists the files that were read besides the model */
static void
list_inputs (const Planning *pl)
{
  QconvPlan *p = pl->plan;
  char *stated = qconv_stated_file (p->model);

  if (stated != NULL)
    g_ptr_array_add (p->inputs, stated);
  if (p->model->knowledge->family_file != NULL)
    g_ptr_array_add (p->inputs, g_strdup (p->model->knowledge->family_file));
  for (guint i = 0; i < pl->rules.files->len; i++)
    g_ptr_array_add (p->inputs, g_strdup (g_ptr_array_index (pl->rules.files, i)));
  if (p->loras != NULL)
    qconv_loras_list_files (p->loras, p->inputs);
  if (pl->scales != NULL)
    qconv_input_scales_list_files (pl->scales, p->inputs);
}

static gboolean
find_target (QconvPlan *p, const QconvJob *job, GError **error)
{
  g_autoptr (GError) local = NULL;

  if (job->target != NULL)
    {
      p->target = qconv_target_find (job->target, error);
      if (p->target != NULL)
        p->path = qconv_output_path (p->target, NULL, p->model->path, job->output, error);
      return p->path != NULL;
    }
  p->in_place = qconv_edit_in_place (p->model, job, &local);
  if (local == NULL)
    {
      qconv_unwrap_undo (p->model);
      p->edit = qconv_edit_new (p->model, job, &local);
    }
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  p->target = qconv_edit_target (p->edit);
  p->path
      = p->in_place ? g_strdup (p->model->path) : qconv_output_path (NULL, NULL, p->model->path, job->output, error);
  return p->path != NULL;
}

QconvPlan *
qconv_plan_new (QconvModel *model, const QconvJob *job, GError **error)
{
  g_autoptr (QconvPlan) p = g_new0 (QconvPlan, 1);
  g_autoptr (GError) local = NULL;
  Planning pl = { .plan = p, .job = job };
  gboolean ok;

  p->model = model;
  p->inputs = g_ptr_array_new_with_free_func (g_free);
  p->warn = (Warn) { job->warn, job->warn_data };
  if (!find_target (p, job, error) || !qconv_plan_device_open (&p->device, &job->run, &p->warn, error))
    return NULL;
  p->limits = (Limits) {
    .memory = job->run.memory > 0 ? job->run.memory : QCONV_DEFAULT_MEMORY,
    .n_threads = job->run.n_threads > 0 ? job->run.n_threads : g_get_num_processors (),
    .tile = p->device.device != NULL ? DEVICE_TILE_TARGET : TILE_TARGET,
  };
  p->verify = !job->run.no_verify;
  p->checksums = !job->run.no_checksums;
  p->split = job->run.split;
  p->force = job->run.force;
  p->resume = job->run.resume;
  p->allow_nonfinite = job->run.allow_nonfinite;
  qconv_output_init (&p->output, model, p->target);
  p->output.warn = p->warn;
  qconv_schemes_init (&pl.schemes, p->target);
  ok = (!p->verify || qconv_plan_check_stated (p, &local)) && make_plan (&pl, &local);
  if (ok)
    list_inputs (&pl);
  qconv_rules_clear (&pl.rules);
  qconv_schemes_clear (&pl.schemes);
  g_clear_pointer (&pl.scales, qconv_input_scales_free);
  if (ok)
    return g_steal_pointer (&p);
  qconv_error_name_file (&local, qconv_source_path (model->source));
  g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

void
qconv_plan_free (QconvPlan *p)
{
  qconv_plan_device_close (&p->device);
  if (p->output.directory != NULL)
    qconv_output_clear (&p->output);
  g_clear_pointer (&p->mapping, qconv_mapping_free);
  g_clear_pointer (&p->loras, qconv_loras_free);
  g_clear_pointer (&p->error_lora, qconv_error_lora_free);
  g_clear_pointer (&p->verbatim, g_ptr_array_unref);
  g_ptr_array_unref (p->inputs);
  g_clear_pointer (&p->files, g_ptr_array_unref);
  g_clear_pointer (&p->edit, qconv_edit_free);
  g_clear_pointer (&p->changes, g_ptr_array_unref);
  g_free (p->path);
  g_free (p);
}
