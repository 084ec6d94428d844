/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares names, and adds ".weight" to them or removes it. All of core calls it. */
#include "base/names.h"

#include <string.h>

#define WEIGHT ".weight"

gint
qconv_compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

gboolean
qconv_is_weight_name (const char *name)
{
  return g_str_has_suffix (name, WEIGHT);
}

char *
qconv_weight_stem (const char *name)
{
  return g_strndup (name, strlen (name) - (qconv_is_weight_name (name) ? strlen (WEIGHT) : 0));
}

char *
qconv_weight_name (const char *layer)
{
  return g_strconcat (layer, WEIGHT, NULL);
}
