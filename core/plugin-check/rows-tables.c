/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows about tables: names, help texts, options, and that the registry finds each feature. */
#include <string.h>

#include "plugin-check/check.h"

/* Checks that a help text is one line without a full stop, because other text may follow it */
static gboolean
check_help (const char *owner, const char *text, GError **error)
{
  if (text == NULL || *text == '\0')
    return check_fail (error, "%s has no help text", owner);
  if (strchr (text, '\n') != NULL || g_str_has_suffix (text, "."))
    return check_fail (error, "the help text of %s is not one line without a full stop", owner);
  return TRUE;
}

static gboolean
check_name (const char *what, const char *name, GError **error)
{
  return (name != NULL && g_regex_match_simple ("^[a-z0-9][a-z0-9_-]*$", name, 0, 0))
         || check_fail (error, "%s \"%s\" is not made of a-z, 0-9, _ and -", what, name != NULL ? name : "");
}

static gboolean
check_default (const QconvOption *o, GError **error)
{
  double value = o->value != NULL ? g_ascii_strtod (o->value, NULL) : 0;
  gboolean ok = TRUE;

  if (o->value == NULL)
    ok = o->type == QCONV_STRING || o->type == QCONV_FILE;
  else if (o->type == QCONV_CHOICE)
    ok = g_strv_contains (o->choices, o->value);
  else if (o->type == QCONV_BOOLEAN)
    ok = strcmp (o->value, "on") == 0 || strcmp (o->value, "off") == 0;
  else if ((o->type == QCONV_INT || o->type == QCONV_DOUBLE) && o->min != o->max)
    ok = o->min <= value && value <= o->max;
  return ok
         || check_fail (error, "option %s cannot have its own default \"%s\"", o->name,
                        o->value != NULL ? o->value : "");
}

