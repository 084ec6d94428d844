/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "convert" for a run of items. */
#pragma once
#include "kernels/items/weights.h"

#define QCONV_CONVERT_RUN 8

/* @from: if it is @to, the bytes are copied instead */
typedef struct {
  QconvDType from, to;
  const void *src;
  void *dst;
  gsize n;
} QconvConvertJob;

/* Converts run number @unit. @from: as in @job, but a constant */
QCONV_ITEM void
convert_unit (const QconvConvertJob *job, gsize unit, QconvDType from)
{
  gsize at = unit * QCONV_CONVERT_RUN;
  float x[QCONV_CONVERT_RUN];

  load_run (from, job->src, at, job->n - at, x, QCONV_CONVERT_RUN);
  if (job->to == QCONV_F32)
    store_run (QCONV_F32, x, job->n - at, QCONV_CONVERT_RUN, job->dst, at);
  else if (job->to == QCONV_BF16)
    store_run (QCONV_BF16, x, job->n - at, QCONV_CONVERT_RUN, job->dst, at);
  else if (job->to == QCONV_F16)
    store_run (QCONV_F16, x, job->n - at, QCONV_CONVERT_RUN, job->dst, at);
  else
    store_run (QCONV_F64, x, job->n - at, QCONV_CONVERT_RUN, job->dst, at);
}
