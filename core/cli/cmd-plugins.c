/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv plugins`: lists the plugins and the devices, or all that one plugin offers, leaves out and cannot offer. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/backends.h"
#include "cli/command.h"
#include "cli/features.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

/* ---- JSON ---- */

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

/* Adds the components of @q for a layer of sample size; "rows" is null if a component belongs to the whole layer */
static void
add_components_json (JsonBuilder *b, const QconvQuantizer *q)
{
  guint64 side;
  g_autoptr (GPtrArray) components = qconv_quantizer_sample (q, &side);

  if (components->len > 0)
    cli_json_shape (b, "sample", &QCONV_SHAPE2 (side, side));
  json_builder_set_member_name (b, "components");
  json_builder_begin_array (b);
  for (guint i = 0; i < components->len; i++)
    {
      const QconvComponent *c = components->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "name", c->name);
      cli_json_string (b, "dtype", qconv_dtype_name (c->dtype));
      cli_json_shape (b, "shape", &c->shape);
      json_builder_set_member_name (b, "rows");
      if (c->run.rows > 0)
        json_builder_add_int_value (b, (gint64) c->run.rows);
      else
        json_builder_add_null_value (b);
      cli_json_int (b, "items", c->run.rows > 0 ? c->run.n : c->shape.rank > 0 ? c->shape.dim[0] : 1);
      json_builder_set_member_name (b, "optional");
      json_builder_add_boolean_value (b, (c->flags & QCONV_COMPONENT_OPTIONAL) != 0);
      json_builder_set_member_name (b, "given");
      json_builder_add_boolean_value (b, (c->flags & QCONV_COMPONENT_GIVEN) != 0);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

static void
add_not_offered_json (JsonBuilder *b, const QconvWriter *w)
{
  GPtrArray *targets = qconv_registry_targets_not_offered ();

  json_builder_set_member_name (b, "not_offered");
  json_builder_begin_array (b);
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      if (t->writer != w)
        continue;
      json_builder_begin_object (b);
      cli_json_string (b, "name", t->name);
      cli_json_string (b, "reason", t->reason);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

static void
add_feature_json (JsonBuilder *b, const CliFeature *f)
{
  json_builder_begin_object (b);
  cli_json_string (b, "kind", cli_feature_kind (f->kind, FALSE));
  cli_json_string (b, "id", f->id);
  cli_json_string (b, "summary", f->summary);
  json_builder_set_member_name (b, "options");
  json_builder_begin_array (b);
  for (const QconvOption *o = f->options; o != NULL && o->name != NULL; o++)
    add_option_json (b, o);
  json_builder_end_array (b);
  if (f->kind == CLI_QUANTIZER)
    add_components_json (b, f->table);
  else if (f->kind == CLI_WRITER)
    add_not_offered_json (b, f->table);
  json_builder_end_object (b);
}

static void
add_left_out_json (JsonBuilder *b, const QconvModule *m)
{
  json_builder_set_member_name (b, "left_out");
  json_builder_begin_array (b);
  for (guint i = 0; i < m->left_out->len; i++)
    {
      const QconvLeftOut *l = m->left_out->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "kind", l->kind);
      cli_json_string (b, "id", l->id);
      cli_json_string (b, "reason", l->reason);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
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
    add_feature_json (b, &g_array_index (features, CliFeature, i));
  json_builder_end_array (b);
  add_left_out_json (b, m);
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
    {
      cli_backends_add_json (b);
      json_builder_end_array (b);
    }
  cli_json_print (b);
}

/* ---- Text ---- */

/* Returns: (transfer full): "quantizer x is left out: …" */
static char *
left_out_text (const QconvLeftOut *l)
{
  const char *kind = strcmp (l->kind, "target") == 0 ? _ ("target") : _ (l->kind);

  return g_strdup_printf (_ ("%s %s is left out: %s"), kind, l->id, l->reason);
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
      for (guint j = 0; j < m->left_out->len; j++)
        {
          g_autofree char *text = left_out_text (m->left_out->pdata[j]);

          cli_table_row (table, "", text);
        }
    }
  cli_table_print (table, "");
  cli_backends_print ();
}

/* Returns: (transfer full): the rows that the items of @c follow: "each row", "every 128 rows, 2 items" */
static char *
follows_text (const QconvComponent *c)
{
  g_autofree char *n_rows = g_strdup_printf ("%" G_GUINT64_FORMAT, c->run.rows), *rows = NULL;
  g_autofree char *n = g_strdup_printf ("%" G_GUINT64_FORMAT, c->run.n);

  if (c->run.rows == 0)
    return g_strdup (_ ("whole layer"));
  rows = c->run.rows == 1 ? g_strdup (_ ("each row")) : g_strdup_printf (_ ("every %s rows"), n_rows);
  return c->run.n == 1 ? g_steal_pointer (&rows) : g_strdup_printf (_ ("%s, %s items"), rows, n);
}

/* Prints the components of @q for a layer of sample size; nothing if it refuses all samples */
static void
print_components (const QconvQuantizer *q)
{
  guint64 side;
  g_autoptr (GPtrArray) components = qconv_quantizer_sample (q, &side);
  g_autofree char *sample = qconv_shape_to_string (&QCONV_SHAPE2 (side, side));
  g_autoptr (CliTable) table = cli_table_new ("lllll");

  if (components->len == 0)
    return;
  cli_print ("    %s %s:\n", _ ("components of a layer"), sample);
  for (guint i = 0; i < components->len; i++)
    {
      const QconvComponent *c = components->pdata[i];
      g_autofree char *shape = qconv_shape_to_string (&c->shape), *follows = follows_text (c);
      const char *presence = (c->flags & QCONV_COMPONENT_GIVEN) != 0      ? _ ("given by the source or the user")
                             : (c->flags & QCONV_COMPONENT_OPTIONAL) != 0 ? _ ("optional")
                                                                          : "";

      cli_table_row (table, c->name, qconv_dtype_name (c->dtype), shape, follows, presence);
    }
  cli_table_print (table, "      ");
}

static void
print_not_offered (const QconvWriter *w)
{
  GPtrArray *targets = qconv_registry_targets_not_offered ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      if (t->writer == w)
        cli_print ("    %s %s: %s\n", _ ("not offered:"), t->name, t->reason);
    }
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
      if (f->kind == CLI_QUANTIZER)
        print_components (f->table);
      else if (f->kind == CLI_WRITER)
        print_not_offered (f->table);
    }
  for (guint i = 0; i < m->left_out->len; i++)
    {
      g_autofree char *text = left_out_text (m->left_out->pdata[i]);

      cli_print ("  %s\n", text);
    }
}

gboolean
cli_plugins (const CliSettings *s, const char *const *words, GError **error)
{
  GPtrArray *modules = qconv_registry_modules ();
  const QconvModule *found = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  cli_warn_without_plugins ();
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
