/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evaluates the expressions and conditions of family files, and fills their templates. Everything that expands a family
   calls it. */
#include "families/dims.h"

#include <string.h>

#include "qconv-types.h"

typedef struct {
  char *name;
  gint64 value;
} Dim;

/* A family has two dozen dimensions at most: looking through them costs less than a hash */
struct _Dims {
  GArray *all; /* Dim */
};

static void
clear_dim (gpointer data)
{
  g_free (((Dim *) data)->name);
}

Dims *
qconv_dims_new (void)
{
  Dims *d = g_new0 (Dims, 1);

  d->all = g_array_new (FALSE, FALSE, sizeof (Dim));
  g_array_set_clear_func (d->all, clear_dim);
  return d;
}

Dims *
qconv_dims_copy (const Dims *d)
{
  Dims *copy = qconv_dims_new ();

  for (guint i = 0; i < d->all->len; i++)
    {
      const Dim *dim = &g_array_index (d->all, Dim, i);

      qconv_dims_set (copy, dim->name, dim->value);
    }
  return copy;
}

void
qconv_dims_free (Dims *d)
{
  if (d == NULL)
    return;
  g_array_unref (d->all);
  g_free (d);
}

/* Returns the dimension whose name is the @n bytes at @name, or NULL. @d may be NULL */
static Dim *
find (const Dims *d, const char *name, gsize n)
{
  for (guint i = 0; d != NULL && i < d->all->len; i++)
    {
      Dim *dim = &g_array_index (d->all, Dim, i);

      if (strncmp (dim->name, name, n) == 0 && dim->name[n] == '\0')
        return dim;
    }
  return NULL;
}

void
qconv_dims_set (Dims *d, const char *name, gint64 value)
{
  Dim *dim = find (d, name, strlen (name)), added = { NULL, value };

  if (dim != NULL)
    {
      dim->value = value;
      return;
    }
  added.name = g_strdup (name);
  g_array_append_val (d->all, added);
}

gint64
qconv_dims_get (const Dims *d, const char *name)
{
  const Dim *dim = find (d, name, strlen (name));

  return dim != NULL ? dim->value : 0;
}

gboolean
qconv_dims_known (const Dims *d, const char *name)
{
  return find (d, name, strlen (name)) != NULL;
}

