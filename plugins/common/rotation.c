/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses the group of a rotation and undoes rotations. */
#include "rotation.h"

/* Groups for "auto", best first. Runtimes have fast kernels up to 256 columns; 1024 has to be asked for. */
static const char *const automatic[] = { "256", "64", "16", "4", NULL };

static gboolean
suits (const char *group, guint64 cols)
{
  return cols % g_ascii_strtoull (group, NULL, 10) == 0;
}

/* Returns: (nullable): the group that "auto" means for @cols. */
static const char *
largest_group (guint64 cols)
{
  for (guint i = 0; automatic[i] != NULL; i++)
    if (suits (automatic[i], cols))
      return automatic[i];
  return NULL;
}

void
qconv_rotation_settle (const QconvLayer *layer, QconvValues *values, gboolean none)
{
  const char *said = qconv_values_string (values, "convrot");
  const char *group = largest_group (layer->cols);

  if (g_str_equal (said, "none") || (!g_str_equal (said, "auto") && (!none || suits (said, layer->cols))))
    return;
  if (!g_str_equal (said, "auto"))
    {
      qconv_values_replace (values, "convrot", "none");
      return;
    }
  if (group != NULL)
    qconv_values_replace (values, "convrot", group);
  else if (none)
    qconv_values_replace (values, "convrot", "none");
}

guint64
qconv_rotation_group (const QconvLayer *layer)
{
  const char *group = qconv_values_string (layer->values, "convrot");

  if (g_str_equal (group, "auto"))
    group = largest_group (layer->cols);
  return group != NULL ? MAX (g_ascii_strtoull (group, NULL, 10), 1) : 1;
}

gboolean
qconv_rotation_undo (const QconvTile *t, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  return args[4].i == 1 || qconv_stream_run (t->stream, "convrot", 1, args, G_N_ELEMENTS (args), error);
}
