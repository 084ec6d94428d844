/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declares the operations for the table in ops.c, and the functions that their sources share. */
#pragma once
#include "kernels/args.h"
#include "kernels/jobs.h"
#include "kernels/level.h"
#include "kernels/numbers.h"

typedef gboolean QconvOpRun (gpointer device, gpointer stream, const QconvArg *args, GError **error);

extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_amax), QCONV_LEVEL_NAME (qconv_op_nonfinite),
    QCONV_LEVEL_NAME (qconv_op_squared_error), QCONV_LEVEL_NAME (qconv_op_convert),
    QCONV_LEVEL_NAME (qconv_op_add_scaled), QCONV_LEVEL_NAME (qconv_op_add_product),
    QCONV_LEVEL_NAME (qconv_op_thin_product), QCONV_LEVEL_NAME (qconv_op_thin_product_transposed),
    QCONV_LEVEL_NAME (qconv_op_gram), QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_rtn),
    QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_search), QCONV_LEVEL_NAME (qconv_op_nvfp4_decode),
    QCONV_LEVEL_NAME (qconv_op_nvfp4_decode_divided), QCONV_LEVEL_NAME (qconv_op_mxfp4_decode),
    QCONV_LEVEL_NAME (qconv_op_fp8_encode), QCONV_LEVEL_NAME (qconv_op_fp8_decode),
    QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_rtn), QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_search),
    QCONV_LEVEL_NAME (qconv_op_magnitudes), QCONV_LEVEL_NAME (qconv_op_mxfp8_encode),
    QCONV_LEVEL_NAME (qconv_op_mxfp8_decode);

extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_convrot), QCONV_LEVEL_NAME (qconv_op_int8_encode_row),
    QCONV_LEVEL_NAME (qconv_op_int8_encode), QCONV_LEVEL_NAME (qconv_op_int8_encode_block),
    QCONV_LEVEL_NAME (qconv_op_int8_decode), QCONV_LEVEL_NAME (qconv_op_int4_encode_row),
    QCONV_LEVEL_NAME (qconv_op_int4_decode_row), QCONV_LEVEL_NAME (qconv_op_int8_decode_largest);
/* int4-group.c */
extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_int4_group_encode_rtn),
    QCONV_LEVEL_NAME (qconv_op_int4_group_encode_search);
/* w4a8.c */
extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_w4a8_encode), QCONV_LEVEL_NAME (qconv_op_w4a8_decode);
/* awq.c */
extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_awq_decode);
/* gptq.c */
extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_gptq_decode), QCONV_LEVEL_NAME (qconv_op_gptq_decode_indexed);

extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_codebook4_encode_rtn), QCONV_LEVEL_NAME (qconv_op_codebook4_encode_search),
    QCONV_LEVEL_NAME (qconv_op_codebook4_encode_given), QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_rtn),
    QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_search), QCONV_LEVEL_NAME (qconv_op_codebook4_decode);

/* Widens @n items to F32. @dtype: any that "convert" takes */
void QCONV_LEVEL_NAME (qconv_widen) (QconvDType dtype, const void *src, float *dst, gsize n);

/* Rotates @n weights, whole groups, into @dst. If @group is 1, only widens them. @src may be @dst. */
void QCONV_LEVEL_NAME (qconv_rotate) (QconvDType dtype, const void *src, float *dst, gsize n, gsize group);