static gboolean
check_options (const QconvOption *table, GError **error)
{
  for (const QconvOption *o = table; o != NULL && o->name != NULL; o++)
    {
      if (!check_name ("option", o->name, error) || !check_help (o->name, o->help, error))
        return FALSE;
      if (o->type > QCONV_FILE || !(o->min <= o->max) || (o->type == QCONV_CHOICE) != (o->choices != NULL))
        return check_fail (error, "option %s: type, range and choices contradict each other", o->name);
      if (!check_default (o, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
test_plugin (Check *c, const CheckRow *row, GError **error)
{
  const QconvPlugin *p = c->plugin;

  if (!check_name ("plugin", p->name, error) || !check_help (p->name, p->summary, error))
    return FALSE;
  if (p->containers == NULL && p->readers == NULL && p->quantizers == NULL && p->writers == NULL)
    return check_fail (error, "the plugin has no feature");
  return *p->license != '\0' || check_fail (error, "the plugin has no licence");
}

/* Returns the first id that two lists of features of one kind share, or NULL. The id is the first member of every
   feature */
static const char *
shared_id (gconstpointer const *a, gconstpointer const *b)
{
  for (guint i = 0; a != NULL && a[i] != NULL; i++)
    for (guint k = 0; b != NULL && b[k] != NULL; k++)
      if (strcmp (*(const char *const *) a[i], *(const char *const *) b[k]) == 0)
        return *(const char *const *) a[i];
  return NULL;
}

/* Tests that no other module has a feature of the same id: one of both would not load */
static gboolean
test_ids (Check *c, const CheckRow *row, GError **error)
{
  GPtrArray *modules = qconv_registry_modules ();
  const QconvPlugin *p = c->plugin;

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (modules, i);
      const QconvPlugin *other = strcmp (m->name, c->name) != 0 ? check_module_table (m->path, m->name) : NULL;
      const char *id = NULL;

      if (other == NULL || other->abi != QCONV_PLUGIN_ABI)
        continue;
      id = shared_id ((gconstpointer const *) p->containers, (gconstpointer const *) other->containers);
      if (id == NULL)
        id = shared_id ((gconstpointer const *) p->readers, (gconstpointer const *) other->readers);
      if (id == NULL)
        id = shared_id ((gconstpointer const *) p->quantizers, (gconstpointer const *) other->quantizers);
      if (id == NULL)
        id = shared_id ((gconstpointer const *) p->writers, (gconstpointer const *) other->writers);
      if (id != NULL)
        return check_fail (error, "the id \"%s\" is taken by %s", id, m->path);
    }
  return TRUE;
}

/* Fails unless the parts of a set have plain names of their own */
static gboolean
check_part_names (const QconvSplit *s, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  static const char *const wholes[] = { "a.b", "a", "a-00001-of-00002.b" };

  for (guint i = 0; i < G_N_ELEMENTS (wholes); i++)
    for (guint no = 0; no < 3; no++)
      {
        char *name = s->part_name (wholes[i], no, 3);

        if (name == NULL || *name == '\0' || strchr (name, '/') != NULL)
          return check_fail (error, "a part of a set has no plain name");
        if (no == 0)
          g_hash_table_remove_all (names);
        if (!g_hash_table_add (names, name))
          return check_fail (error, "two parts of a set of three have one name");
      }
  return TRUE;
}

static gboolean
test_container (Check *c, const CheckRow *row, GError **error)
{
  const QconvContainer *f = row->feature;

  return check_name ("container", f->id, error) && check_help (f->id, f->summary, error)
         && check_options (f->options, error) && (f->split == NULL || check_part_names (f->split, error))
         && (qconv_registry_container (f->id) == f
             || check_fail (error, "the registry has another container %s", f->id));
}

static gboolean
test_reader (Check *c, const CheckRow *row, GError **error)
{
  const QconvReader *f = row->feature;

  return check_name ("reader", f->id, error) && check_help (f->id, f->summary, error)
         && check_options (f->options, error)
         && (qconv_registry_reader (f->id) == f || check_fail (error, "the registry has another reader %s", f->id));
}

static gboolean
test_quantizer (Check *c, const CheckRow *row, GError **error)
{
  const QconvQuantizer *f = row->feature;

  return check_name ("quantizer", f->id, error) && check_help (f->id, f->summary, error)
         && check_options (f->options, error)
         && (qconv_registry_quantizer (f->id) == f
             || check_fail (error, "the registry has another quantizer %s", f->id));
}

static gboolean
test_writer (Check *c, const CheckRow *row, GError **error)
{
  const QconvWriter *f = row->feature;
  const QconvContainer *container = qconv_registry_container (f->container);

  if (!check_name ("writer", f->id, error) || !check_help (f->id, f->summary, error)
      || !check_options (f->options, error))
    return FALSE;
  if (qconv_registry_writer (f->id) != f)
    return check_fail (error, "the registry has another writer %s", f->id);
  if (container == NULL || container->lay_out == NULL)
    return check_fail (error, "no loaded container %s can lay out its files", f->container);
  if (f->reader != NULL && qconv_registry_reader (f->reader) == NULL)
    return check_fail (error, "no loaded reader %s can read its files back", f->reader);
  for (const QconvTarget *t = f->targets; t->name != NULL; t++)
    if (!check_name ("target", t->name, error) || !check_help (t->name, t->summary, error))
      return FALSE;
  return TRUE;
}

/* Adds a row for the table of each of the NULL-terminated @features */
static void
add_rows (Check *c, const char *kind, gconstpointer const *features, CheckFunc test)
{
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    /* The id is the first member of every feature */
    check_add_row (c, kind, *(const char *const *) features[i], "its table", test, features[i]);
}

void
check_add_table_rows (Check *c)
{
  const QconvPlugin *p = c->plugin;

  check_add_row (c, "plugin", c->name, "its table", test_plugin, p);
  check_add_row (c, "plugin", c->name, "its ids are its own", test_ids, p);
  add_rows (c, "container", (gconstpointer const *) p->containers, test_container);
  add_rows (c, "reader", (gconstpointer const *) p->readers, test_reader);
  add_rows (c, "quantizer", (gconstpointer const *) p->quantizers, test_quantizer);
  add_rows (c, "writer", (gconstpointer const *) p->writers, test_writer);
}
