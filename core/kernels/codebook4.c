/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "codebook4-…" for NF4, FP4 and AF4: 4-bit codes into a table, with the largest magnitude of every
   block. Blocks run over all weights, row after row, while every row of codes starts a byte. */
#include "kernels/codebook4-likely.h"

#include <math.h>

#include "kernels/decode4.h"
#include "kernels/largest.h"

#define STRETCH BOOK_BLOCK_LARGEST /* weights encoded at once: whole blocks, because every size divides it */

/* @codes: NULL if only the magnitudes are written */
typedef struct {
  QconvDType dtype;
  const guint8 *src;
  guint8 *codes;
  float *magnitudes;
  gsize rows, cols, block;
  QconvMagnitudes how;
  Book book;
  Bounds bounds;
} Job;

/* ---- Search ---- */

/* The largest magnitude of NaNs is one too, and searched: it stays one */
static inline gboolean
may_search (float largest)
{
  return !(largest < BOOK_SEARCH_LOWEST || largest > BOOK_SEARCH_HIGHEST);
}

/* Sets @u to weights over their largest magnitude, or to zeros where these would not be numbers up to 1 */
static inline void
divide_block (const float *x, gsize n, float largest, float *u)
{
  if (largest >= BOOK_SEARCH_LOWEST && largest <= BOOK_SEARCH_HIGHEST)
    for (gsize i = 0; i < n; i++)
      u[i] = x[i] / largest;
  else
    memset (u, 0, n * sizeof *u);
}

/* Replaces the largest magnitudes of the blocks of @n weights. Encoding without a search is faster if this is not part
   of its function */
static G_NO_INLINE void
search_magnitudes (const Job *job, const float *x, gsize n, float *magnitudes)
{
  gsize done;
  float u[STRETCH], factors[STRETCH / BOOK_GROUP];

  for (gsize b = 0, i = 0; b < n; b += job->block, i++)
    divide_block (x + b, MIN (n - b, job->block), magnitudes[i], u + b);
  done
      = likely_search ((Search) { .book = &job->book, .u = u, .n = job->block }, &job->bounds, n / job->block, factors);
  for (gsize i = done, b = i * job->block; b < n; b += job->block, i++)
    {
      Search s = { .book = &job->book, .u = u + b, .n = MIN (n - b, job->block) };

      factors[i] = may_search (magnitudes[i]) ? search_every_factor (&s) : 1.0f;
    }
  for (gsize b = 0, i = 0; b < n; b += job->block, i++)
    if (may_search (magnitudes[i]))
      magnitudes[i] *= factors[i];
}

/* ---- Encoding ---- */

/* @src: @n weights; @x: the same as floats, with zeros up to a multiple of BOOK_GROUP */
static void
find_magnitudes (const Job *job, const guint8 *src, const float *x, gsize n, float *magnitudes)
{
  gsize item = qconv_dtype_bits (job->dtype) / 8;

  if (job->how == BOOK_FROM_GIVEN)
    return;
  for (gsize b = 0, i = 0; b < n; b += job->block, i++)
    magnitudes[i] = largest_weight (job->dtype, src + b * item, MIN (n - b, job->block));
  if (job->how == BOOK_FROM_SEARCH)
    search_magnitudes (job, x, (n + BOOK_GROUP - 1) / BOOK_GROUP * BOOK_GROUP, magnitudes);
}

/* Packs @n codes, a byte each, two to a byte. @at: index of the first one among all weights */
static void
pack_codes (const Job *job, const guint8 *codes, gsize at, gsize n)
{
  gsize row_bytes = job->cols / 2 + job->cols % 2, row = at / job->cols, col = at % job->cols;
  guint8 *dst = job->codes + at / 2;

  if (job->cols % 2 == 0)
    {
      for (gsize i = 0; i < n / 2; i++)
        dst[i] = (guint8) (codes[2 * i] | codes[2 * i + 1] << 4);
      return;
    }
  for (gsize i = 0; i < n; i++)
    {
      dst = job->codes + row * row_bytes + col / 2;
      *dst = (guint8) (col % 2 == 0 ? codes[i] : *dst | codes[i] << 4);
      if (++col == job->cols)
        {
          col = 0;
          row++;
        }
    }
}

/* First finds the magnitudes of a stretch, then its codes: no block waits for the division by its magnitude */
static void
encode_all (const Job *job)
{
  gsize all = job->rows * job->cols, item = qconv_dtype_bits (job->dtype) / 8;
  float x[STRETCH];
  guint8 codes[STRETCH];

  for (gsize at = 0; at < all; at += STRETCH)
    {
      gsize n = MIN (all - at, STRETCH), padded = (n + BOOK_GROUP - 1) / BOOK_GROUP * BOOK_GROUP;
      float *magnitudes = job->magnitudes + at / job->block;

      QCONV_LEVEL_NAME (qconv_widen) (job->dtype, job->src + at * item, x, n);
      memset (x + n, 0, (padded - n) * sizeof *x);
      find_magnitudes (job, job->src + at * item, x, n, magnitudes);
      if (job->codes == NULL)
        continue;
      for (gsize b = 0, i = 0; b < padded; b += job->block, i++)
        book_find_codes (&job->book, x + b, MIN (padded - b, job->block), book_inverse (magnitudes[i]), codes + b);
      pack_codes (job, codes, at, n);
    }
}

