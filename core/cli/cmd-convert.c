/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv convert`: opens the input, plans the conversion and carries it out. */
#include <glib/gi18n.h>

#include "cli/command.h"
#include "cli/features.h"
#include "cli/open-model.h"
#include "cli/show.h"
#include "cli/term.h"
#include "qconv.h"

/* Refuses a target that is not loaded, and options that do not go together, before any file is opened */
static gboolean
check_choices (const CliSettings *s, GError **error)
{
  if (s->output.to == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--to TARGET is missing; 'qconv targets' lists the targets"));
  if (!qconv_registry_check_target (s->output.to, error))
    return FALSE;
  if (cli_target_find (s->output.to) == NULL)
    {
      g_autoptr (GPtrArray) names = cli_target_names ();

      return cli_fail_unknown (error, QCONV_ERROR_NO_PLUGIN,
                               g_strdup_printf (_ ("unknown target \"%s\""), s->output.to), s->output.to,
                               (const char *const *) names->pdata);
    }
  if (s->show.as_template && !s->show.dry_run)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--template needs --dry-run"));
  if (g_strcmp0 (s->run.device, "cuda") == 0)
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN,
                       _ ("--device cuda: this qconv was built without CUDA; use --device cpu"));
  return TRUE;
}

/* Returns: (transfer none) (nullable): @list, or NULL if it is empty */
static const char *const *
texts_of (const GPtrArray *list)
{
  return list->len > 1 ? (const char *const *) list->pdata : NULL;
}

static QconvPlan *
make_plan (const CliSettings *s, QconvModel *model, const char *output, GError **error)
{
  QconvJob job = { .target = s->output.to,
                   .output = output,
                   .options = (const char *const *) s->input.plugin_options->pdata,
                   .effort = s->output.effort,
                   .input_scale = s->output.input_scale,
                   .rules.keep = s->rules.keep,
                   .rules.only = s->rules.only,
                   .rules.hp_filter = s->rules.hp_filter,
                   .rules.layers = texts_of (s->rules.layers),
                   .rules.layer_config = s->rules.layer_config,
                   .rules.fallback = s->rules.fallback,
                   .rules.like = s->rules.like,
                   .rules.skip_inefficient = s->rules.skip_inefficient,
                   .names.naming = cli_naming_of (s->output.names),
                   .names.component = s->output.component,
                   .names.drop = texts_of (s->output.drop),
                   .names.allow_incomplete = s->output.allow_incomplete,
                   .lora.files = texts_of (s->output.loras),
                   .lora.partial = s->output.lora_partial,
                   .run.memory = s->run.memory,
                   .run.n_threads = s->run.n_threads,
                   .run.force = s->run.force,
                   .run.no_verify = s->run.no_verify,
                   .run.allow_nonfinite = s->input.allow_nonfinite,
                   .warn = cli_warn };

  return qconv_plan_new (model, &job, error);
}

gboolean
cli_convert (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (QconvModel) model = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  gboolean verbatim;

  if (!check_choices (s, error))
    return FALSE;
  /* A target that copies every tensor verbatim takes layers that no reader can claim */
  verbatim = cli_target_find (s->output.to)->target->scheme == NULL;
  model = cli_model_open (&s->input, words[0], s->input.from, verbatim, error);
  if (model == NULL)
    return FALSE;
  plan = make_plan (s, model, words[1], error);
  return plan != NULL && cli_plan_carry_out (&s->show, model, plan, error);
}
