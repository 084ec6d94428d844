/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes whole numbers with a scale and a whole zero for each group of columns (GPTQ, AWQ). */
#pragma once
#include "kernels/items/weights.h"

#define QCONV_GPTQ_RUN 8 /* columns of a unit */

/* @index: (nullable): the group of each column; NULL: groups follow each other, @group columns each
   @runs: of a row; a unit is a run */
typedef struct {
  gboolean packed;
  const guint8 *codes;
  const float *scales;
  const gint16 *zeros;
  const gint32 *index;
  float *dst;
  gsize rows, cols, group, groups, runs;
} QconvGptqJob;

QCONV_ITEM float
gptq_item (guint code, gint16 zero, float scale)
{
  return (float) ((gint) code - zero) * scale;
}

QCONV_ITEM gboolean
gptq_is_group (const QconvGptqJob *job, gint32 index)
{
  return index >= 0 && (gsize) index < job->groups;
}

QCONV_ITEM void
gptq_unit (const QconvGptqJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * QCONV_GPTQ_RUN, n = job->cols - col;
  gsize group = col / job->group, end = (group + 1) * job->group - col;
  const float *scales = job->scales + row * job->groups;
  const gint16 *zeros = job->zeros + row * job->groups;
  const guint8 *codes
      = job->codes + (job->packed ? row * (job->cols / 2 + job->cols % 2) + col / 2 : row * job->cols + col);
  guint32 word = job->packed ? load_eight_codes (codes, n) : 0;
  float y[QCONV_GPTQ_RUN];

  QCONV_UNROLL
  for (guint i = 0; i < QCONV_GPTQ_RUN; i++)
    if (i < n)
      {
        gsize of;

        if (i == end)
          {
            group++;
            end += job->group;
          }
        /* A device finds out later that a group does not exist */
        of = job->index == NULL ? group : gptq_is_group (job, job->index[col + i]) ? (gsize) job->index[col + i] : 0;
        y[i] = gptq_item (job->packed ? word >> (4 * i) & 15 : codes[i], zeros[of], scales[of]);
      }
    else
      y[i] = 0.0f;
  store_run (QCONV_F32, y, n, QCONV_GPTQ_RUN, job->dst, row * job->cols + col);
}
