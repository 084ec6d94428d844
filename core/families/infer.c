/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "families/aliases.h"
#include "families/identity.h"

/* What a rule is evaluated with */
typedef struct {
  const Family *family;
  const Names *names;
  const Names *spelt; /* (nullable): @names in the one spelling that @aliases lead to */
  const Aliases *aliases;
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

/* Whether a name is there says how it is spelt; its shape is the same in every spelling */
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

/* (nullable): the shape of the first tensor that matches @pattern */
static const QconvShape *
find_match (const Inference *in, const char *pattern)
{
  for (guint i = 0; i < qconv_names_length (in->names); i++)
    if (qconv_family_match (in->family, pattern, qconv_names_name (in->names, i)))
      return qconv_names_shape (in->names, i);
  return NULL;
}

static guint
count_present (const Inference *in, JsonArray *list)
{
  guint n = 0;

  for (guint i = 0; i < json_array_get_length (list); i++)
    n += qconv_names_find (in->names, json_array_get_string_element (list, i)) != NULL;
  return n;
}

/* A rule that looks at no size */
static gint64
count_or_ask (const Inference *in, JsonObject *rule)
{
  const char *stem = qconv_family_text (rule, "count"), *rank = qconv_family_text (rule, "rank");
  const char *pattern = qconv_family_text (rule, "present_re");
  JsonArray *present = qconv_family_list (rule, "present"), *absent = qconv_family_list (rule, "absent");
  const QconvShape *shape;

  if (stem != NULL)
    return qconv_names_count (in->names, stem, qconv_family_text (rule, "with"));
  if (pattern != NULL)
    return find_match (in, pattern) != NULL;
  if (present != NULL)
    return count_present (in, present) == json_array_get_length (present);
  if (absent != NULL)
    return count_present (in, absent) == 0;
  if (rank != NULL)
    {
      shape = find_shape (in, rank);
      return shape != NULL && shape->rank == json_object_get_int_member_with_default (rule, "eq", 0);
    }
  if (json_object_has_member (rule, "same_as"))
    return qconv_dims_get (in->dims, qconv_family_text (rule, "same_as"));
  return json_object_get_int_member_with_default (rule, "const", 0);
}

/* The size that @place ([tensor or pattern, axis]) shows, less, divided, more as @rule says */
static gboolean
measure (const Inference *in, JsonObject *rule, JsonArray *place, gint64 *value, GError **error)
{
  const char *name = json_array_get_string_element (place, 0), *divisor = qconv_family_text (rule, "div_dim");
  gint64 axis = json_array_get_int_element (place, 1), less = 0, by = divisor != NULL ? 0 : 1;
  const QconvShape *shape = json_object_has_member (rule, "shape") ? find_shape (in, name) : find_match (in, name);

  *value = json_object_get_int_member_with_default (rule, "default", 0);
  if (shape == NULL || axis >= shape->rank)
    return TRUE;
  if (divisor != NULL)
    by = qconv_dims_get (in->dims, divisor);
  if (json_object_has_member (rule, "minus")
      && !qconv_dims_evaluate (in->dims, json_object_get_member (rule, "minus"), &less, error))
    return FALSE;
  if (shape->dim[axis] > G_MAXINT32 || less < 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" has an impossible shape", name);
  *value = (gint64) shape->dim[axis] - MIN (less, (gint64) shape->dim[axis]);
  if (by > 0)
    *value /= by;
  *value /= json_object_get_int_member_with_default (rule, "div", 1);
  *value = MAX (*value + json_object_get_int_member_with_default (rule, "add", 0), 0);
  return TRUE;
}

static gboolean
infer_one (const Inference *in, JsonObject *rule, gint64 *value, GError **error)
{
  const char *only_if = qconv_family_text (rule, "only_if");

  *value = 0;
  if (only_if != NULL && qconv_dims_get (in->dims, only_if) == 0)
    return TRUE;
  if (json_object_has_member (rule, "shape"))
    return measure (in, rule, json_object_get_array_member (rule, "shape"), value, error);
  if (json_object_has_member (rule, "shape_re"))
    return measure (in, rule, json_object_get_array_member (rule, "shape_re"), value, error);
  *value = count_or_ask (in, rule);
  return TRUE;
}

static Names *
spell (const Names *names, const Aliases *aliases)
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
  JsonObject *json = qconv_family_json (f), *rules = qconv_family_object (json, "dims");
  JsonArray *spellings = qconv_family_list (json, "aliases");
  g_autoptr (Aliases) aliases = qconv_aliases_new (spellings, error);
  g_autoptr (GList) all = rules != NULL ? json_object_get_members (rules) : NULL;
  g_autoptr (Names) spelt = NULL;
  g_autoptr (Dims) dims = qconv_dims_new ();
  Inference in = { f, names, NULL, aliases, dims };

  if (aliases == NULL)
    return NULL;
  if (spellings != NULL)
    in.spelt = spelt = spell (names, aliases);
  for (GList *l = all; l != NULL; l = l->next)
    {
      JsonObject *rule = json_object_get_object_member (json_object_get_object_member (rules, l->data), "infer");
      gint64 value;

      if (!infer_one (&in, rule, &value, error))
        {
          g_prefix_error (error, "dimension %s: ", (const char *) l->data);
          return NULL;
        }
      qconv_dims_set (dims, l->data, value);
    }
  return g_steal_pointer (&dims);
}
