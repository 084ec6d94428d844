/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns the arguments of operations into the structs that units of work read, for the CPU and for devices. This is the
   only place that checks them; no memory of a buffer is read or written here.
   Functions fail with QCONV_ERROR_BUG if nothing else is said. */
#pragma once
#include "kernels/args.h"
#include "kernels/items/awq.h"
#include "kernels/items/codebook4.h"
#include "kernels/items/convert.h"
#include "kernels/items/decode4.h"
#include "kernels/items/fp8.h"
#include "kernels/items/ggml.h"
#include "kernels/items/gptq.h"
#include "kernels/items/integers.h"
#include "kernels/items/measure.h"
#include "kernels/items/nvfp4.h"
#include "kernels/items/product.h"
#include "kernels/items/w4a8.h"

gboolean qconv_job_convert (QconvConvertJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_amax (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_nonfinite (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_magnitudes (QconvMeasureJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_error (QconvErrorJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_nvfp4 (QconvNvfp4Job *job, const QconvArg *args, gboolean search, GError **error);
gboolean qconv_job_decode4 (QconvDecode4Job *job, QconvDecode4 how, const QconvArg *args, GError **error);

/* Leaves out the grids */
gboolean qconv_job_ggml (QconvGgmlJob *job, const QconvArg *args, gsize block_bytes, gsize block_items, GError **error);
/* @indexed: an argument tells the group of each column; whether the groups exist is not checked yet */
gboolean qconv_job_gptq (QconvGptqJob *job, const QconvArg *args, gboolean indexed, GError **error);
/* Fails with QCONV_ERROR_INPUT: the group @index of column @column does not exist */
gboolean qconv_job_gptq_no_group (const QconvGptqJob *job, gsize column, gint32 index, GError **error);

gboolean qconv_job_scaled (QconvScaledJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_product (QconvProductJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_thin (QconvThinJob *job, const QconvArg *args, gboolean transposed, GError **error);
gboolean qconv_job_gram (QconvGramJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_fp8 (QconvFp8Job *job, const QconvArg *args, GError **error);
gboolean qconv_job_fp8_tile (QconvFp8TileJob *job, const QconvArg *args, gboolean search, GError **error);
gboolean qconv_job_fp8_decode (QconvTileDecodeJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_int8_decode (QconvTileDecodeJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_mxfp8_encode (QconvMxfp8Job *job, const QconvArg *args, GError **error);
gboolean qconv_job_mxfp8_decode (QconvMxfp8Job *job, const QconvArg *args, GError **error);

gboolean qconv_job_rotate (QconvRotateJob *job, const QconvArg *args, GError **error);
/* @codes: I8 or U4 */
gboolean qconv_job_integer_rows (QconvIntegerJob *job, const QconvArg *args, QconvDType codes, GError **error);
gboolean qconv_job_int8 (QconvIntegerJob *job, const QconvArg *args, GError **error);
gboolean qconv_job_int8_block (QconvIntegerJob *job, const QconvArg *args, GError **error);
/* @codes: I8 or U4 */
gboolean qconv_job_decode_rows (QconvRowDecodeJob *job, const QconvArg *args, QconvDType codes, GError **error);
gboolean qconv_job_int4_group (QconvInt4GroupJob *job, const QconvArg *args, gboolean search, GError **error);

/* @with_codes: an argument takes codes; else only magnitudes are written */
gboolean qconv_job_codebook4 (QconvCodebook4Job *job, const QconvArg *args, gboolean with_codes, QconvMagnitudes how,
                              GError **error);
gboolean qconv_job_codebook4_decode (QconvCodebook4DecodeJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_awq (QconvAwqJob *job, const QconvArg *args, GError **error);

gboolean qconv_job_w4a8 (QconvW4a8Job *job, const QconvArg *args, GError **error);
gboolean qconv_job_w4a8_decode (QconvW4a8DecodeJob *job, const QconvArg *args, GError **error);
/* Fails with QCONV_ERROR_UNSUPPORTED if @top, the largest magnitude of all weights, is above the job's limit or NaN */
gboolean qconv_job_w4a8_holds (const QconvW4a8Job *job, float top, GError **error);
