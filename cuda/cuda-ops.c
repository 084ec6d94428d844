/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the operations of the CUDA backend: checks arguments as the CPU does, and starts kernels. data/operations.md
   states what each operation promises. */
#include "cuda-backend.h"
#include "kernels/jobs.h"

/* Makes the device of @stream the current one of this thread; kernels start on that one */
static gboolean
enter (const QconvCudaStream *stream, GError **error)
{
  return qconv_cuda_done (cudaSetDevice (stream->ordinal), "the device does not answer", error);
}

/* An operation whose job is taken by @take and run by @start */
#define DEFINE_OP(name, Job, take, start)                                                             \
  static gboolean run_##name (gpointer device, gpointer stream, const QconvArg *args, GError **error) \
  {                                                                                                   \
    Job job;                                                                                          \
                                                                                                      \
    return (take) && enter (stream, error)                                                            \
           && qconv_cuda_done (start (&job, stream), "operation " #name " does not start", error);    \
  }

DEFINE_OP (convert, QconvConvertJob, qconv_job_convert (&job, args, error), qconv_cuda_convert)
DEFINE_OP (amax, QconvMeasureJob, qconv_job_amax (&job, args, error), qconv_cuda_amax)
DEFINE_OP (nonfinite, QconvMeasureJob, qconv_job_nonfinite (&job, args, error), qconv_cuda_nonfinite)
DEFINE_OP (magnitudes, QconvMeasureJob, qconv_job_magnitudes (&job, args, error), qconv_cuda_magnitudes)
DEFINE_OP (squared_error, QconvErrorJob, qconv_job_error (&job, args, error), qconv_cuda_error)
DEFINE_OP (nvfp4_rtn, QconvNvfp4Job, qconv_job_nvfp4 (&job, args, FALSE, error), qconv_cuda_nvfp4)
DEFINE_OP (nvfp4_search, QconvNvfp4Job, qconv_job_nvfp4 (&job, args, TRUE, error), qconv_cuda_nvfp4)
DEFINE_OP (nvfp4_decode, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_NVFP4, args, error), qconv_cuda_decode4)
DEFINE_OP (nvfp4_decode_divided, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_NVFP4_DIVIDED, args, error),
           qconv_cuda_decode4)
DEFINE_OP (mxfp4_decode, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_MXFP4, args, error), qconv_cuda_decode4)

DEFINE_OP (fp8_encode, QconvFp8Job, qconv_job_fp8 (&job, args, error), qconv_cuda_fp8)
DEFINE_OP (fp8_tile_rtn, QconvFp8TileJob, qconv_job_fp8_tile (&job, args, FALSE, error), qconv_cuda_fp8_tile)
DEFINE_OP (fp8_tile_search, QconvFp8TileJob, qconv_job_fp8_tile (&job, args, TRUE, error), qconv_cuda_fp8_tile)
DEFINE_OP (fp8_decode, QconvTileDecodeJob, qconv_job_fp8_decode (&job, args, error), qconv_cuda_tile_decode)
DEFINE_OP (mxfp8_encode, QconvMxfp8Job, qconv_job_mxfp8_encode (&job, args, error), qconv_cuda_mxfp8_encode)
DEFINE_OP (mxfp8_decode, QconvMxfp8Job, qconv_job_mxfp8_decode (&job, args, error), qconv_cuda_mxfp8_decode)
DEFINE_OP (convrot, QconvRotateJob, qconv_job_rotate (&job, args, error), qconv_cuda_rotate)
DEFINE_OP (int8_row, QconvIntegerJob, qconv_job_integer_rows (&job, args, QCONV_I8, error), qconv_cuda_int8_row)
DEFINE_OP (int8, QconvIntegerJob, qconv_job_int8 (&job, args, error), qconv_cuda_int8)
DEFINE_OP (int8_block, QconvIntegerJob, qconv_job_int8_block (&job, args, error), qconv_cuda_int8_block)
DEFINE_OP (int8_decode, QconvTileDecodeJob, qconv_job_int8_decode (&job, args, error), qconv_cuda_tile_decode)
DEFINE_OP (int4_row, QconvIntegerJob, qconv_job_integer_rows (&job, args, QCONV_U4, error), qconv_cuda_int4_row)
DEFINE_OP (int4_decode, QconvRowDecodeJob, qconv_job_decode_rows (&job, args, QCONV_U4, error), qconv_cuda_int4_decode)
DEFINE_OP (int8_largest, QconvRowDecodeJob, qconv_job_decode_rows (&job, args, QCONV_I8, error),
           qconv_cuda_int8_largest)
