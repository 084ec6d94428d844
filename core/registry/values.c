/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of options: parsed and checked by the table of the plugin that has them. */
#include "registry/values.h"

#include <string.h>

#include "base/nearest.h"

struct _QconvValues {
  const QconvOption *table;
  guint n;
  char **text; /* by row */
  gboolean *set;
};

static guint
count_rows (const QconvOption *table)
{
  guint n = 0;

  while (table != NULL && table[n].name != NULL)
    n++;
  return n;
}

static gboolean
parse_boolean (const char *text, gboolean *value)
{
  static const char *const words[][2] = { { "on", "off" }, { "true", "false" }, { "yes", "no" }, { "1", "0" } };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint j = 0; j < 2; j++)
      if (strcmp (text, words[i][j]) == 0)
        {
          *value = j == 0;
          return TRUE;
        }
  return FALSE;
}

/* Returns the one spelling of a value that has several, so that parameters can be compared as text */
static const char *
canonical_text (const QconvOption *o, const char *text)
{
  gboolean value = FALSE;

  if (o->type != QCONV_BOOLEAN || text == NULL || !parse_boolean (text, &value))
    return text;
  return value ? "on" : "off";
}

QconvValues *
qconv_values_new (const QconvOption *table)
{
  QconvValues *v = g_new0 (QconvValues, 1);

  v->table = table;
  v->n = count_rows (table);
  v->text = g_new0 (char *, v->n + 1);
  v->set = g_new0 (gboolean, v->n + 1);
  for (guint i = 0; i < v->n; i++)
    v->text[i] = g_strdup (canonical_text (&table[i], table[i].value));
  return v;
}

QconvValues *
qconv_values_copy (const QconvValues *v)
{
  QconvValues *copy = qconv_values_new (v->table);

  for (guint i = 0; i < v->n; i++)
    {
      g_free (copy->text[i]);
      copy->text[i] = g_strdup (v->text[i]);
      copy->set[i] = v->set[i];
    }
  return copy;
}

void
qconv_values_free (QconvValues *v)
{
  for (guint i = 0; i < v->n; i++)
    g_free (v->text[i]);
  g_free (v->text);
  g_free (v->set);
  g_free (v);
}

/* Returns the row of @name, or v->n */
static guint
find_row (const QconvValues *v, const char *name)
{
  guint i = 0;

  while (i < v->n && strcmp (v->table[i].name, name) != 0)
    i++;
  return i;
}

static gboolean
in_range (const QconvOption *o, double x)
{
  return (o->min == 0 && o->max == 0) || (x >= o->min && x <= o->max);
}

static gboolean
check_choice (const QconvOption *o, const char *text, GError **error)
{
  g_autofree char *all = NULL;

  for (guint i = 0; o->choices[i] != NULL; i++)
    if (strcmp (o->choices[i], text) == 0)
      return TRUE;
  all = g_strjoinv (", ", (char **) o->choices);
  return qconv_fail (error, QCONV_ERROR_OPTION, "option %s is one of %s, not \"%s\"", o->name, all, text);
}

static gboolean
check_value (const QconvOption *o, const char *text, GError **error)
{
  gboolean ok = TRUE;
  char *end = NULL;
  double x;

  switch (o->type)
    {
    case QCONV_BOOLEAN:
      return parse_boolean (text, &ok)
             || qconv_fail (error, QCONV_ERROR_OPTION, "option %s is on or off, not \"%s\"", o->name, text);
    case QCONV_INT:
      ok = g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, NULL, NULL);
      if (!ok || !in_range (o, (double) g_ascii_strtoll (text, NULL, 10)))
        return qconv_fail (error, QCONV_ERROR_OPTION, "option %s: \"%s\" is not a whole number from %.0f to %.0f",
                           o->name, text, o->min, o->max);
      return TRUE;
    case QCONV_DOUBLE:
      x = g_ascii_strtod (text, &end);
      if (*text == '\0' || *end != '\0' || !in_range (o, x))
        return qconv_fail (error, QCONV_ERROR_OPTION, "option %s: \"%s\" is not a number from %g to %g", o->name, text,
                           o->min, o->max);
      return TRUE;
    case QCONV_CHOICE:
      return check_choice (o, text, error);
    case QCONV_STRING:
    case QCONV_FILE:
      return TRUE;
    }
  return qconv_fail (error, QCONV_ERROR_BUG, "option %s has an unknown type", o->name);
}

static gboolean
unknown_option (const QconvValues *v, const char *name, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *hint = NULL;

  for (guint i = 0; i < v->n; i++)
    g_ptr_array_add (names, (gpointer) v->table[i].name);
  g_ptr_array_add (names, NULL);
  hint = qconv_did_you_mean (name, (const char *const *) names->pdata);
  return qconv_fail (error, QCONV_ERROR_OPTION, "unknown option \"%s\"%s", name, hint);
}

gboolean
qconv_values_set (QconvValues *v, const char *name, const char *value, GError **error)
{
  guint i = find_row (v, name);

  if (i == v->n)
    return unknown_option (v, name, error);
  if (!check_value (&v->table[i], value, error))
    return FALSE;
  g_free (v->text[i]);
  v->text[i] = g_strdup (canonical_text (&v->table[i], value));
  v->set[i] = TRUE;
  return TRUE;
}

