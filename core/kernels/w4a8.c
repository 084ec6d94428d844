/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "w4a8-encode": codes for levels under scales of groups and rows. Vectors hold one
   weight of several groups, so sums are in the order of the reference. */
#include "kernels/items/w4a8.h"

#include "kernels/largest.h"
#include "kernels/ops.h"

#if QCONV_VECTOR == 0
typedef struct {
  const QconvW4a8Job *job;
} Coder;

static void
start_coder (Coder *c, const QconvW4a8Job *job)
{
  c->job = job;
}

/* Finds the own scales of a row's groups. Returns the largest magnitude that they decode to */
static float
find_own_scales (const Coder *c, gsize first)
{
  const QconvW4a8Job *job = c->job;
  float peak = 0.0f;

  for (gsize k = 0; k < job->groups; k++)
    {
      const float *w = job->src + (first + k) * job->group;

      job->own[k] = w4a8_own_scale (job, w);
      peak = MAX (peak, w4a8_peak (job, w, job->own[k]));
    }
  return peak;
}

static void
finish_groups (const Coder *c, gsize first, float row_scale)
{
  const QconvW4a8Job *job = c->job;

  for (gsize k = 0; k < job->groups; k++)
    w4a8_finish_group (job, first + k, job->own[k], row_scale);
}
#else
#include "kernels/w4a8-vector.h"
#endif

gboolean
QCONV_LEVEL_NAME (qconv_op_w4a8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvW4a8Job job;
  Coder coder;

  if (!qconv_job_w4a8 (&job, args, error)
      || !qconv_job_w4a8_holds (&job, largest_of (job.src, job.rows * job.cols), error))
    return FALSE;
  start_coder (&coder, &job);
  for (gsize r = 0; r < job.rows; r++)
    {
      job.row_scales[r] = w4a8_row_scale (find_own_scales (&coder, r * job.groups));
      finish_groups (&coder, r * job.groups, job.row_scales[r]);
    }
  return TRUE;
}
