/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the markers of a file, and the one that counts for a layer. */
#include "legacy.h"

#include <string.h>

static const char *
last_part (const char *name)
{
  const char *dot = strrchr (name, '.');

  return dot != NULL ? dot + 1 : name;
}

gboolean
legacy_is_marker (const QconvTensor *t)
{
  const char *last = last_part (t->name);

  return g_str_equal (last, LEGACY_MARKER) || g_str_equal (last, LEGACY_MARKER_INT8);
}

gsize
legacy_prefix_length (const QconvTensor *marker)
{
  return (gsize) (last_part (marker->name) - marker->name);
}

const QconvTensor *
legacy_find_marker (const QconvDirectory *d, const char *layer)
{
  g_autoptr (GString) prefix = g_string_new (layer);

  /* By name, from the longest prefix on: a file may have as many markers as layers */
  for (;;)
    {
      const char *dot = strrchr (prefix->str, '.');
      const QconvTensor *t;

      g_string_truncate (prefix, dot != NULL ? (gsize) (dot - prefix->str) + 1 : 0);
      t = qconv_directory_find2 (d, prefix->str, LEGACY_MARKER);
      if (t == NULL)
        t = qconv_directory_find2 (d, prefix->str, LEGACY_MARKER_INT8);
      if (t != NULL || prefix->len == 0)
        return t;
      g_string_truncate (prefix, prefix->len - 1);
    }
}
