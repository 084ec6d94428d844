/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv targets`, `qconv formats` and `qconv plugins`: list what is loaded. */
#include <glib/gi18n.h>
#include <string.h>

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

/* Explains why the lists are empty if no plugin was found */
static void
warn_without_plugins (void)
{
  g_autoptr (GError) error = NULL;

  if (!qconv_registry_check (&error))
    cli_warn (error->message, NULL);
}

gboolean
cli_targets (const CliSettings *s, const char *const *words, GError **error)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autoptr (CliTable) table = cli_table_new ("lll");

  warn_without_plugins ();
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

  warn_without_plugins ();
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

/* ---- plugins ---- */

static void
add_option_json (JsonBuilder *b, const QconvOption *o)
{
  g_autofree char *values = cli_option_values (o);

  json_builder_begin_object (b);
  cli_json_string (b, "name", o->name);
  cli_json_string (b, "values", values);
  cli_json_string (b, "default", o->value);
  cli_json_string (b, "help", o->help);
  json_builder_end_object (b);
}

static void
add_module_json (JsonBuilder *b, const QconvModule *m)
{
  g_autoptr (GArray) features = m->plugin != NULL ? cli_features_list (m->plugin) : NULL;

  json_builder_begin_object (b);
  cli_json_string (b, "name", m->name);
  cli_json_string (b, "path", m->path);
  cli_json_string (b, "summary", m->plugin != NULL ? m->plugin->summary : NULL);
  cli_json_string (b, "reason", m->reason);
  json_builder_set_member_name (b, "features");
  json_builder_begin_array (b);
  for (guint i = 0; features != NULL && i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      json_builder_begin_object (b);
      cli_json_string (b, "kind", cli_feature_kind (f->kind, FALSE));
      cli_json_string (b, "id", f->id);
      cli_json_string (b, "summary", f->summary);
      json_builder_set_member_name (b, "options");
      json_builder_begin_array (b);
      for (const QconvOption *o = f->options; o != NULL && o->name != NULL; o++)
        add_option_json (b, o);
      json_builder_end_array (b);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  json_builder_end_object (b);
}

static void
print_modules_json (GPtrArray *modules, const QconvModule *only)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  if (only == NULL)
    json_builder_begin_array (b);
  for (guint i = 0; i < modules->len; i++)
    if (only == NULL || only == modules->pdata[i])
      add_module_json (b, modules->pdata[i]);
  if (only == NULL)
    json_builder_end_array (b);
  cli_json_print (b);
}

static void
print_modules (GPtrArray *modules)
{
  g_autoptr (CliTable) table = cli_table_new ("ll");

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = modules->pdata[i];
      g_autofree char *broken
          = m->plugin == NULL ? g_strdup_printf (_ ("not loaded: %s"), m->reason != NULL ? m->reason : "?") : NULL;

      cli_table_row (table, m->name, broken != NULL ? broken : cli_plugin_text (m->plugin, m->plugin->summary));
    }
  cli_table_print (table, "");
}

static void
print_module (const QconvModule *m)
{
  g_autoptr (GArray) features = cli_features_list (m->plugin);

  cli_print ("%s: %s\n", m->name, cli_plugin_text (m->plugin, m->plugin->summary));
  cli_print ("%s: %s\n", _ ("file"), m->path);
  if (m->plugin->license != NULL)
    cli_print ("%s: %s\n", _ ("license"), m->plugin->license);
  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      cli_print ("  %s %s: %s\n", cli_feature_kind (f->kind, TRUE), f->id, cli_plugin_text (f->plugin, f->summary));
      cli_feature_print_options (f);
    }
}

gboolean
cli_plugins (const CliSettings *s, const char *const *words, GError **error)
{
  GPtrArray *modules = qconv_registry_modules ();
  const QconvModule *found = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  warn_without_plugins ();
  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = modules->pdata[i];

      g_ptr_array_add (names, m->name);
      if (words[0] != NULL && strcmp (words[0], m->name) == 0 && (found == NULL || m->plugin != NULL))
        found = m;
    }
  g_ptr_array_add (names, NULL);
  if (words[0] != NULL && found == NULL)
    return cli_fail_unknown (error, QCONV_ERROR_NO_PLUGIN, g_strdup_printf (_ ("unknown plugin \"%s\""), words[0]),
                             words[0], (const char *const *) names->pdata);
  if (found != NULL && found->plugin == NULL && !s->show.json)
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN, _ ("plugin %s was not loaded: %s"), found->name,
                       found->reason != NULL ? found->reason : "?");
  if (s->show.json)
    print_modules_json (modules, found);
  else if (found != NULL)
    print_module (found);
  else
    print_modules (modules);
  return TRUE;
}
