/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the schemes that one run writes and hands them their options. The rules and the plan ask. */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/warn.h"
#include "registry/values.h"
#include "rules/schemes.h"

static void
free_scheme (gpointer data)
{
  Scheme *s = data;

  qconv_values_free (s->values);
  g_free (s);
}

static Scheme *
new_scheme (Schemes *s, const QconvQuantizer *q, const char *parameters)
{
  Scheme *scheme = g_new0 (Scheme, 1);

  scheme->quantizer = q;
  scheme->parameters = parameters;
  scheme->values = qconv_values_new (q->options);
  g_ptr_array_add (s->list, scheme);
  return scheme;
}

void
qconv_schemes_init (Schemes *s, const QconvTargetInfo *info)
{
  *s = (Schemes) { info, g_ptr_array_new_with_free_func (free_scheme) };
  if (info->quantizer == NULL)
    return;
  new_scheme (s, info->quantizer, info->target->parameters)->beside = info->target->beside;
  for (const QconvRoleScheme *r = info->target->roles; r != NULL && r->role != NULL; r++)
    {
      Scheme *scheme = new_scheme (s, qconv_registry_quantizer (r->scheme), r->parameters);

      scheme->role = r;
      scheme->implied = TRUE;
    }
  for (const QconvInstead *i = info->target->instead; i != NULL && i->scheme != NULL; i++)
    qconv_schemes_imply (s, i->instead);
}

void
qconv_schemes_clear (Schemes *s)
{
  g_clear_pointer (&s->list, g_ptr_array_unref);
}

const Scheme *
qconv_schemes_main (const Schemes *s)
{
  return s->info->quantizer != NULL ? g_ptr_array_index (s->list, 0) : NULL;
}

const Scheme *
qconv_schemes_for_role (const Schemes *s, const char *role, const char *kind, guint64 block, guint64 n)
{
  for (guint i = 0; role != NULL && i < s->list->len; i++)
    {
      const Scheme *known = g_ptr_array_index (s->list, i);

      if (known->role != NULL && strcmp (known->role->role, role) == 0
          && (known->role->takes == NULL || known->role->takes (kind, block, n)))
        return known;
    }
  return qconv_schemes_main (s);
}

const Scheme *
qconv_schemes_instead (const Schemes *s, const Scheme *scheme)
{
  for (const QconvInstead *i = s->info->target->instead; i != NULL && i->scheme != NULL; i++)
    if (strcmp (i->scheme, scheme->quantizer->id) == 0)
      return qconv_schemes_find (s, i->instead);
  return NULL;
}

static Scheme *
known_scheme (const Schemes *s, const char *id)
{
  for (guint i = 0; i < s->list->len; i++)
    {
      Scheme *known = g_ptr_array_index (s->list, i);

      if (strcmp (known->quantizer->id, id) == 0)
        return known;
    }
  return NULL;
}

const Scheme *
qconv_schemes_find (const Schemes *s, const char *id)
{
  return known_scheme (s, id);
}

/* Returns the scheme @id, which takes part from now on; NULL if the writer or the registry lacks it */
static Scheme *
join_scheme (Schemes *s, const char *id)
{
  Scheme *known = known_scheme (s, id);

  if (known != NULL)
    return known;
  for (const QconvTarget *t = s->info->writer->targets; t != NULL && t->name != NULL; t++)
    {
      const QconvQuantizer *q = t->scheme != NULL && strcmp (t->scheme, id) == 0 ? qconv_registry_quantizer (id) : NULL;

      if (q != NULL && q->encoders != NULL)
        {
          known = new_scheme (s, q, t->parameters);
          known->beside = t->beside;
          return known;
        }
    }
  return NULL;
}

const Scheme *
qconv_schemes_imply (Schemes *s, const char *id)
{
  guint n = s->list->len;
  Scheme *scheme = join_scheme (s, id);

  if (scheme != NULL && s->list->len > n)
    scheme->implied = TRUE;
  return scheme;
}

void
qconv_schemes_imply_beside (Schemes *s, const char *id)
{
  for (const QconvTarget *t = s->info->writer->targets; t != NULL && t->name != NULL; t++)
    if (t->beside && t->scheme != NULL && strcmp (t->scheme, id) == 0)
      qconv_schemes_imply (s, id);
}

