/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applies --keep, --only and --hp-filter to names of layers, and reports the expressions that had no effect. The rules
   call it. */
#include "rules/name-rules.h"

#include "base/nearest.h"
#include "families/layer-name.h"
#include "qconv.h"

static void
clear_name_rule (gpointer data)
{
  NameRule *n = data;

  g_free (n->said);
  g_clear_pointer (&n->re, g_regex_unref);
}

GArray *
qconv_name_rules_new (const char *option, const char *const *patterns, GError **error)
{
  g_autoptr (GArray) rules = g_array_new (FALSE, FALSE, sizeof (NameRule));

  g_array_set_clear_func (rules, clear_name_rule);
  for (; patterns != NULL && *patterns != NULL; patterns++)
    {
      g_autoptr (GError) broken = NULL;
      NameRule n = { .said = g_strdup_printf ("%s %s", option, *patterns), .pattern = *patterns };

      n.re = g_regex_new (*patterns, G_REGEX_DEFAULT, 0, &broken);
      g_array_append_val (rules, n);
      if (n.re == NULL)
        {
          qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s", n.said, broken->message);
          return NULL;
        }
    }
  return g_steal_pointer (&rules);
}

static gboolean
matches_name (const GRegex *re, const char *plain_name, GError **gave_up)
{
  g_autofree char *name = qconv_short_name (plain_name);

  /* If matching fails with an error, the name does not match; qconv_rules_check() reports the error */
  return g_regex_match_full (re, name, -1, 0, 0, NULL, *gave_up == NULL ? gave_up : NULL);
}

gboolean
qconv_name_matches (const GRegex *re, const SourceLayer *s, GError **gave_up)
{
  if (matches_name (re, s->plain_name, gave_up))
    return TRUE;
  for (guint i = 0; s->sources != NULL && i < s->sources->len; i++)
    if (matches_name (re, ((const SourceLayer *) g_ptr_array_index (s->sources, i))->plain_name, gave_up))
      return TRUE;
  return FALSE;
}

const NameRule *
qconv_name_rules_match (GArray *rules, const SourceLayer *s, gboolean fits, const char *taken_by, GError **gave_up)
{
  gboolean weight = qconv_source_layer_is_weight (s);
  const NameRule *first = NULL;

  for (guint i = 0; i < rules->len; i++)
    {
      NameRule *n = &g_array_index (rules, NameRule, i);

      if (!qconv_name_matches (n->re, s, gave_up))
        continue;
      if (first == NULL)
        first = n;
      n->matched |= fits && taken_by == NULL && weight;
      n->matched_minor |= fits && taken_by == NULL;
      n->unfit |= !fits;
      if (fits && taken_by != NULL && n->taken == NULL)
        {
          n->taken = s->name;
          n->taken_by = taken_by;
        }
    }
  return first;
}

gboolean
qconv_name_matched_nothing (const char *said, const char *pattern, const GPtrArray *layers, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *near = NULL;

  for (guint i = 0; i < layers->len; i++)
    if (qconv_source_layer_is_weight (g_ptr_array_index (layers, i)))
      g_ptr_array_add (names, ((SourceLayer *) g_ptr_array_index (layers, i))->name);
  near = qconv_nearest_names (pattern, names);
  return qconv_fail (error, QCONV_ERROR_OPTION, "%s matches no layer; layers have names such as %s", said, near);
}

gboolean
qconv_name_no_effect (const char *said, const char *layer, const char *by, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_OPTION,
                     "%s has no effect: every layer it matches, such as \"%s\", is already decided by %s", said, layer,
                     by);
}

static gboolean
check_rule (const NameRule *n, const char *target, const GPtrArray *layers, GError **error)
{
  if (n->matched || (n->matched_minor && n->taken == NULL))
    return TRUE;
  if (n->taken != NULL)
    return qconv_name_no_effect (n->said, n->taken, n->taken_by, error);
  if (n->unfit && target == NULL) /* an edit */
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s matches no quantized layer", n->said);
  if (n->unfit)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s matches no layer that %s can hold", n->said, target);
  return qconv_name_matched_nothing (n->said, n->pattern, layers, error);
}

gboolean
qconv_name_rules_check (const GArray *rules, const char *target, const GPtrArray *layers, GError **error)
{
  for (guint i = 0; i < rules->len; i++)
    if (!check_rule (&g_array_index (rules, NameRule, i), target, layers, error))
      return FALSE;
  return TRUE;
}
