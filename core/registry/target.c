/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds a target by its name, the value of --to. The plan calls it. */
#include "registry/target.h"

#include <string.h>

#include "base/nearest.h"

const QconvTargetInfo *
qconv_target_find (const char *name, GError **error)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *hint = NULL;

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      if (strcmp (t->name, name) == 0)
        return t;
      g_ptr_array_add (names, t->name);
    }
  g_ptr_array_add (names, NULL);
  hint = qconv_did_you_mean (name, (const char *const *) names->pdata);
  qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown target \"%s\"%s", name,
              *hint != '\0' ? hint : "; `qconv targets` lists them");
  return NULL;
}
