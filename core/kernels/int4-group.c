/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int4-group-encode-…": 4-bit integers under a scale for each group of columns, which is stored in 16
   bits. */
#include "kernels/int4-estimate.h"
#include "kernels/integers.h"

#define SUMS 16
#define HIGHEST 7.0f

typedef struct {
  const float *src;
  guint8 *codes;
  float *scales;
  gsize rows, cols, group;
  QconvDType stored;
} Job;

/* Rounds a scale to the type in which it is stored. A scale of zero becomes 1: all codes are zero then */
static float
stored_scale (const Job *job, float scale)
{
  float stored = job->stored == QCONV_F16 ? f32_of_f16 (f16_of_f32 (scale)) : f32_of_bf16 (bf16_of_f32 (scale));

  return stored > 0.0f ? stored : 1.0f;
}

static inline float
nearest_code (float w, float scale)
{
  float y = w / scale;

  y = y < HIGHEST ? y : HIGHEST;
  y = y > -HIGHEST ? y : -HIGHEST;
  return (y + INTEGERS_ROUND) - INTEGERS_ROUND;
}

static float
largest_of (const float *w, gsize n)
{
  gint32 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      gint32 magnitude = (gint32) (bits_of_f32 (w[i]) & 0x7fffffff);

      top = magnitude > top ? magnitude : top;
    }
  return f32_of_bits ((guint32) top);
}

/* Returns the sum of the squares of weight - code * scale. Item i goes to lane i modulo 16 */
static float
error_of (const float *w, gsize n, float scale)
{
  float lanes[SUMS] = { 0.0f };

  for (gsize i = 0; i < n; i += SUMS)
    for (gsize k = 0; k < SUMS; k++)
      {
        float d = w[i + k] - nearest_code (w[i + k], scale) * scale;

        lanes[k] += d * d;
      }
  for (gsize half = SUMS / 2; half > 0; half /= 2)
    for (gsize k = 0; k < half; k++)
      lanes[k] += lanes[k + half];
  return lanes[0];
}

/* Returns the scale with the least error of those below and above @first, which is the first to be tried. Estimates
   exclude most of them. */
static float
search_scale (const Job *job, const float *w, float top, float first)
{
  static const float factors[INT4_SCALES] = { 1.0f,     0.96875f, 0.9375f,  0.90625f, 0.875f,  0.84375f, 0.8125f,
                                              0.78125f, 0.75f,    0.71875f, 1.03125f, 1.0625f, 1.09375f };
  float scales[INT4_SCALES], best = first, least = 0.0f;
  gboolean may_win[INT4_SCALES], found = FALSE;

  for (guint i = 0; i < INT4_SCALES; i++)
    scales[i] = i == 0 ? first : stored_scale (job, first * factors[i]);
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

/* Arguments: weights, codes, scales, rows, cols, group, type of the stored scales */
static gboolean
begin (Job *job, const QconvArg *args, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job->cols, error)
      || !qconv_kernel_count (&args[5], "group", &job->group, error))
    return FALSE;
  job->stored = (QconvDType) args[6].i;
  if (job->group == 0 || job->group % SUMS != 0 || job->cols % job->group != 0
      || (job->stored != QCONV_BF16 && job->stored != QCONV_F16))
    return qconv_fail (error, QCONV_ERROR_BUG, "the group or the type of the scales does not fit");
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  return qconv_kernel_fits (&args[0], "weight", QCONV_MASK (QCONV_F32), job->rows, job->cols, error)
         && qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
         && qconv_kernel_fits (&args[2], "scales", QCONV_MASK (QCONV_F32), job->rows, job->cols / job->group, error);
}

static gboolean
run (const QconvArg *args, gboolean search, GError **error)
{
  Job job;

  if (!begin (&job, args, error))
    return FALSE;
  for (gsize i = 0; i < job.rows * (job.cols / job.group); i++)
    {
      const float *w = job.src + i * job.group;
      float top = largest_of (w, job.group), scale = stored_scale (&job, top / HIGHEST);

      if (search && top > 0.0f)
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
