/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

/* Choices that the interface has and this version cannot serve yet are refused, never ignored */
static gboolean
check_choices (const CliSettings *s, GError **error)
{
  g_autoptr (GPtrArray) targets = cli_target_names ();

  if (s->to == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--to TARGET is missing; 'qconv targets' lists what can be made"));
  if (!g_strv_contains ((const char *const *) targets->pdata, s->to))
    return cli_fail_unknown (error, QCONV_ERROR_NO_PLUGIN, g_strdup_printf (_ ("unknown target \"%s\""), s->to), s->to,
                             (const char *const *) targets->pdata);
  if (s->as_template && !s->dry_run)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--template belongs to --dry-run"));
  if (g_strcmp0 (s->device, "cuda") == 0)
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN, _ ("--device cuda: this qconv was built without the backend"));
  return TRUE;
}

/* ComfyUI reads models under the names that their makers gave them */
static const char *
naming_of (const char *word)
{
  return g_strcmp0 (word, "comfy") == 0 ? "original" : word;
}

static QconvPlan *
make_plan (const CliSettings *s, QconvModel *model, const char *output, GError **error)
{
  QconvJob job = { .target = s->to,
                   .output = output,
                   .options = (const char *const *) s->settings->pdata,
                   .keep = s->keep,
                   .only = s->only,
                   .effort = s->effort,
                   .input_scale = s->input_scale,
                   .hp_filter = s->hp_filter,
                   .naming = naming_of (s->names),
                   .component = s->component,
                   .drop = s->drop->len > 1 ? (const char *const *) s->drop->pdata : NULL,
                   .layers = s->layers->len > 1 ? (const char *const *) s->layers->pdata : NULL,
                   .layer_config = s->layer_config,
                   .fallback = s->fallback,
                   .like = s->like,
                   .loras = s->loras->len > 1 ? (const char *const *) s->loras->pdata : NULL,
                   .lora_partial = s->lora_partial,
                   .skip_inefficient = s->skip_inefficient,
                   .memory = s->memory,
                   .n_threads = s->n_threads,
                   .force = s->force,
                   .no_verify = s->no_verify,
                   .allow_nonfinite = s->allow_nonfinite,
                   .warn = cli_warn };

  return qconv_plan_new (model, &job, error);
}

/* A target that copies verbatim takes layers that no reader can claim */
static gboolean
copies_anything (const char *target)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      if (strcmp (t->name, target) == 0)
        return t->target->scheme == NULL;
    }
  return FALSE;
}

gboolean
cli_convert (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (QconvModel) model = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  if (!check_choices (s, error))
    return FALSE;
  model = cli_model_open (s, words[0], s->from, copies_anything (s->to), error);
  if (model == NULL)
    return FALSE;
  plan = make_plan (s, model, words[1], error);
  return plan != NULL && cli_plan_carry_out (s, model, plan, error);
}
