/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Infers the dimensions of a model from the names and shapes of its tensors. */
#include <string.h>

#include "families/aliases.h"
#include "families/identity.h"

/* The arguments of the rules of all dimensions */
typedef struct {
  const Names *names;
  const Names *spelt; /* @names with every alias replaced; NULL if there are no aliases */
  const FamilyAliases *aliases;
  Dims *dims; /* found so far */
} Inference;

guint
qconv_names_count (const Names *names, const char *stem, const char *with)
{
  guint n = 0, n_with = 0;

  for (; n < QCONV_GRAPH_MAX_INDEX; n++)
    {
      g_autofree char *start = g_strdup_printf ("%s%u.", stem, n);
      g_autofree char *name = with != NULL ? g_strconcat (start, with, NULL) : NULL;

      if (!qconv_names_starting (names, start))
        break;
      n_with += name != NULL && qconv_names_find (names, name) != NULL;
    }
  return with != NULL ? n_with : n;
}

/* Returns the shape of a tensor in any spelling of its name, or NULL. Rules about presence look at one spelling only.
 */
static const QconvShape *
find_shape (const Inference *in, const char *name)
{
  const QconvShape *shape = qconv_names_find (in->names, name);
  g_autofree char *spelling = NULL;

  if (shape != NULL || in->spelt == NULL)
    return shape;
  spelling = qconv_aliases_apply (in->aliases, name);
  return qconv_names_find (in->spelt, spelling);
}

/* Returns the shape of the first tensor that matches @regex, or NULL */
static const QconvShape *
find_match (const Inference *in, const FamilyRegex *regex)
{
  for (guint i = 0; i < qconv_names_length (in->names); i++)
    if (qconv_family_match (regex, qconv_names_name (in->names, i)))
      return qconv_names_shape (in->names, i);
  return NULL;
}

static guint
count_present (const Inference *in, FamilyTexts list)
{
  guint n = 0;

  for (guint i = 0; list[i] != NULL; i++)
    n += qconv_names_find (in->names, list[i]) != NULL;
  return n;
}

/* Returns the value by a rule that looks at no size */
static gint64
count_or_ask (const Inference *in, const FamilyInfer *rule)
{
  const QconvShape *shape;

  if (rule->count != NULL)
    return qconv_names_count (in->names, rule->count, rule->with);
  if (rule->present_re.compiled != NULL)
    return find_match (in, &rule->present_re) != NULL;
  if (rule->present != NULL)
    return count_present (in, rule->present) == g_strv_length ((char **) rule->present);
  if (rule->absent != NULL)
    return count_present (in, rule->absent) == 0;
  if (rule->rank != NULL)
    {
      shape = find_shape (in, rule->rank);
      return shape != NULL && shape->rank == rule->eq;
    }
  return rule->same_as != NULL ? qconv_dims_get (in->dims, rule->same_as) : rule->constant.value;
}

/* Sets @value to the size at @place after the subtraction, division and addition that @rule states */
static gboolean
measure (const Inference *in, const FamilyInfer *rule, const FamilyPlace *place, gint64 *value, GError **error)
{
  const char *name = place->tensor != NULL ? place->tensor : place->match.pattern;
  const QconvShape *shape = place->tensor != NULL ? find_shape (in, place->tensor) : find_match (in, &place->match);
  gint64 less = 0, by = rule->div_dim != NULL ? qconv_dims_get (in->dims, rule->div_dim) : 1;

  *value = rule->missing;
  if (shape == NULL || place->axis >= shape->rank)
    return TRUE;
  if (!qconv_dims_evaluate (in->dims, &rule->minus, &less, error))
    return FALSE;
  if (shape->dim[place->axis] > G_MAXINT32 || less < 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" has an impossible shape", name);
  *value = (gint64) shape->dim[place->axis] - MIN (less, (gint64) shape->dim[place->axis]);
  if (by > 0)
    *value /= by;
  if (rule->div > 0)
    *value /= rule->div;
  *value = MAX (*value + rule->add, 0);
  return TRUE;
}

static gboolean
infer_one (const Inference *in, const FamilyInfer *rule, gint64 *value, GError **error)
{
  *value = 0;
  if (rule->only_if != NULL && qconv_dims_get (in->dims, rule->only_if) == 0)
    return TRUE;
  if (rule->shape.tensor != NULL)
    return measure (in, rule, &rule->shape, value, error);
  if (rule->shape_re.match.compiled != NULL)
    return measure (in, rule, &rule->shape_re, value, error);
  *value = count_or_ask (in, rule);
  return TRUE;
}

static Names *
spell (const Names *names, const FamilyAliases *aliases)
{
  Names *spelt = qconv_names_new ();

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      g_autofree char *name = qconv_aliases_apply (aliases, qconv_names_name (names, i));

      qconv_names_add (spelt, name, qconv_names_shape (names, i));
    }
  return spelt;
}

Dims *
qconv_family_infer (const Family *f, const Names *names, GError **error)
{
  const FamilyData *data = qconv_family_data (f);
  g_autoptr (Names) spelt = data->aliases.at != NULL ? spell (names, &data->aliases) : NULL;
  g_autoptr (Dims) dims = qconv_dims_new ();
  Inference in = { names, spelt, &data->aliases, dims };

  for (guint i = 0; i < data->dims.n; i++)
    {
      gint64 value;

      if (!infer_one (&in, &data->dims.at[i].infer, &value, error))
        {
          g_prefix_error (error, "dimension %s: ", data->dims.at[i].name);
          return NULL;
        }
      qconv_dims_set (dims, data->dims.at[i].name, value);
    }
  return g_steal_pointer (&dims);
}
