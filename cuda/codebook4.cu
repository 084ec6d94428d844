/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "codebook4-…" on a device: 16 threads find the magnitude of a block; then a thread finds the codes
   of 8 columns, because a block may end within a byte. */
#include "sixteens.h"

#include "kernels/items/codebook4.h"

/* A table sorted by value. @thresholds: midway between neighbours */
struct Book {
  float levels[16], thresholds[16];
  guint8 codes[16];
};

/* Sorts a table by code. Equal levels stay in the order of their codes. All threads of the block call it */
static __device__ void
load_book (Book *book, const float *table)
{
  if (threadIdx.x < 16)
    {
      float level = table[threadIdx.x];
      guint place = 0;

      for (guint i = 0; i < 16; i++)
        place += table[i] < level || (table[i] == level && i < threadIdx.x);
      book->levels[place] = level;
      book->codes[place] = (guint8) threadIdx.x;
    }
  __syncthreads ();
  if (threadIdx.x < 15)
    book->thresholds[threadIdx.x] = (book->levels[threadIdx.x] + book->levels[threadIdx.x + 1]) / 2.0f;
  __syncthreads ();
}

/* Returns the place of the level that is nearest to @t: how many thresholds lie below it */
static __device__ guint
find_place (const Book *book, float t)
{
  guint at = 0;

  QCONV_UNROLL
  for (guint step = 8; step > 0; step /= 2)
    at += t > book->thresholds[at + step - 1] ? step : 0;
  return at;
}

/* The search of one block. @n: weights, with zeros behind the last one of all up to a multiple of 16 */
struct Search {
  const QconvCodebook4Job *job;
  const Book *book;
  gsize first, n, all;
  float largest, best, factor;
};

/* Returns weight @i of the block over its largest magnitude */
template <QconvDType dtype>
static __device__ float
weight_at (const Search *s, gsize i)
{
  return (s->first + i < s->all ? widen_item (dtype, s->job->src, s->first + i) : 0.0f) / s->largest;
}

template <QconvDType dtype>
static __device__ float
error_of (const Search *s, float factor)
{
  float inverse = 1.0f / factor, sum = 0.0f;

  for (gsize i = sixteen_lane (); i < s->n; i += BOOK_SUMS)
    {
      float t = weight_at<dtype> (s, i) * inverse, d = t - s->book->levels[find_place (s->book, t)];

      sum += d * d;
    }
  return factor * factor * sum_of_sixteen (sum);
}

template <QconvDType dtype>
static __device__ bool
try_factor (Search *s, float factor)
{
  float error = error_of<dtype> (s, factor);
  bool better = error < s->best;

  s->factor = better ? factor : s->factor;
  s->best = better ? error : s->best;
  return better;
}

/* Returns the factor with the least squared error for the codes of the best factor so far */
template <QconvDType dtype>
static __device__ float
fitting_factor (const Search *s)
{
  float inverse = 1.0f / s->factor, products = 0.0f, squares = 0.0f;

  for (gsize i = sixteen_lane (); i < s->n; i += BOOK_SUMS)
    {
      float u = weight_at<dtype> (s, i), level = s->book->levels[find_place (s->book, u * inverse)];

      products += u * level;
      squares += level * level;
    }
  products = sum_of_sixteen (products);
  return products / sum_of_sixteen (squares);
}

template <QconvDType dtype>
static __device__ float
search_factor (Search *s)
{
  float centre, fit;

  s->factor = 1.0f;
  s->best = error_of<dtype> (s, 1.0f);
  for (guint i = 0, misses = 0; i < BOOK_N_DOWN && misses < 3; i++)
    misses = try_factor<dtype> (s, book_down[i]) ? 0 : misses + 1;
  for (guint i = 0; i < BOOK_N_UP; i++)
    try_factor<dtype> (s, book_up[i]);
  centre = s->factor;
  try_factor<dtype> (s, centre - BOOK_BESIDE);
  try_factor<dtype> (s, centre + BOOK_BESIDE);
  fit = fitting_factor<dtype> (s);
  if (fit > 0.0f && fit < 2.0f)
    try_factor<dtype> (s, fit);
  return s->factor;
}

template <QconvDType dtype>
static __global__ void
find_magnitudes (QconvCodebook4Job job)
{
  __shared__ Book book;
  gsize block = sixteen_number (), all = job.rows * job.cols, padded = blocks_of (all, BOOK_SUMS) * BOOK_SUMS;
  Search s = { &job, &book, block * job.block, 0, all, 0.0f, 0.0f, 0.0f };
  float top = 0.0f;

  load_book (&book, job.table);
  if (block >= job.blocks)
    return;
  s.n = MIN (padded - s.first, job.block);
  for (gsize i = sixteen_lane (); i < s.n && s.first + i < all; i += SIXTEEN)
    {
      float magnitude = magnitude_of (widen_item (dtype, job.src, s.first + i));

      top = magnitude > top ? magnitude : top;
    }
  top = s.largest = top_of_sixteen (top);
  if (job.how == BOOK_FROM_SEARCH && top >= BOOK_SEARCH_LOWEST && top <= BOOK_SEARCH_HIGHEST)
    top *= search_factor<dtype> (&s);
  if (sixteen_lane () == 0)
    job.magnitudes[block] = top;
}

template <QconvDType dtype>
static __global__ void
find_codes (QconvCodebook4Job job)
{
  __shared__ Book book;

  load_book (&book, job.table);
  for (gsize unit = (gsize) blockIdx.x * THREADS + threadIdx.x; unit < job.rows * job.runs;
       unit += (gsize) gridDim.x * THREADS)
    {
      gsize row = unit / job.runs, col = unit % job.runs * 8, n = job.cols - col, at = row * job.cols + col;
      guint8 *dst = job.codes + row * (job.cols / 2 + job.cols % 2) + col / 2;
      float w[8];

      load_run (dtype, job.src, at, n, w, 8);
      for (guint i = 0; i < 8 && i < n; i += 2)
        {
          guint8 code = book.codes[find_place (&book, w[i] * book_inverse (job.magnitudes[(at + i) / job.block]))];

          if (i + 1 < n)
            code |= (guint8) (book.codes[find_place (
                                  &book, w[i + 1] * book_inverse (job.magnitudes[(at + i + 1) / job.block]))]
                              << 4);
          dst[i / 2] = code;
        }
    }
}

template <QconvDType dtype>
static cudaError_t
encode (const QconvCodebook4Job *job, const QconvCudaStream *stream)
{
  gsize runs = job->rows * job->runs;
  cudaError_t error = cudaSuccess;

  if (job->how != BOOK_FROM_GIVEN)
    error = launch (find_magnitudes<dtype>, blocks_of (job->blocks, SIXTEENS), THREADS, true, stream, *job);
  if (error == cudaSuccess && job->codes != NULL)
    error = launch (find_codes<dtype>, MIN (blocks_of (runs, THREADS), MOST_BLOCKS), THREADS, true, stream, *job);
  return error;
}

extern "C" cudaError_t
qconv_cuda_codebook4 (const QconvCodebook4Job *job, const QconvCudaStream *stream)
{
  if (job->dtype == QCONV_F32)
    return encode<QCONV_F32> (job, stream);
  return job->dtype == QCONV_F16 ? encode<QCONV_F16> (job, stream) : encode<QCONV_BF16> (job, stream);
}

extern "C" cudaError_t
qconv_cuda_codebook4_decode (const QconvCodebook4DecodeJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvCodebook4DecodeJob, codebook4_decode_unit> (job, job->rows * job->runs, stream);
}
