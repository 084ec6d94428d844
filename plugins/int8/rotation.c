/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "int8.h"

#include <math.h>

/* Runtimes have fast kernels up to 256 columns; 1024 is taken only when asked for */
static const char *const automatic[] = { "256", "64", "16", "4", NULL };

static gboolean
suits (const char *group, guint64 cols)
{
  return cols % g_ascii_strtoull (group, NULL, 10) == 0;
}

/* Returns: (nullable): the group that "auto" means */
static const char *
largest_group (guint64 cols)
{
  for (guint i = 0; automatic[i] != NULL; i++)
    if (suits (automatic[i], cols))
      return automatic[i];
  return NULL;
}

void
rotation_settle (const QconvLayer *layer, QconvValues *values, gboolean none)
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
rotation_group (const QconvLayer *layer)
{
  const char *group = qconv_values_string (layer->values, "convrot");

  if (g_str_equal (group, "auto"))
    group = largest_group (layer->cols);
  return group != NULL ? MAX (g_ascii_strtoull (group, NULL, 10), 1) : 1;
}

gboolean
rotation_undo (const QconvTile *t, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (t->floats), QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols), QCONV_I (rotation_group (t->layer)) };

  return args[4].i == 1 || qconv_stream_run (t->stream, "convrot", 1, args, G_N_ELEMENTS (args), error);
}

gsize
rotation_row_bytes (const QconvLayer *layer)
{
  return (gsize) layer->cols * sizeof (float);
}

gboolean
is_matrix (const QconvLayer *layer, GError **error)
{
  if (layer->shape.rank != 2)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s takes matrices, this weight has %u dimensions",
                       layer->scheme, layer->shape.rank);
  if (layer->rows == 0 || layer->cols == 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s takes no empty weights", layer->scheme);
  return TRUE;
}

/* A number rounded to a step is never further off than zero is, and the rotation keeps lengths. Nearly all is lost
   where the rest of a tensor is small beside one outlier, and all where it is small beside the least scale; a lost
   rotation, codes in other places or twice the scale are worse than that */
double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 1.0;
}

gboolean
check_scales (const QconvTile *t, const char *component, GError **error)
{
  QconvBuffer *buffer = qconv_tile_component (t, component);
  const float *values = buffer != NULL ? qconv_buffer_data (buffer) : NULL;
  gsize n = values != NULL ? qconv_buffer_size (buffer) / sizeof *values : 0;

  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]) || values[i] < 0.0f)
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "%s holds %g", component, (double) values[i]);
  return TRUE;
}

gboolean
check_rotated (QconvBuffer *rotated, GError **error)
{
  const float *values = qconv_buffer_data (rotated);
  gsize n = values != NULL ? qconv_buffer_size (rotated) / sizeof *values : 0;

  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "the weights are too large to be rotated");
  return TRUE;
}
