/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shortens names of layers with the prefixes that generic.json lists. */
#include "families/layer-name.h"

#include <string.h>

#include "families/knowledge.h"

const char *
qconv_strip_prefix (const char *name)
{
  const Families *families = qconv_families_known (NULL);
  FamilyTexts prefixes = families != NULL ? qconv_family_data (qconv_families_generic (families))->prefixes : NULL;

  for (guint i = 0; prefixes != NULL && prefixes[i] != NULL; i++)
    if (g_str_has_prefix (name, prefixes[i]))
      return name + strlen (prefixes[i]);
  return name;
}

char *
qconv_short_name (const char *name)
{
  return qconv_weight_stem (qconv_strip_prefix (name));
}
