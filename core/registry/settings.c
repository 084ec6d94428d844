/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the features that know an option of -o, and sets it. Opening and planning call it. */
#include "registry/settings.h"

#include <string.h>

#include "qconv.h"
#include "registry/values.h"

/* Returns whether @option is "ID.key" with the id of @p. *key: the part behind the point */
static gboolean
is_qualified (const Participant *p, const char *option, const char **key)
{
  gsize n = strlen (p->id);

  if (strncmp (option, p->id, n) != 0 || option[n] != '.')
    return FALSE;
  *key = option + n + 1;
  return TRUE;
}

static gboolean
unknown_key (const char *option, GError **error)
{
  return qconv_fail (
      error, QCONV_ERROR_OPTION,
      "option \"%s\": nothing that takes part in this run knows it; `qconv plugins NAME` lists options%s", option,
      strchr (option, '=') == NULL ? "; a file is named without -o" : "");
}

static gboolean
apply_one (const char *option, const Participant *participants, guint n, gboolean complete, GError **error)
{
  const char *equals = strchr (option, '=');
  g_autofree char *name = NULL;
  const Participant *found = NULL;
  const char *found_key = NULL;

  name = equals != NULL ? g_strndup (option, (gsize) (equals - option)) : g_strdup (option);
  for (guint i = 0; i < n; i++)
    {
      const Participant *p = &participants[i];
      const char *key = name;
      gboolean qualified = is_qualified (p, name, &key);

      if (!qconv_values_knows (p->values, key))
        continue;
      if (found != NULL && !qualified && strcmp (found->id, p->id) != 0)
        return qconv_fail (error, QCONV_ERROR_OPTION, "option \"%s\" is known to %s and %s: write %s.%s or %s.%s", name,
                           found->id, p->id, found->id, name, p->id, name);
      found = p;
      found_key = key;
      if (!(equals != NULL ? qconv_values_set (p->values, found_key, equals + 1, error)
                           : qconv_values_set_bare (p->values, found_key, error)))
        return FALSE;
    }
  return found != NULL || !complete || unknown_key (option, error);
}

gboolean
qconv_settings_apply (const char *const *options, const Participant *participants, guint n, gboolean complete,
                      GError **error)
{
  for (guint i = 0; options != NULL && options[i] != NULL; i++)
    if (!apply_one (options[i], participants, n, complete, error))
      return FALSE;
  return TRUE;
}