/* Returns the value that an option without one gets: "on" or "auto"; NULL if it needs one */
static const char *
value_of_bare_name (const QconvOption *o)
{
  if (o->type == QCONV_BOOLEAN || (o->type == QCONV_CHOICE && g_strv_contains (o->choices, "on")))
    return "on";
  return o->type == QCONV_CHOICE && g_strv_contains (o->choices, "auto") ? "auto" : NULL;
}

gboolean
qconv_values_set_bare (QconvValues *v, const char *name, GError **error)
{
  guint i = find_row (v, name);
  const char *value = i < v->n ? value_of_bare_name (&v->table[i]) : NULL;

  if (i == v->n)
    return unknown_option (v, name, error);
  if (value == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "option %s needs a value: %s=…", name, name);
  return qconv_values_set (v, name, value, error);
}

void
qconv_values_replace (QconvValues *v, const char *name, const char *value)
{
  guint i = find_row (v, name);

  if (i == v->n || !check_value (&v->table[i], value, NULL))
    {
      g_critical ("a plugin settled option \"%s\" as \"%s\", which its table does not allow", name, value);
      return;
    }
  value = canonical_text (&v->table[i], value);
  if (g_strcmp0 (v->text[i], value) == 0)
    return;
  g_free (v->text[i]);
  v->text[i] = g_strdup (value);
}

gboolean
qconv_values_parse (QconvValues *v, const char *text, GError **error)
{
  g_auto (GStrv) pairs = g_strsplit (text != NULL ? text : "", ",", -1);

  for (guint i = 0; pairs[i] != NULL; i++)
    {
      char *equals = strchr (pairs[i], '=');

      if (*pairs[i] == '\0' && pairs[1] == NULL)
        return TRUE;
      if (equals == NULL)
        return qconv_fail (error, QCONV_ERROR_OPTION, "\"%s\" is not of the form key=value", pairs[i]);
      *equals = '\0';
      if (!qconv_values_set (v, pairs[i], equals + 1, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_values_knows (const QconvValues *v, const char *name)
{
  return find_row (v, name) < v->n;
}

gboolean
qconv_values_same_parameters (const QconvValues *a, const QconvValues *b)
{
  for (guint i = 0; i < a->n; i++)
    if ((a->table[i].flags & QCONV_OPTION_PARAMETER) != 0 && g_strcmp0 (a->text[i], b->text[i]) != 0)
      return FALSE;
  return TRUE;
}

void
qconv_values_follow (QconvValues *v, const QconvValues *source)
{
  for (guint i = 0; i < v->n; i++)
    if ((v->table[i].flags & QCONV_OPTION_PARAMETER) != 0 && !v->set[i])
      {
        g_free (v->text[i]);
        v->text[i] = g_strdup (source->text[i]);
      }
}

const char *
qconv_values_text_of (const QconvValues *v, const char *name)
{
  guint i = find_row (v, name);

  return i < v->n && v->text[i] != NULL ? v->text[i] : "";
}

char *
qconv_values_text (const QconvValues *v)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < v->n; i++)
    g_string_append_printf (text, "%s%s%s%s", i > 0 ? "," : "", v->table[i].name, v->text[i] != NULL ? "=" : "",
                            v->text[i] != NULL ? v->text[i] : "");
  return g_string_free (text, FALSE);
}

void
qconv_values_override (QconvValues *v, const QconvValues *other)
{
  for (guint i = 0; i < v->n; i++)
    if (other->set[i])
      {
        g_free (v->text[i]);
        v->text[i] = g_strdup (other->text[i]);
        v->set[i] = TRUE;
      }
}

const char *
qconv_option_table_problem (const QconvOption *table)
{
  guint n = count_rows (table);

  for (guint i = 0; i < n; i++)
    {
      if (table[i].help == NULL)
        return "has an option without help";
      if (table[i].type == QCONV_CHOICE && table[i].choices == NULL)
        return "has a choice without choices";
      if (table[i].value == NULL && table[i].type != QCONV_STRING && table[i].type != QCONV_FILE)
        return "has an option without default";
      if (table[i].value != NULL && !check_value (&table[i], table[i].value, NULL))
        return "has a default out of its own range";
      for (guint j = 0; j < i; j++)
        if (strcmp (table[i].name, table[j].name) == 0)
          return "has an option twice";
    }
  return NULL;
}

/* Returns the text of a row of the plugin's own table */
static const char *
text_of (const QconvValues *v, const char *name)
{
  guint i = find_row (v, name);

  if (i < v->n)
    return v->text[i];
  g_critical ("a plugin asked for option \"%s\", which its table lacks", name);
  return NULL;
}

gboolean
qconv_values_boolean (const QconvValues *v, const char *name)
{
  const char *text = text_of (v, name);
  gboolean value = FALSE;

  return text != NULL && parse_boolean (text, &value) && value;
}

gint64
qconv_values_int (const QconvValues *v, const char *name)
{
  const char *text = text_of (v, name);

  return text != NULL ? g_ascii_strtoll (text, NULL, 10) : 0;
}

double
qconv_values_double (const QconvValues *v, const char *name)
{
  const char *text = text_of (v, name);

  return text != NULL ? g_ascii_strtod (text, NULL) : 0;
}

const char *
qconv_values_string (const QconvValues *v, const char *name)
{
  return text_of (v, name);
}

gboolean
qconv_values_is_set (const QconvValues *v, const char *name)
{
  guint i = find_row (v, name);

  return i < v->n && v->set[i];
}
