/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Helpers of the tests of this folder. */
#include "maker.h"

#include <glib/gstdio.h>

void
write_beside (const char *name, const char *text)
{
  g_autofree char *path = scratch_path (name);
  g_autoptr (GError) error = NULL;

  if (text == NULL)
    {
      g_remove (path);
      return;
    }
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

guint32
next_random (guint64 *state, guint32 below)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (guint32) (*state >> 33) % below;
}

GBytes *
decoded (const char *input, const char *name)
{
  g_autofree char *out = scratch_path ("decoded.safetensors");
  g_autoptr (QconvModel) made = NULL;

  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  return tensor_bytes (made, name);
}

void
assert_floats (GBytes *bytes, const float *want, gsize n)
{
  const float *got = g_bytes_get_data (bytes, NULL);

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, n * sizeof *want);
  for (gsize i = 0; i < n; i++)
    if (!(got[i] >= want[i] && got[i] <= want[i]))
      g_error ("item %" G_GSIZE_FORMAT " is %g instead of %g", i, (double) got[i], (double) want[i]);
}

char *
how_planned (const char *input, const char *target)
{
  g_autofree char *never = scratch_path ("never.safetensors");
  const QconvJob job = { .target = target, .output = never, .rules.only = QCONV_LIST (".*"), .run.force = TRUE };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  g_autoptr (GArray) weights = NULL;

  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  g_assert_cmpuint (weights->len, ==, 1);
  return g_strdup (g_array_index (weights, QconvPlannedInfo, 0).how);
}
