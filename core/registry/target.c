/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the targets from the tables of writers, and finds a target by its name, the value of --to. The registry and the
   plan call it. */
#include "registry/target.h"

#include <string.h>

#include "base/nearest.h"

/* Returns: (transfer full) (nullable): why @t of @w cannot be made; NULL if it can. @q: (nullable): its quantizer */
static char *
find_obstacle (const Features *f, const QconvWriter *w, const QconvTarget *t, const QconvQuantizer *q)
{
  const QconvContainer *c = qconv_features_find (f, FEATURE_CONTAINER, w->container);

  if (c == NULL)
    return g_strdup_printf ("no loaded plugin has the container \"%s\"", w->container);
  if (c->lay_out == NULL)
    return g_strdup_printf ("the container \"%s\" is only read", w->container);
  if (t->scheme == NULL || strcmp (t->scheme, "plain") == 0)
    return NULL;
  if (q == NULL)
    return g_strdup_printf ("no loaded plugin has the scheme \"%s\"", t->scheme);
  if (q->encoders == NULL)
    return g_strdup_printf ("the scheme \"%s\" only decodes", t->scheme);
  for (const QconvRoleScheme *r = t->roles; r != NULL && r->role != NULL; r++)
    {
      const QconvQuantizer *other = qconv_features_find (f, FEATURE_QUANTIZER, r->scheme);

      if (other == NULL || other->encoders == NULL)
        return g_strdup_printf ("no loaded plugin makes the scheme \"%s\", which it needs for layers with the role "
                                "\"%s\"",
                                r->scheme, r->role);
    }
  return NULL;
}

/* Returns whether an earlier row of @w has the name of @t. Targets of two writers never have one name */
static gboolean
is_repeated (const QconvWriter *w, const QconvTarget *t)
{
  for (const QconvTarget *earlier = w->targets; earlier < t; earlier++)
    if (strcmp (earlier->name, t->name) == 0)
      return TRUE;
  return FALSE;
}

static void
add_targets (Targets *targets, const Features *f, const QconvWriter *w)
{
  QconvModule *m = qconv_features_module (f, w);

  for (const QconvTarget *t = w->targets; t->name != NULL; t++)
    {
      g_autofree char *name = g_strconcat (t->name, "-", w->id, NULL);
      QconvTargetInfo *info;

      if (is_repeated (w, t))
        {
          qconv_module_leave_out (m, "target", name, m);
          continue;
        }
      info = g_new (QconvTargetInfo, 1);
      *info = (QconvTargetInfo) { .name = g_steal_pointer (&name), .writer = w, .target = t };
      if (t->scheme != NULL)
        info->quantizer = qconv_features_find (f, FEATURE_QUANTIZER, t->scheme);
      info->reason = find_obstacle (f, w, t, info->quantizer);
      g_ptr_array_add (info->reason == NULL ? targets->offered : targets->others, info);
    }
}

static gint
compare_targets (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvTargetInfo *const *) a)->name, (*(const QconvTargetInfo *const *) b)->name);
}

Targets *
qconv_targets_new (const Features *f)
{
  Targets *targets = g_new (Targets, 1);

  *targets = (Targets) { g_ptr_array_new (), g_ptr_array_new () };
  for (guint i = 0; i < f->all[FEATURE_WRITER]->len; i++)
    add_targets (targets, f, g_ptr_array_index (f->all[FEATURE_WRITER], i));
  g_ptr_array_sort (targets->offered, compare_targets);
  g_ptr_array_sort (targets->others, compare_targets);
  return targets;
}

/* Returns: (nullable): the target of @list that is called @name */
static const QconvTargetInfo *
find_in (const GPtrArray *list, const char *name)
{
  for (guint i = 0; i < list->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (list, i);

      if (strcmp (t->name, name) == 0)
        return t;
    }
  return NULL;
}

gboolean
qconv_registry_check_target (const char *name, GError **error)
{
  const QconvTargetInfo *t = find_in (qconv_registry_targets_not_offered (), name);

  return t == NULL || qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "target \"%s\" is not offered: %s", name, t->reason);
}

const QconvTargetInfo *
qconv_target_find (const char *name, GError **error)
{
  GPtrArray *targets = qconv_registry_targets ();
  const QconvTargetInfo *found = find_in (targets, name);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *hint = NULL;

  if (found != NULL || !qconv_registry_check_target (name, error))
    return found;
  for (guint i = 0; i < targets->len; i++)
    g_ptr_array_add (names, ((const QconvTargetInfo *) g_ptr_array_index (targets, i))->name);
  g_ptr_array_add (names, NULL);
  hint = qconv_did_you_mean (name, (const char *const *) names->pdata);
  qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown target \"%s\"%s", name,
              *hint != '\0' ? hint : "; `qconv targets` lists them");
  return NULL;
}