const Scheme *
qconv_schemes_add (Schemes *s, const char *id, const char *option, GError **error)
{
  Scheme *found = join_scheme (s, id);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *all = NULL;
  g_autofree char *hint = NULL;

  if (found != NULL)
    {
      found->implied = FALSE;
      return found;
    }
  for (const QconvTarget *t = s->info->writer->targets; t != NULL && t->name != NULL; t++)
    if (t->scheme != NULL && qconv_registry_quantizer (t->scheme) != NULL)
      g_ptr_array_add (names, (gpointer) t->scheme);
  if (names->len == 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s holds no schemes", option, s->info->name), NULL;
  g_ptr_array_add (names, NULL);
  hint = qconv_did_you_mean (id, (const char *const *) names->pdata);
  all = g_strjoinv (", ", (char **) names->pdata);
  qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s cannot hold the scheme \"%s\" (it takes keep, %s)%s", option,
              s->info->name, id, all, hint);
  return NULL;
}

/* Fails if the user changed a parameter that the target fixes */
static gboolean
check_fixed (const Schemes *s, const Scheme *scheme, GError **error)
{
  g_autoptr (QconvValues) fixed = NULL;

  if (scheme->parameters == NULL)
    return TRUE;
  fixed = qconv_values_copy (scheme->values);
  if (!qconv_values_parse (fixed, scheme->parameters, error))
    return FALSE;
  return qconv_values_same_parameters (fixed, scheme->values)
         || qconv_fail (error, QCONV_ERROR_OPTION, "%s is %s with %s, which -o cannot change", s->info->name,
                        scheme->quantizer->id, scheme->parameters);
}

static void
warn_effort (const Schemes *s, const QconvJob *job)
{
  for (guint i = 0; i < s->list->len; i++)
    if (qconv_values_knows (((const Scheme *) g_ptr_array_index (s->list, i))->values, QCONV_EFFORT))
      return;
  qconv_warn (&(Warn) { job->warn, job->warn_data }, "%s", _ ("--effort has no effect: this target has no search"));
}

/* Gives @option, "ID.key=value", to an implied scheme. Returns whether an implied scheme has that ID */
static gboolean
tell_implied (const Schemes *s, const char *option, GError **error)
{
  for (guint i = 0; i < s->list->len; i++)
    {
      const Scheme *scheme = g_ptr_array_index (s->list, i);
      const char *one[] = { option, NULL }, *id = scheme->quantizer->id;
      Participant p = { id, scheme->values };

      if (scheme->implied && g_str_has_prefix (option, id) && option[strlen (id)] == '.')
        {
          qconv_settings_apply (one, &p, 1, TRUE, error);
          return TRUE;
        }
    }
  return FALSE;
}

/* Applies all options: an option for an implied scheme must name it; the others go to every feature that knows the
   key */
static gboolean
apply_settings (const Schemes *s, const char *const *options, const GArray *all, GError **error)
{
  g_autoptr (GPtrArray) rest = g_ptr_array_new ();
  g_autoptr (GError) local = NULL;

  for (guint i = 0; options != NULL && options[i] != NULL; i++)
    if (!tell_implied (s, options[i], &local))
      g_ptr_array_add (rest, (gpointer) options[i]);
    else if (local != NULL)
      {
        g_propagate_error (error, g_steal_pointer (&local));
        return FALSE;
      }
  g_ptr_array_add (rest, NULL);
  return qconv_settings_apply ((const char *const *) rest->pdata, (const Participant *) all->data, all->len, TRUE,
                               error);
}

gboolean
qconv_schemes_apply (Schemes *s, const QconvJob *job, const GArray *others, QconvValues *writer, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Participant));
  Participant last = { s->info->writer->id, writer };

  g_array_append_vals (all, others->data, others->len);
  g_array_append_val (all, last);
  for (guint i = 0; i < s->list->len; i++)
    {
      const Scheme *scheme = g_ptr_array_index (s->list, i);
      Participant p = { scheme->quantizer->id, scheme->values };

      if (!scheme->implied)
        g_array_append_val (all, p);
      if (!qconv_values_parse (p.values, scheme->parameters, error)
          || (job->effort != NULL && qconv_values_knows (p.values, QCONV_EFFORT)
              && !qconv_values_set (p.values, QCONV_EFFORT, job->effort, error)))
        return FALSE;
    }
  if (job->effort != NULL)
    warn_effort (s, job);
  if (!apply_settings (s, job->options, all, error))
    return FALSE;
  for (guint i = 0; i < s->list->len; i++)
    if (!check_fixed (s, g_ptr_array_index (s->list, i), error))
      return FALSE;
  return TRUE;
}
