/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int4-group-encode-…": 4-bit integers under a scale for each group of columns, which is stored in 16
   bits. */
#include "kernels/ops.h"

#define LANES 16
#define HIGHEST 7.0f
/* A number below 2^22 plus this has the nearest integer, ties to even, in its lowest bits */
#define ROUND 0x1.8p23f

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
  return (y + ROUND) - ROUND;
}

static float
largest_of (const float *w, gsize n)
{
  float top = 0.0f;

  for (gsize i = 0; i < n; i++)
    top = top < (w[i] < 0.0f ? -w[i] : w[i]) ? (w[i] < 0.0f ? -w[i] : w[i]) : top;
  return top;
}

/* Returns the sum of the squares of weight - code * scale. Item i goes to lane i modulo 16 */
static float
error_of (const float *w, gsize n, float scale)
{
  float lanes[LANES] = { 0.0f };

  for (gsize i = 0; i < n; i += LANES)
    for (gsize k = 0; k < LANES; k++)
      {
        float d = w[i + k] - nearest_code (w[i + k], scale) * scale;

        lanes[k] += d * d;
      }
  for (gsize half = LANES / 2; half > 0; half /= 2)
    for (gsize k = 0; k < half; k++)
      lanes[k] += lanes[k + half];
  return lanes[0];
}

/* Returns the scale with the least error of those below and above @first, which is the first to be tried */
static float
search_scale (const Job *job, const float *w, float first)
{
  static const float factors[] = { 0.96875f, 0.9375f, 0.90625f, 0.875f,   0.84375f, 0.8125f,
                                   0.78125f, 0.75f,   0.71875f, 1.03125f, 1.0625f,  1.09375f };
  float best = first, least = error_of (w, job->group, first);

  for (gsize i = 0; i < G_N_ELEMENTS (factors); i++)
    {
      float scale = stored_scale (job, first * factors[i]), error = error_of (w, job->group, scale);

      if (error < least)
        {
          least = error;
          best = scale;
        }
    }
  return best;
}

static void
encode_group (const float *w, guint8 *codes, gsize n, float scale)
{
  for (gsize i = 0; i < n / 2; i++)
    {
      gint low = (gint) nearest_code (w[2 * i], scale), high = (gint) nearest_code (w[2 * i + 1], scale);

      codes[i] = (guint8) ((low & 15) | (high & 15) << 4);
    }
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
  if (job->group == 0 || job->group % LANES != 0 || job->cols % job->group != 0
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
        scale = search_scale (&job, w, scale);
      job.scales[i] = scale;
      encode_group (w, job.codes + i * (job.group / 2), job.group, scale);
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