/* Returns TRUE if @b has all values of @a */
static gboolean
covers (const Dims *a, const Dims *b)
{
  for (guint i = 0; i < a->all->len; i++)
    {
      const Dim *dim = &g_array_index (a->all, Dim, i);

      if (dim->value != qconv_dims_get (b, dim->name))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_dims_equal (const Dims *a, const Dims *b)
{
  return covers (a, b) && covers (b, a);
}

static void
skip_spaces (const char **at)
{
  while (**at == ' ')
    (*at)++;
}

static gsize
name_length (const char *text)
{
  gsize n = 0;

  if (g_ascii_isalpha (text[0]) || text[0] == '_')
    while (g_ascii_isalnum (text[n]) || text[n] == '_')
      n++;
  return n;
}

/* Returns the length of the name at @at, and sets @dim to its dimension, or NULL. Moves @at behind the name */
static gsize
take_name (const Dims *d, const char **at, const Dim **dim)
{
  gsize n;

  skip_spaces (at);
  n = name_length (*at);
  *dim = find (d, *at, n);
  *at += n;
  return n;
}

/* Reads a number or a dimension. Returns the fault as a text, or NULL. @strict: every name must be known */
static const char *
take_factor (const Dims *d, gboolean strict, const char **at, gint64 *value)
{
  const Dim *dim;
  char *end;
  guint64 number;

  if (take_name (d, at, &dim) > 0)
    {
      *value = dim != NULL ? dim->value : 0;
      return strict && dim == NULL ? "unknown dimension" : NULL;
    }
  if (!g_ascii_isdigit (**at))
    return "a number or the name of a dimension is missing";
  number = g_ascii_strtoull (*at, &end, 10);
  *at = end;
  *value = (gint64) number;
  return number > G_MAXINT64 ? "too large" : NULL;
}

static const char *
take_term (const Dims *d, gboolean strict, const char **at, gint64 *value)
{
  const char *wrong = take_factor (d, strict, at, value);

  for (skip_spaces (at); wrong == NULL && **at == '*'; skip_spaces (at))
    {
      gint64 factor = 0;

      (*at)++;
      wrong = take_factor (d, strict, at, &factor);
      if (wrong == NULL && __builtin_mul_overflow (*value, factor, value))
        wrong = "too large";
    }
  return wrong;
}

static const char *
take_sum (const Dims *d, gboolean strict, const char *at, gint64 *value)
{
  const char *wrong = take_term (d, strict, &at, value);

  while (wrong == NULL && *at != '\0')
    {
      gboolean minus = *at == '-';
      gint64 term = 0;

      if (!minus && *at != '+')
        return "neither +, - nor * stands between two operands";
      at++;
      wrong = take_term (d, strict, &at, &term);
      if (wrong == NULL
          && (minus ? __builtin_sub_overflow (*value, term, value) : __builtin_add_overflow (*value, term, value)))
        wrong = "too large";
    }
  return wrong;
}

static gboolean
evaluate (const Dims *d, gboolean strict, const FamilyExpression *e, gint64 *value, GError **error)
{
  const char *wrong = NULL;

  *value = e->number;
  if (e->text != NULL)
    wrong = take_sum (d, strict, e->text, value);
  return wrong == NULL || qconv_fail (error, QCONV_ERROR_INPUT, "expression \"%s\": %s", e->text, wrong);
}

gboolean
qconv_dims_evaluate (const Dims *d, const FamilyExpression *e, gint64 *value, GError **error)
{
  return evaluate (d, FALSE, e, value, error);
}

gboolean
qconv_dims_check (const Dims *d, const FamilyExpression *e, GError **error)
{
  gint64 value;

  return evaluate (d, TRUE, e, &value, error);
}

/* Returns TRUE if the condition holds. Sets @wrong to the fault as a text if the condition has one. */
static gboolean
judge (const Dims *d, const char *condition, const char **wrong)
{
  gboolean holds = TRUE;

  for (const char *at = condition; at != NULL;)
    {
      const Dim *dim;
      gboolean negated, named;

      skip_spaces (&at);
      negated = *at == '!';
      at += negated;
      named = take_name (d, &at, &dim) > 0;
      skip_spaces (&at);
      if (!named || (*at != '\0' && *at != '&'))
        *wrong = "not of the form a & !b";
      else if (dim == NULL)
        *wrong = "unknown dimension";
      if (!named || (dim != NULL && dim->value != 0) == negated)
        holds = FALSE;
      at = *at == '&' ? at + 1 : NULL;
    }
  return holds;
}

gboolean
qconv_dims_hold (const Dims *d, const char *condition)
{
  const char *wrong = NULL;

  return judge (d, condition, &wrong);
}

gboolean
qconv_dims_check_condition (const Dims *d, const char *condition, GError **error)
{
  const char *wrong = NULL;

  judge (d, condition, &wrong);
  return wrong == NULL || qconv_fail (error, QCONV_ERROR_INPUT, "condition \"%s\": %s", condition, wrong);
}

/* A {variable} of a template. @at: index of its value in the current filling */
typedef struct {
  const char *name;
  char **values;
  guint n, at;
} Variable;

static void
clear_variable (gpointer data)
{
  g_strfreev (((Variable *) data)->values);
}

static gboolean
number_values (const Dims *d, const FamilyVariable *of, Variable *v, GError **error)
{
  gint64 low, high;

  if (!qconv_dims_evaluate (d, &of->low, &low, error) || !qconv_dims_evaluate (d, &of->high, &high, error))
    return FALSE;
  if (low < 0 || high > QCONV_GRAPH_MAX_INDEX)
    return qconv_fail (error, QCONV_ERROR_INPUT, "index \"%s\" counts below 0 or beyond %d", v->name,
                       QCONV_GRAPH_MAX_INDEX);
  v->n = high > low ? (guint) (high - low) : 0;
  v->values = g_new0 (char *, v->n + 1);
  for (guint i = 0; i < v->n; i++)
    v->values[i] = g_strdup_printf ("%" G_GINT64_FORMAT, low + i);
  return TRUE;
}

static gboolean
find_values (const Dims *d, const FamilyVariable *of, Variable *v, GError **error)
{
  if (of->values == NULL)
    return number_values (d, of, v, error);
  v->values = g_strdupv ((char **) of->values);
  v->n = g_strv_length (v->values);
  return TRUE;
}

static const char *
current_value (GArray *variables, const char *name, gsize n)
{
  for (guint i = 0; i < variables->len; i++)
    {
      const Variable *v = &g_array_index (variables, Variable, i);

      if (strncmp (v->name, name, n) == 0 && v->name[n] == '\0')
        return v->values[v->at];
    }
  return NULL;
}

static char *
fill_template (GArray *variables, const char *template)
{
  GString *filled = g_string_sized_new (strlen (template) + 16);

  for (const char *at = template; *at != '\0';)
    {
      const char *end = *at == '{' ? strchr (at, '}') : NULL;
      const char *value = end != NULL ? current_value (variables, at + 1, (gsize) (end - at - 1)) : NULL;

      if (value != NULL)
        g_string_append (filled, value);
      else
        g_string_append_c (filled, *at);
      at = value != NULL ? end + 1 : at + 1;
    }
  return g_string_free (filled, FALSE);
}

/* Moves to the next combination of values. Returns FALSE after the last. */
static gboolean
advance (GArray *variables)
{
  for (guint i = variables->len; i > 0; i--)
    {
      Variable *v = &g_array_index (variables, Variable, i - 1);

      if (++v->at < v->n)
        return TRUE;
      v->at = 0;
    }
  return FALSE;
}

static char **
fill_all (GArray *variables, const char *const *templates)
{
  guint n = g_strv_length ((char **) templates);
  char **filled = g_new0 (char *, n + 1);

  for (guint i = 0; i < n; i++)
    filled[i] = fill_template (variables, templates[i]);
  return filled;
}

GPtrArray *
qconv_dims_fill (const Dims *d, const FamilyIndex *index, const char *const *templates, GError **error)
{
  g_autoptr (GPtrArray) fillings = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_autoptr (GArray) variables = g_array_new (FALSE, TRUE, sizeof (Variable));
  guint64 n = 1;

  g_array_set_clear_func (variables, clear_variable);
  for (guint i = 0; i < index->n; i++)
    {
      Variable variable = { .name = index->at[i].name };

      if (!find_values (d, &index->at[i], &variable, error))
        return NULL;
      g_array_append_val (variables, variable);
      n *= variable.n;
      if (n > QCONV_GRAPH_MAX_TENSORS)
        {
          qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" stands for more than %d names", templates[0],
                      QCONV_GRAPH_MAX_TENSORS);
          return NULL;
        }
    }
  if (n > 0)
    do
      g_ptr_array_add (fillings, fill_all (variables, templates));
    while (advance (variables));
  return g_steal_pointer (&fillings);
}
