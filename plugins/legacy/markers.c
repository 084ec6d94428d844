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

GPtrArray *
legacy_markers (const QconvDirectory *d)
{
  GPtrArray *markers = g_ptr_array_new ();

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    if (legacy_is_marker (qconv_directory_tensor (d, i)))
      g_ptr_array_add (markers, (gpointer) qconv_directory_tensor (d, i));
  return markers;
}

const QconvTensor *
legacy_find_marker (const GPtrArray *markers, const char *layer)
{
  const QconvTensor *best = NULL;
  gsize n_best = 0;

  for (guint i = 0; i < markers->len; i++)
    {
      const QconvTensor *t = g_ptr_array_index (markers, i);
      gsize n = legacy_prefix_length (t);

      if ((best == NULL || n > n_best) && strncmp (t->name, layer, n) == 0)
        {
          best = t;
          n_best = n;
        }
    }
  return best;
}
