/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists and texts from the tables of the loaded plugins. */
#include <glib/gi18n.h>

#include "cli/features.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

void
cli_warn_without_plugins (void)
{
  g_autoptr (GError) error = NULL;

  if (!qconv_registry_check (&error))
    cli_warn (error->message, NULL);
}

/* Appends a feature, unless the registry uses another one under its id: @used */
static void
add_feature (GArray *out, const CliFeature *feature, gconstpointer used)
{
  if (feature->table == used)
    g_array_append_vals (out, feature, 1);
}

static void
add_features (GArray *out, const QconvPlugin *plugin)
{
  const QconvContainer *const *c = plugin->containers;
  const QconvReader *const *r = plugin->readers;
  const QconvQuantizer *const *q = plugin->quantizers;
  const QconvWriter *const *w = plugin->writers;

  for (; c != NULL && *c != NULL; c++)
    add_feature (out, &(CliFeature) { plugin, CLI_CONTAINER, *c, (*c)->id, (*c)->summary, (*c)->options },
                 qconv_registry_container ((*c)->id));
  for (; r != NULL && *r != NULL; r++)
    add_feature (out, &(CliFeature) { plugin, CLI_READER, *r, (*r)->id, (*r)->summary, (*r)->options },
                 qconv_registry_reader ((*r)->id));
  for (; q != NULL && *q != NULL; q++)
    add_feature (out, &(CliFeature) { plugin, CLI_QUANTIZER, *q, (*q)->id, (*q)->summary, (*q)->options },
                 qconv_registry_quantizer ((*q)->id));
  for (; w != NULL && *w != NULL; w++)
    add_feature (out, &(CliFeature) { plugin, CLI_WRITER, *w, (*w)->id, (*w)->summary, (*w)->options },
                 qconv_registry_writer ((*w)->id));
}

GArray *
cli_features_list (const QconvPlugin *only)
{
  GPtrArray *modules = qconv_registry_modules ();
  GArray *out = g_array_new (FALSE, FALSE, sizeof (CliFeature));

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = modules->pdata[i];

      if (m->plugin != NULL && (only == NULL || only == m->plugin))
        add_features (out, m->plugin);
    }
  return out;
}

const char *
cli_feature_kind (CliFeatureKind kind, gboolean translated)
{
  static const char *const kinds[] = { N_ ("container"), N_ ("reader"), N_ ("quantizer"), N_ ("writer") };

  return translated ? _ (kinds[kind]) : kinds[kind];
}

const char *
cli_plugin_text (const QconvPlugin *plugin, const char *text)
{
  /* gettext translates "" into the header of the catalogue */
  if (text == NULL || *text == '\0')
    return "";
  return dgettext (plugin != NULL && plugin->gettext_domain != NULL ? plugin->gettext_domain : GETTEXT_PACKAGE, text);
}

char *
cli_option_values (const QconvOption *option)
{
  static const char *const types[] = { "true|false", N_ ("INTEGER"), N_ ("NUMBER"), "", N_ ("TEXT"), N_ ("FILE") };

  if (option->type == QCONV_CHOICE && option->choices != NULL)
    return g_strjoinv ("|", (char **) option->choices);
  if ((option->type == QCONV_INT || option->type == QCONV_DOUBLE) && (option->min != 0 || option->max != 0))
    {
      char low[G_ASCII_DTOSTR_BUF_SIZE], high[G_ASCII_DTOSTR_BUF_SIZE];

      g_ascii_formatd (low, sizeof low, "%.10g", option->min);
      g_ascii_formatd (high, sizeof high, "%.10g", option->max);
      return g_strdup_printf ("%s %s..%s", _ (types[option->type]), low, high);
    }
  return g_strdup (option->type == QCONV_BOOLEAN ? types[QCONV_BOOLEAN] : _ (types[option->type]));
}

void
cli_feature_print_options (const CliFeature *feature)
{
  g_autoptr (CliTable) table = cli_table_new ("lll");

  for (const QconvOption *o = feature->options; o != NULL && o->name != NULL; o++)
    {
      g_autofree char *key = g_strdup_printf ("-o %s.%s", feature->id, o->name);
      g_autofree char *values = cli_option_values (o);
      g_autofree char *fallback = o->value != NULL ? g_strdup_printf (_ (" (default %s)"), o->value) : g_strdup ("");
      g_autofree char *help = g_strconcat (cli_plugin_text (feature->plugin, o->help), fallback, NULL);

      cli_table_row (table, key, values, help);
    }
  cli_table_print (table, "    ");
}

GPtrArray *
cli_format_names (void)
{
  g_autoptr (GArray) features = cli_features_list (NULL);
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      if ((f->kind == CLI_READER || f->kind == CLI_CONTAINER)
          && !g_ptr_array_find_with_equal_func (names, f->id, g_str_equal, NULL))
        g_ptr_array_add (names, (gpointer) f->id);
    }
  g_ptr_array_add (names, NULL);
  return names;
}

GPtrArray *
cli_target_names (void)
{
  GPtrArray *targets = qconv_registry_targets ();
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < targets->len; i++)
    g_ptr_array_add (names, ((const QconvTargetInfo *) targets->pdata[i])->name);
  g_ptr_array_add (names, NULL);
  return names;
}

const QconvTargetInfo *
cli_target_find (const char *name)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    if (g_str_equal (((const QconvTargetInfo *) targets->pdata[i])->name, name))
      return targets->pdata[i];
  return NULL;
}

GPtrArray *
cli_naming_words (void)
{
  GPtrArray *writers = qconv_registry_writers ();
  g_autoptr (GHashTable) namings = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *words = g_ptr_array_new ();

  g_ptr_array_add (words, (gpointer) "keep");
  for (guint i = 0; i < writers->len; i++)
    {
      const QconvWriter *w = writers->pdata[i];

      /* The first writer that knows a naming gives it its word */
      if (w->spellings != NULL && g_hash_table_add (namings, (gpointer) w->spellings[0]))
        g_ptr_array_add (words, (gpointer) w->id);
      for (guint k = 1; w->spellings != NULL && w->spellings[k] != NULL; k++)
        if (g_hash_table_add (namings, (gpointer) w->spellings[k]))
          g_ptr_array_add (words, (gpointer) w->spellings[k]);
    }
  g_ptr_array_add (words, (gpointer) "diffusers");
  g_ptr_array_add (words, NULL);
  return words;
}

const char *
cli_naming_of (const char *word)
{
  const QconvWriter *writer = word != NULL ? qconv_registry_writer (word) : NULL;

  return writer != NULL && writer->spellings != NULL ? writer->spellings[0] : word;
}

const char *
cli_target_summary (const QconvTargetInfo *target)
{
  g_autoptr (GArray) features = cli_features_list (NULL);

  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      if (f->kind == CLI_WRITER && f->id == target->writer->id)
        return cli_plugin_text (f->plugin, target->target->summary);
    }
  return cli_plugin_text (NULL, target->target->summary);
}
