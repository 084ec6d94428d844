/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replaces other spellings of tensor names by the one that counts. Everything that compares names with a family calls
   it. */
#include "families/aliases.h"

char *
qconv_aliases_apply (const FamilyAliases *aliases, const char *name)
{
  char *spelling = g_strdup (name);

  for (guint i = 0; i < aliases->n; i++)
    {
      const FamilyAlias *alias = &aliases->at[i];
      char *next;

      if (!qconv_regex_match (alias->match.compiled, spelling))
        continue;
      next = g_regex_replace (qconv_regex_compiled (alias->match.compiled), spelling, -1, 0, alias->replace, 0, NULL);
      if (next == NULL)
        continue;
      g_free (spelling);
      spelling = next;
    }
  return spelling;
}