/* Reads rows, columns and block from @size, and computes the number of blocks. */
static gboolean
take_sizes (const QconvArg *size, gsize *rows, gsize *cols, gsize *block, gsize *blocks, GError **error)
{
  gsize all;

  if (!qconv_kernel_count (&size[0], "rows", rows, error) || !qconv_kernel_count (&size[1], "cols", cols, error)
      || !qconv_kernel_count (&size[2], "block", block, error))
    return FALSE;
  if (*block < BOOK_GROUP || *block > BOOK_BLOCK_LARGEST || (*block & (*block - 1)) != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "blocks of %" G_GSIZE_FORMAT " weights are not supported", *block);
  if (!g_size_checked_mul (&all, *rows, *cols))
    return qconv_fail (error, QCONV_ERROR_BUG, "too many weights");
  *blocks = all / *block + (all % *block != 0);
  return TRUE;
}

/* Encodes the weight args[0] with the table args[1]. Two or three arguments follow the table: the codes to write if
   @with_codes, the magnitudes, and the sizes. */
static gboolean
encode (const QconvArg *args, gboolean with_codes, QconvMagnitudes how, GError **error)
{
  const QconvArg *weight = &args[0], *table = &args[1], *codes = with_codes ? &args[2] : NULL;
  const QconvArg *absmax = &args[with_codes ? 3 : 2], *size = absmax + 1;
  Job job = { .how = how };
  gsize blocks;

  if (!take_sizes (size, &job.rows, &job.cols, &job.block, &blocks, error)
      || !qconv_kernel_fits (weight, "weight", QCONV_MASK_WEIGHTS, job.rows, job.cols, error)
      || !qconv_kernel_fits (table, "table", QCONV_MASK (QCONV_F32), 1, 16, error)
      || (codes != NULL && !qconv_kernel_fits (codes, "codes", QCONV_MASK (QCONV_U4), job.rows, job.cols, error))
      || !qconv_kernel_fits (absmax, "absmax", QCONV_MASK (QCONV_F32), 1, blocks, error))
    return FALSE;
  job.dtype = qconv_buffer_dtype (weight->buffer);
  job.src = qconv_kernel_in (weight);
  book_init (&job.book, qconv_kernel_in (table));
  if (how == BOOK_FROM_SEARCH)
    bounds_init (&job.bounds, &job.book, job.block, job.rows * job.cols);
  job.codes = codes != NULL ? qconv_kernel_out (codes) : NULL;
  job.magnitudes = qconv_kernel_out (absmax);
  encode_all (&job);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_rtn) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  return encode (args, TRUE, BOOK_FROM_LARGEST, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  return encode (args, TRUE, BOOK_FROM_SEARCH, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_given) (gpointer device, gpointer stream, const QconvArg *args,
                                                    GError **error)
{
  return encode (args, TRUE, BOOK_FROM_GIVEN, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_rtn) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  return encode (args, FALSE, BOOK_FROM_LARGEST, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  return encode (args, FALSE, BOOK_FROM_SEARCH, error);
}

/* ---- Decoding ---- */

/* The arguments that all rows of one decoding share */
typedef struct {
  const float *levels, *magnitudes;
  gsize cols, block;
} Decoding;

/* Decodes one row to @dst. @at: index of its first weight among all weights */
static void
decode_row (const Decoding *d, const guint8 *codes, gsize at, float *dst)
{
  gsize n = d->cols, block = d->block;

  for (gsize c = 0; c < n;)
    {
      gsize end = MIN (n, c + block - at % block);

      decode4_columns (d->levels, codes, d->magnitudes[at / block], dst, c, end);
      at += end - c;
      c = end;
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const guint8 *codes = qconv_kernel_in (&args[0]);
  Decoding d = { .levels = qconv_kernel_in (&args[1]), .magnitudes = qconv_kernel_in (&args[2]) };
  float *dst = qconv_kernel_out (&args[3]);
  gsize rows, blocks;

  if (!take_sizes (&args[4], &rows, &d.cols, &d.block, &blocks, error)
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4), rows, d.cols, error)
      || !qconv_kernel_fits (&args[1], "table", QCONV_MASK (QCONV_F32), 1, 16, error)
      || !qconv_kernel_fits (&args[2], "absmax", QCONV_MASK (QCONV_F32), 1, blocks, error)
      || !qconv_kernel_fits (&args[3], "destination", QCONV_MASK (QCONV_F32), rows, d.cols, error))
    return FALSE;
  for (gsize r = 0; r < rows; r++)
    decode_row (&d, codes + r * (d.cols / 2 + d.cols % 2), r * d.cols, dst + r * d.cols);
  return TRUE;
}