DEFINE_OP (int4_group_rtn, QconvInt4GroupJob, qconv_job_int4_group (&job, args, FALSE, error), qconv_cuda_int4_group)
DEFINE_OP (int4_group_search, QconvInt4GroupJob, qconv_job_int4_group (&job, args, TRUE, error), qconv_cuda_int4_group)

#define DEFINE_CODEBOOK4(name, with_codes, how)                                                             \
  DEFINE_OP (codebook4_##name, QconvCodebook4Job, qconv_job_codebook4 (&job, args, with_codes, how, error), \
             qconv_cuda_codebook4)
DEFINE_CODEBOOK4 (rtn, TRUE, BOOK_FROM_LARGEST)
DEFINE_CODEBOOK4 (search, TRUE, BOOK_FROM_SEARCH)
DEFINE_CODEBOOK4 (given, TRUE, BOOK_FROM_GIVEN)
DEFINE_CODEBOOK4 (absmax_rtn, FALSE, BOOK_FROM_LARGEST)
DEFINE_CODEBOOK4 (absmax_search, FALSE, BOOK_FROM_SEARCH)
DEFINE_OP (codebook4_decode, QconvCodebook4DecodeJob, qconv_job_codebook4_decode (&job, args, error),
           qconv_cuda_codebook4_decode)

DEFINE_OP (w4a8_decode, QconvW4a8DecodeJob, qconv_job_w4a8_decode (&job, args, error), qconv_cuda_w4a8_decode)
DEFINE_OP (awq, QconvAwqJob, qconv_job_awq (&job, args, error), qconv_cuda_awq)
DEFINE_OP (gptq, QconvGptqJob, qconv_job_gptq (&job, args, FALSE, error), qconv_cuda_gptq)
DEFINE_OP (add_scaled, QconvScaledJob, qconv_job_scaled (&job, args, error), qconv_cuda_scaled)
DEFINE_OP (add_product, QconvProductJob, qconv_job_product (&job, args, error), qconv_cuda_product)
DEFINE_OP (thin_product, QconvThinJob, qconv_job_thin (&job, args, FALSE, error), qconv_cuda_thin)
DEFINE_OP (thin_product_transposed, QconvThinJob, qconv_job_thin (&job, args, TRUE, error), qconv_cuda_thin)
DEFINE_OP (gram, QconvGramJob, qconv_job_gram (&job, args, error), qconv_cuda_gram)

/* Whether all groups exist shows when the stream is waited for */
static gboolean
run_gptq_indexed (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const char *what = "operation gptq-decode-indexed does not start";
  QconvCudaStream *s = stream;
  QconvGptqJob job;

  if (!qconv_job_gptq (&job, args, TRUE, error) || !enter (s, error)
      || !qconv_cuda_done (qconv_cuda_gptq_look (&job, s), what, error))
    return FALSE;
  s->n_groups = job.groups;
  return qconv_cuda_done (qconv_cuda_gptq (&job, s), what, error);
}

static gboolean
run_w4a8 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const char *what = "operation w4a8-encode failed";
  QconvW4a8Job job;
  float top;

  return qconv_job_w4a8 (&job, args, error) && enter (stream, error)
         && qconv_cuda_done (qconv_cuda_w4a8_top (&job, stream, &top), what, error)
         && qconv_job_w4a8_holds (&job, top, error) && qconv_cuda_done (qconv_cuda_w4a8 (&job, stream), what, error);
}

