/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv edit`: changes markers and metadata of a file. An edit is a conversion into the format that the file has. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/command.h"
#include "cli/open-model.h"
#include "cli/task.h"
#include "cli/term.h"
#include "qconv.h"

/* An option that lists changes of markers */
typedef struct {
  const char *label;
  const GPtrArray *texts; /* "KEY=VALUE", or "KEY" without a value */
  gboolean with_value, if_absent;
} ChangeOption;

/* Appends the changes that @option lists. Their keys live as long as @keys */
static gboolean
add_changes (GArray *changes, GPtrArray *keys, const ChangeOption *option, GError **error)
{
  for (guint i = 0; option->texts->pdata[i] != NULL; i++)
    {
      const char *text = option->texts->pdata[i], *equals = strchr (text, '=');
      gsize n = equals != NULL ? (gsize) (equals - text) : strlen (text);
      QconvHintChange change = { .key = g_strndup (text, n), .if_absent = option->if_absent, .or_text = TRUE };

      g_ptr_array_add (keys, (gpointer) change.key);
      if (n == 0 || (equals != NULL) != option->with_value)
        return qconv_fail (error, QCONV_ERROR_OPTION,
                           option->with_value ? _ ("%s %s: not of the form KEY=VALUE")
                                              : _ ("%s %s: give the name of a key, without a value"),
                           option->label, text);
      if (option->with_value)
        change.value = equals + 1;
      g_array_append_val (changes, change);
    }
  return TRUE;
}

gboolean
cli_edit (const CliSettings *s, const char *const *words, GError **error)
{
  const ChangeOption lists[] = { { "--remove", s->changes.remove, FALSE, FALSE },
                                 { "--set", s->changes.set, TRUE, FALSE },
                                 { "--add", s->changes.add, TRUE, TRUE } };
  g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (QconvHintChange));
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_auto (CliTask) t = cli_task_new (words[0], NULL);
  QconvJob job = { .output = words[1],
                   .options = (const char *const *) s->input.plugin_options->pdata,
                   .rules.keep = (const char *const *) s->rules.keep->pdata,
                   .rules.only = (const char *const *) s->rules.only->pdata,
                   .input_scale = s->output.input_scale,
                   .edit.known_only = !s->run.force,
                   .edit.metadata = (const char *const *) s->changes.metadata->pdata,
                   .run.memory = s->run.memory,
                   .run.n_threads = s->run.n_threads,
                   .run.force = s->run.force,
                   .run.no_checksums = s->run.no_checksums,
                   .warn = cli_warn,
                   .warn_data = t.warnings };

  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    if (!add_changes (changes, keys, &lists[i], error))
      return FALSE;
  job.edit.hints = (const QconvHintChange *) changes->data;
  job.edit.n_hints = changes->len;
  t.in_place = words[1] == NULL;
  t.model = cli_model_open (&s->input, words[0], s->input.from, FALSE, t.warnings, &t.error);
  if (t.model != NULL)
    t.plan = qconv_plan_new (t.model, &job, &t.error);
  return cli_task_carry_out (&t, &s->show, error);
}
