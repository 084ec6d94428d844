/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the C sources and the kernels of the CUDA backend share. No GLib: nvcc compiles it too. Functions that start
   kernels return at once; an error is a cudaError_t. */
#pragma once
#include <cuda_runtime_api.h>

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

#define QCONV_CUDA_SCRATCH 65536 /* bytes */

/**
 * QconvCudaStream: one stream of one device.
 *
 * @ordinal: the device, as the runtime counts
 * @scratch: QCONV_CUDA_SCRATCH bytes of the device, which the operations of this stream use one after another
 * @n_groups: of the last operation "gptq-decode-indexed" that was enqueued and not waited for; 0: none
 * @bad_group: 8 bytes of the device, which count if @n_groups is not 0: the first column of these operations whose
 *   group does not exist, in the upper half, and that group in the lower one; all bits: there is none
 */
typedef struct {
  cudaStream_t handle;
  int ordinal;
  void *scratch;
  gsize n_groups;
  unsigned long long *bad_group;
} QconvCudaStream;

#ifdef __cplusplus
extern "C" {
#endif

/* Returns cudaSuccess if the module has code for the current device */
cudaError_t qconv_cuda_probe (void);

cudaError_t qconv_cuda_convert (const QconvConvertJob *job, const QconvCudaStream *stream);
/* Puts the bits of the largest magnitude, a guint32, at the beginning of the stream's scratch. NaN is the largest */
cudaError_t qconv_cuda_top_bits (const QconvMeasureJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_amax (const QconvMeasureJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_nonfinite (const QconvMeasureJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_magnitudes (const QconvMeasureJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_error (const QconvErrorJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_nvfp4 (const QconvNvfp4Job *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_decode4 (const QconvDecode4Job *job, const QconvCudaStream *stream);

cudaError_t qconv_cuda_fp8 (const QconvFp8Job *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_fp8_tile (const QconvFp8TileJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_tile_decode (const QconvTileDecodeJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_mxfp8_encode (const QconvMxfp8Job *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_mxfp8_decode (const QconvMxfp8Job *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_rotate (const QconvRotateJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int8 (const QconvIntegerJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int8_row (const QconvIntegerJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int8_block (const QconvIntegerJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int4_row (const QconvIntegerJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int8_largest (const QconvRowDecodeJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int4_decode (const QconvRowDecodeJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_int4_group (const QconvInt4GroupJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_codebook4 (const QconvCodebook4Job *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_codebook4_decode (const QconvCodebook4DecodeJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_w4a8 (const QconvW4a8Job *job, const QconvCudaStream *stream);
/* Waits for the device. Sets @top to the largest magnitude of the weights */
cudaError_t qconv_cuda_w4a8_top (const QconvW4a8Job *job, const QconvCudaStream *stream, float *top);
cudaError_t qconv_cuda_w4a8_decode (const QconvW4a8DecodeJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_awq (const QconvAwqJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_gptq (const QconvGptqJob *job, const QconvCudaStream *stream);
/* Looks for a column whose group does not exist, for @stream->bad_group */
cudaError_t qconv_cuda_gptq_look (const QconvGptqJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_scaled (const QconvScaledJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_product (const QconvProductJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_thin (const QconvThinJob *job, const QconvCudaStream *stream);
cudaError_t qconv_cuda_gram (const QconvGramJob *job, const QconvCudaStream *stream);

#define QCONV_CUDA_DECLARE(name, op, bytes, items) \
  cudaError_t qconv_cuda_ggml_##name (const QconvGgmlJob *job, const QconvCudaStream *stream);
QCONV_GGML_TYPES (QCONV_CUDA_DECLARE)

#ifdef __cplusplus
}
#endif
