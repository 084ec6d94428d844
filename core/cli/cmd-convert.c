/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv convert`: opens the input, plans the conversion and carries it out. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/command.h"
#include "cli/features.h"
#include "cli/open-model.h"
#include "cli/table.h"
#include "cli/task.h"
#include "cli/term.h"
#include "cli/unknown.h"
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
    return cli_fail_unknown_target (s->output.to, error);
  if (!cli_check_settings (&s->input, error))
    return FALSE;
  if (s->show.as_template && !s->show.dry_run)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--template needs --dry-run"));
  return TRUE;
}

/* Returns: (transfer none) (nullable): @list, or NULL if it is empty */
static const char *const *
texts_of (const GPtrArray *list)
{
  return list->len > 1 ? (const char *const *) list->pdata : NULL;
}

/* Conversion: what a plan is made from */
typedef struct {
  const CliSettings *settings;
  const char *output;
  GPtrArray *plain; /* (element-type utf8): names of layers that gave way, behind which a NULL stands */
} Conversion;

/* Plans the conversion of @t->model */
static void
make_plan (CliTask *t)
{
  const Conversion *c = t->data;
  const CliSettings *s = c->settings;
  QconvJob job = { .target = s->output.to,
                   .output = c->output,
                   .options = (const char *const *) s->input.plugin_options->pdata,
                   .effort = s->output.effort,
                   .input_scale = s->output.input_scale,
                   .rules.keep = texts_of (s->rules.keep),
                   .rules.only = texts_of (s->rules.only),
                   .rules.hp_filter = texts_of (s->rules.hp_filter),
                   .rules.layers = texts_of (s->rules.layers),
                   .rules.layer_config = texts_of (s->rules.layer_config),
                   .rules.fallback = s->rules.fallback,
                   .rules.like = texts_of (s->rules.like),
                   .rules.skip_inefficient = s->rules.skip_inefficient,
                   .rules.plain = texts_of (c->plain),
                   .names.naming = cli_naming_of (s->output.names),
                   .names.component = s->output.component,
                   .names.drop = texts_of (s->output.drop),
                   .names.allow_incomplete = s->output.allow_incomplete,
                   .lora.files = texts_of (s->output.loras),
                   .lora.partial = s->output.lora_partial,
                   .lora.error = s->output.error_lora,
                   .run.memory = s->run.memory,
                   .run.n_threads = s->run.n_threads,
                   .run.force = s->run.force,
                   .run.no_verify = s->run.no_verify,
                   .run.no_checksums = s->run.no_checksums,
                   .run.resume = s->run.resume,
                   .run.split = s->output.split,
                   .run.device = s->run.device,
                   .run.device_memory = s->run.device_memory,
                   .run.allow_nonfinite = s->input.allow_nonfinite,
                   .warn = c->plain->len > 1 ? NULL : cli_warn, /* the first plan has said it */
                   .warn_data = t->warnings };

  t->plan = qconv_plan_new (t->model, &job, &t->error);
}

/* Returns whether @weights has a layer called @name that is encoded */
static gboolean
is_encoded (const GArray *weights, const char *name)
{
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      if (g_strcmp0 (w->name, name) == 0)
        return strcmp (w->how, "encode") == 0;
    }
  return FALSE;
}

/* Returns: (transfer full) (element-type utf8): the encoded layers beyond the bound of their scheme, if there is no
   other problem, such as damage of a layer that was moved; else an empty list */
static GPtrArray *
list_beyond_bound (const CliTask *t)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) weights = qconv_plan_weights (t->plan);

  for (guint i = 0; t->report != NULL && i < t->report->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (t->report->problems, i);

      if (strcmp (p->code, "error-bound") != 0 || !is_encoded (weights, p->layer))
        {
          g_ptr_array_set_size (names, 0);
          return names;
        }
      g_ptr_array_add (names, g_strdup (p->layer));
    }
  return names;
}

/* Plans once more, and keeps layers plain that lost too much */
static gboolean
give_way (CliTask *t)
{
  Conversion *c = t->data;
  g_autoptr (GPtrArray) names = list_beyond_bound (t);
  g_autofree char *text = NULL;

  if (!cli_target_find (t->target)->target->gives_way || names->len == 0)
    return FALSE;
  text = g_strdup_printf (
      _ ("%u layers lose too much in the types of %s, the first is %s: they stay plain, and the model "
         "is converted once more"),
      names->len, t->target, (const char *) g_ptr_array_index (names, 0));
  cli_warn (text, t->warnings);
  for (guint i = 0; i < names->len; i++)
    g_ptr_array_insert (c->plain, 0, g_strdup (g_ptr_array_index (names, i)));
  g_clear_error (&t->error);
  g_clear_pointer (&t->plan, qconv_plan_free);
  make_plan (t);
  return TRUE;
}

/* ---- One input ---- */

/* Adds the output of @t to @written, the outputs of earlier inputs of this command; fails if it is one of them */
static void
claim_output (CliTask *t, GHashTable *written)
{
  char *path = g_canonicalize_filename (qconv_plan_output (t->plan), NULL);

  if (!g_hash_table_add (written, path))
    qconv_fail (&t->error, QCONV_ERROR_OPTION, _ ("%s: an earlier input has the same output, %s: convert it alone"),
                t->input, qconv_plan_output (t->plan));
}

/* Refuses an output that exists before anything is read. It may be the second of several inputs. The plan refuses the
   input and devices as output, and the files of a set, whose names follow from @output */
static gboolean
check_second (const CliSettings *s, const char *input, const char *output, GError **error)
{
  g_autofree char *in = g_canonicalize_filename (input, NULL);
  g_autofree char *out = output != NULL ? g_canonicalize_filename (output, NULL) : NULL;

  return out == NULL || g_str_equal (in, out) || g_str_has_prefix (out, "/dev/") || s->run.force || s->output.split > 0
         || !g_file_test (out, G_FILE_TEST_IS_REGULAR)
         || qconv_fail (error, QCONV_ERROR_OPTION,
                        _ ("%s: exists; --force overwrites it; if it is another input, add a folder for the outputs "
                           "as the last name"),
                        output);
}

/* Converts @input. @output: (nullable): as in QconvJob; @written: see claim_output(); NULL: it is the only input */
static gboolean
convert_one (const CliSettings *s, const char *input, const char *output, GHashTable *written, GError **error)
{
  /* A target that copies every tensor verbatim takes layers that no reader can claim */
  gboolean verbatim = cli_target_find (s->output.to)->target->scheme == NULL;
  g_autoptr (GPtrArray) plain = g_ptr_array_new_with_free_func (g_free);
  Conversion c = { s, output, plain };
  g_auto (CliTask) t = cli_task_new (input, s->output.to);

  g_ptr_array_add (plain, NULL);
  t.give_way = give_way;
  t.data = &c;
  if (written != NULL || check_second (s, input, output, &t.error))
    t.model = cli_model_open (&s->input, input, s->input.from, verbatim, t.warnings, &t.error);
  if (t.model != NULL)
    make_plan (&t);
  if (t.plan != NULL && written != NULL)
    claim_output (&t, written);
  return cli_task_carry_out (&t, &s->show, error);
}

/* ---- Several inputs ---- */

/* Returns whether @name stands for a folder: one that exists, or a name that ends in "/" */
static gboolean
names_folder (const char *name)
{
  return g_str_has_suffix (name, G_DIR_SEPARATOR_S) || g_file_test (name, G_FILE_TEST_IS_DIR);
}

typedef struct {
  guint n, failed;
  CliTable *table;
  GHashTable *sets, *written;
} Several;

/* Converts one of several inputs into @folder. Returns FALSE if no other input should follow */
static gboolean
convert_next (Several *all, const CliSettings *s, const char *input, const char *folder, GError **first)
{
  g_autofree char *set = qconv_name_of_set (input);
  g_autoptr (GError) error = NULL;

  if (strcmp (set, input) != 0 && !g_hash_table_add (all->sets, g_strdup (set)))
    return TRUE; /* the first shard stands for all */
  all->n++;
  if (convert_one (s, input, folder, all->written, &error))
    {
      cli_table_row (all->table, input, s->show.dry_run ? _ ("can be converted") : _ ("converted"));
      return TRUE;
    }
  all->failed++;
  cli_table_row (all->table, input, _ ("failed"));
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_clear_error (first);
      g_propagate_error (first, g_steal_pointer (&error));
      return FALSE;
    }
  cli_report_error (error);
  if (*first == NULL)
    g_propagate_error (first, g_steal_pointer (&error));
  return TRUE;
}

/* Converts @n inputs into the folder behind them. Goes on after an error; the exit status is that of the first */
static gboolean
convert_several (const CliSettings *s, const char *const *words, guint n, GError **error)
{
  g_autoptr (CliTable) table = cli_table_new ("ll");
  g_autoptr (GHashTable) sets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) written = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GError) first = NULL;
  Several all = { .table = table, .sets = sets, .written = written };
  gboolean go_on = TRUE;

  for (guint i = 0; go_on && i < n; i++)
    go_on = convert_next (&all, s, words[i], words[n], &first);
  if (!go_on)
    {
      g_propagate_error (error, g_steal_pointer (&first));
      return FALSE;
    }
  if (!s->show.json)
    {
      cli_print ("\n");
      cli_table_print (table, "");
    }
  if (all.failed == 0)
    return TRUE;
  g_set_error (error, first->domain, first->code, _ ("%u of %u inputs failed"), all.failed, all.n);
  return FALSE;
}

gboolean
cli_convert (const CliSettings *s, const char *const *words, GError **error)
{
  guint n = g_strv_length ((GStrv) words);

  if (!check_choices (s, error))
    return FALSE;
  if (n <= 2)
    return convert_one (s, words[0], words[1], NULL, error);
  if (!names_folder (words[n - 1]))
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       _ ("several inputs need a folder for the outputs as the last name, and \"%s\" is none"),
                       words[n - 1]);
  if (s->output.error_lora != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--error-lora takes one input: each needs a file of its own"));
  return convert_several (s, words, n - 1, error);
}
