/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv targets` and `qconv formats`: list what is loaded. */
#include "cli/command.h"
#include "cli/features.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

static void
print_targets_json (GPtrArray *targets)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_array (b);
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "name", t->name);
      cli_json_string (b, "summary", t->target->summary);
      cli_json_string (b, "scheme", t->target->scheme);
      cli_json_string (b, "writer", t->writer->id);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  cli_json_print (b);
}

gboolean
cli_targets (const CliSettings *s, const char *const *words, GError **error)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autoptr (CliTable) table = cli_table_new ("lll");

  cli_warn_without_plugins ();
  if (s->show.json)
    {
      print_targets_json (targets);
      return TRUE;
    }
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];
      const char *scheme = t->target->scheme != NULL ? t->target->scheme : "-";
      g_autofree char *made = g_strdup_printf ("%s/%s", scheme, t->writer->id);

      cli_table_row (table, t->name, made, cli_target_summary (t));
    }
  cli_table_print (table, "");
  return TRUE;
}

gboolean
cli_formats (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (GArray) features = cli_features_list (NULL);
  g_autoptr (CliTable) table = cli_table_new ("lll");
  g_autoptr (JsonBuilder) b = json_builder_new ();

  cli_warn_without_plugins ();
  json_builder_begin_array (b);
  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      if (f->kind != CLI_READER && f->kind != CLI_CONTAINER)
        continue;
      cli_table_row (table, f->id, cli_feature_kind (f->kind, TRUE), cli_plugin_text (f->plugin, f->summary));
      json_builder_begin_object (b);
      cli_json_string (b, "id", f->id);
      cli_json_string (b, "kind", cli_feature_kind (f->kind, FALSE));
      cli_json_string (b, "summary", f->summary);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  if (s->show.json)
    cli_json_print (b);
  else
    cli_table_print (table, "");
  return TRUE;
}