static gboolean
take_ggml (QconvGgmlJob *job, gpointer device, const QconvArg *args, gsize bytes, gsize items, GError **error)
{
  if (!qconv_job_ggml (job, args, bytes, items, error))
    return FALSE;
  job->grids = qconv_cuda_grids (device);
  return TRUE;
}

#define DEFINE_DECODE(name, op, bytes, items) \
  DEFINE_OP (ggml_##name, QconvGgmlJob, take_ggml (&job, device, args, bytes, items, error), qconv_cuda_ggml_##name)
QCONV_GGML_TYPES (DEFINE_DECODE)

#define DECODE(name, op, bytes, items) { op "-decode", 1, "bbi", run_ggml_##name },

const QconvOp qconv_cuda_ops[] = {
  { "amax", 1, "bb", run_amax },
  { "nonfinite", 1, "bb", run_nonfinite },
  { "convert", 1, "bb", run_convert },
  { "magnitudes", 1, "bb", run_magnitudes },
  { "squared-error", 1, "bbbii", run_squared_error },
  { "nvfp4-encode-rtn", 1, "bbbbii", run_nvfp4_rtn },
  { "nvfp4-encode-search", 1, "bbbbii", run_nvfp4_search },
  { "nvfp4-decode", 1, "bbbbii", run_nvfp4_decode },
  { "nvfp4-decode-divided", 1, "bbbbii", run_nvfp4_decode_divided },
  { "mxfp4-decode", 1, "bbbii", run_mxfp4_decode },
  { "add-scaled", 1, "bbf", run_add_scaled },
  { "add-product", 1, "bbbiiif", run_add_product },
  { "thin-product", 1, "bbbiii", run_thin_product },
  { "thin-product-transposed", 1, "bbbiiii", run_thin_product_transposed },
  { "gram", 1, "bbii", run_gram },
  { "fp8-encode", 1, "bbbii", run_fp8_encode },
  { "fp8-tile-encode-rtn", 1, "bbbiiii", run_fp8_tile_rtn },
  { "fp8-tile-encode-search", 1, "bbbiiii", run_fp8_tile_search },
  { "fp8-decode", 1, "bbbiiii", run_fp8_decode },
  { "mxfp8-encode", 1, "bbbii", run_mxfp8_encode },
  { "mxfp8-decode", 1, "bbbii", run_mxfp8_decode },
  { "convrot", 1, "bbiii", run_convrot },
  { "int8-encode-row", 1, "bbbbiii", run_int8_row },
  { "int8-encode", 1, "bbbbiii", run_int8 },
  { "int8-encode-block", 1, "bbbbiii", run_int8_block },
  { "int8-decode", 1, "bbbiiii", run_int8_decode },
  { "int8-decode-largest", 1, "bbbii", run_int8_largest },
  { "int4-encode-row", 1, "bbbbiii", run_int4_row },
  { "int4-group-encode-rtn", 1, "bbbiiii", run_int4_group_rtn },
  { "int4-group-encode-search", 1, "bbbiiii", run_int4_group_search },
  { "int4-decode-row", 1, "bbbii", run_int4_decode },
  { "codebook4-encode-rtn", 1, "bbbbiii", run_codebook4_rtn },
  { "codebook4-encode-search", 1, "bbbbiii", run_codebook4_search },
  { "codebook4-encode-given", 1, "bbbbiii", run_codebook4_given },
  { "codebook4-absmax-rtn", 1, "bbbiii", run_codebook4_absmax_rtn },
  { "codebook4-absmax-search", 1, "bbbiii", run_codebook4_absmax_search },
  { "codebook4-decode", 1, "bbbbiii", run_codebook4_decode },
  { "w4a8-encode", 1, "bbbbbbiiii", run_w4a8 },
  { "w4a8-decode", 1, "bbbbbiii", run_w4a8_decode },
  { "awq-decode", 1, "bbbbiiii", run_awq },
  { "gptq-decode", 1, "bbbbiii", run_gptq },
  { "gptq-decode-indexed", 1, "bbbbbiii", run_gptq_indexed },
  QCONV_GGML_TYPES (DECODE) { .name = NULL },
};
