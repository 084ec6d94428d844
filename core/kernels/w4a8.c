/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "w4a8-encode" and "w4a8-decode": codes for levels under scales of groups and rows. To encode, vectors
   hold one weight of several groups, so sums are in the order of the reference. */
#include "kernels/items/w4a8.h"

#include "kernels/decode4.h"
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

/* ---- Decoding ---- */

/* Decodes a group of @n 4-bit codes: looks each up among the steps of all codes, unless the group is smaller */
static void
decode_packed (const float levels[W4A8_LEVELS], const guint8 *codes, float scale, float row_scale, float *dst, gsize n)
{
  float steps[W4A8_LEVELS];

  if (n < W4A8_LEVELS)
    {
      for (gsize i = 0; i < n; i++)
        dst[i] = w4a8_step (levels[codes[i / 2] >> (i % 2 * 4) & 15], scale) * row_scale;
      return;
    }
  for (guint k = 0; k < W4A8_LEVELS; k++)
    steps[k] = w4a8_step (levels[k], scale);
  decode4_columns (steps, codes, row_scale, dst, 0, n);
}

static void
decode_bytes (const guint8 *codes, gint centre, float scale, float row_scale, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = w4a8_step ((float) ((gint) codes[i] - centre), scale) * row_scale;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_w4a8_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvW4a8DecodeJob job;
  float levels[W4A8_LEVELS];

  if (!qconv_job_w4a8_decode (&job, args, error))
    return FALSE;
  for (guint i = 0; i < W4A8_LEVELS; i++)
    levels[i] = w4a8_level_of_code (&job, i);
  for (gsize k = 0; k < job.rows * job.groups; k++)
    {
      float scale = widen_item (job.stored, job.scales, k), row_scale = job.row_scales[k / job.groups];
      gsize at = k * job.group;

      if (job.packed)
        decode_packed (levels, job.codes + at / 2, scale, row_scale, job.dst + at, job.group);
      else
        decode_bytes (job.codes + at, job.centre, scale, row_scale, job.dst + at, job.group);
    }
  return TRUE;
}
