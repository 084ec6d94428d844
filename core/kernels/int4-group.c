/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int4-group-encode-…": 4-bit integers under a scale for each group of columns, which is stored in 16
   bits. */
#include "kernels/int4-estimate.h"
#include "kernels/integers.h"
#include "kernels/largest.h"

#define SUMS INT4_SUMS

/* Returns the sum of the squares of weight - code * scale. Item i goes to lane i modulo 16 */
static float
error_of (const float *w, gsize n, float scale)
{
  float lanes[SUMS] = { 0.0f };

  for (gsize i = 0; i < n; i += SUMS)
    for (gsize k = 0; k < SUMS; k++)
      lanes[k] += int4_error (w[i + k], scale);
  for (gsize half = SUMS / 2; half > 0; half /= 2)
    for (gsize k = 0; k < half; k++)
      lanes[k] += lanes[k + half];
  return lanes[0];
}

/* Returns the scale with the least error of those below and above @first, which is the first to be tried. Estimates
   exclude most of them. */
static float
search_scale (const QconvInt4GroupJob *job, const float *w, float top, float first)
{
  float scales[INT4_SCALES], best = first, least = 0.0f;
  gboolean may_win[INT4_SCALES], found = FALSE;

  for (guint i = 0; i < INT4_SCALES; i++)
    scales[i] = int4_scale_to_try (job, i, first);
  if (int4_exclude (w, job->group, top, scales, may_win) == 1)
    {
      for (guint i = 0; i < INT4_SCALES; i++)
        best = may_win[i] ? scales[i] : best;
      return best;
    }
  for (guint i = 0; i < INT4_SCALES; i++)
    if (may_win[i])
      {
        float error = error_of (w, job->group, scales[i]);

        if (!found || error < least)
          {
            least = error;
            best = scales[i];
          }
        found = TRUE;
      }
  return best;
}

static gboolean
run (const QconvArg *args, gboolean search, GError **error)
{
  QconvInt4GroupJob job;

  if (!qconv_job_int4_group (&job, args, search, error))
    return FALSE;
  for (gsize i = 0; i < job.n_groups; i++)
    {
      const float *w = job.src + i * job.group;
      float top = largest_of (w, job.group), scale = int4_stored_scale (job.stored, top / 7.0f);

      if (job.search && top > 0.0f)
        scale = search_scale (&job, w, top, scale);
      job.scales[i] = scale;
      integers_encode_int4 (w, job.codes + i * (job.group / 2), job.group, scale);
    }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_group_encode_rtn) (gpointer device, gpointer stream, const QconvArg *args,
                                                   GError **error)
{
  return run (args, FALSE, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_group_encode_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                      GError **error)
{
  return run (args, TRUE, error);
}
