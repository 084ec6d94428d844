/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes 4-bit codes with a scale and a zero for each group of columns (nunchaku's AWQ). A zero is a weight, not a
   code as GPTQ's. */
#pragma once
#include "kernels/items/weights.h"

#define QCONV_AWQ_RUN 8 /* columns of a unit */

/* @stored: the type of @scales and @zeros: F32, F16 or BF16
   @centre: the code that stands for the zero alone
   @groups, @runs: of a row; a unit is a run */
typedef struct {
  const guint8 *codes;
  const void *scales, *zeros;
  float *dst;
  gsize rows, cols, group, groups, runs;
  gint centre;
  QconvDType stored;
} QconvAwqJob;

QCONV_ITEM float
awq_item (const QconvAwqJob *job, guint code, float scale, float zero)
{
  return (float) ((gint) code - job->centre) * scale + zero;
}

QCONV_ITEM void
awq_unit (const QconvAwqJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * QCONV_AWQ_RUN, n = job->cols - col;
  gsize of = row * job->groups + col / job->group, end = job->group - col % job->group;
  guint32 codes = load_eight_codes (job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2, n);
  float scale = widen_item (job->stored, job->scales, of), zero = widen_item (job->stored, job->zeros, of);
  float y[QCONV_AWQ_RUN];

  QCONV_UNROLL
  for (guint i = 0; i < QCONV_AWQ_RUN; i++)
    if (i < n)
      {
        if (i == end)
          {
            end += job->group;
            of++;
            scale = widen_item (job->stored, job->scales, of);
            zero = widen_item (job->stored, job->zeros, of);
          }
        y[i] = awq_item (job, codes >> (4 * i) & 15, scale, zero);
      }
    else
      y[i] = 0.0f;
  store_run (QCONV_F32, y, n, QCONV_AWQ_RUN, job->dst, row * job->cols + col);
}
