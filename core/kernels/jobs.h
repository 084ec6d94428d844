/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns the arguments of operations into the structs that units of work read, for the CPU and for devices. This is the
   only place that checks them; no memory of a buffer is read or written here.
   All functions fail with QCONV_ERROR_BUG. */
#pragma once
#include "kernels/args.h"
#include "kernels/items/convert.h"
#include "kernels/items/decode4.h"
#include "kernels/items/measure.h"
#include "kernels/items/nvfp4.h"

gboolean qconv_job_convert (QconvConvertJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_amax (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_nonfinite (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_magnitudes (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_error (QconvErrorJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_nvfp4 (QconvNvfp4Job *job, const QconvArg *args, gboolean search, GError **error);
gboolean qconv_job_decode4 (QconvDecode4Job *job, QconvDecode4 how, const QconvArg *args, GError **error);
