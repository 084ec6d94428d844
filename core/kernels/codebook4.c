/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "codebook4-…" for NF4, FP4 and AF4: 4-bit codes into a table, with the largest magnitude of every
   block. Blocks run over all weights, row after row, while every row of codes starts a byte. */
#include "kernels/codebook4.h"

#include <math.h>

#include "kernels/decode4.h"
#include "kernels/largest.h"

#define BLOCK_LARGEST 4096
#define STRETCH BLOCK_LARGEST /* weights encoded at once: whole blocks, because every size of block divides it */

/* A searched magnitude must neither underflow nor overflow */
#define SEARCH_LOWEST 0x1p-120f
#define SEARCH_HIGHEST 0x1p120f

typedef enum { FROM_LARGEST, FROM_SEARCH, FROM_GIVEN } Magnitudes;

/* @codes: NULL if only the magnitudes are written */
typedef struct {
  QconvDType dtype;
  const guint8 *src;
  guint8 *codes;
  float *magnitudes;
  gsize rows, cols, block;
  Magnitudes how;
  Book book;
} Job;

/* Returns 1 / @magnitude, or 1e38 for a zero block (bitsandbytes: backends/default/ops.py quantize_4bit). */
static inline float
inverse_of (float magnitude)
{
  return 1.0f / (fabsf (magnitude) > 1e-38f ? magnitude : 1e-38f);
}

/* ---- Search ---- */

/**
 * Search: one block.
 *
 * @u: weights over their largest magnitude
 * @best, @factor: the least error so far, and the factor of the magnitude that gave it
 */
typedef struct {
  const Book *book;
  const float *u;
  gsize n;
  float best, factor;
} Search;

/* Sets the errors of @n factors, at most 4. Callers give a constant as @n: factors that share one pass over the weights
   do not wait for each other. */
static inline void
find_errors (const Search *s, const float *factors, guint n, float *errors)
{
  BookF sums[4][BOOK_PARTS] = { 0 };
  float inverses[4];

  for (guint f = 0; f < n; f++)
    inverses[f] = 1.0f / factors[f];
  for (gsize i = 0; i < s->n; i += BOOK_GROUP)
    for (guint k = 0; k < BOOK_PARTS; k++)
      {
        BookF u = book_load (s->u + i + k * BOOK_LANES);

        for (guint f = 0; f < n; f++)
          {
            BookF t = u * inverses[f], d = t - book_nearest (s->book, t);

            sums[f][k] += d * d;
          }
      }
  for (guint f = 0; f < n; f++)
    errors[f] = factors[f] * factors[f] * book_sum (sums[f]);
}

static void
find_four_errors (const Search *s, const float *factors, float *errors)
{
  find_errors (s, factors, 4, errors);
}

static void
find_two_errors (const Search *s, const float *factors, float *errors)
{
  find_errors (s, factors, 2, errors);
}

/* Keeps a factor if it is better. Returns whether it is. No branches: they could not be predicted. */
static inline gboolean
keep_better (Search *s, float factor, float error)
{
  gboolean better = error < s->best;

  s->factor = better ? factor : s->factor;
  s->best = better ? error : s->best;
  return better;
}

/* Returns the factor with the least squared error for the codes of the best factor so far. */
static float
fitting_factor (const Search *s)
{
  float inverse = 1.0f / s->factor;
  BookF products[BOOK_PARTS] = { { 0 } }, squares[BOOK_PARTS] = { { 0 } };

  for (gsize i = 0; i < s->n; i += BOOK_GROUP)
    for (guint k = 0; k < BOOK_PARTS; k++)
      {
        BookF u = book_load (s->u + i + k * BOOK_LANES), level = book_nearest (s->book, u * inverse);

        products[k] += u * level;
        squares[k] += level * level;
      }
  return book_sum (products) / book_sum (squares);
}

/* Tries 1 and smaller factors, until three in a row are no better: never fewer than four of them */
static void
search_down (Search *s)
{
  static const float first[4] = { 1.0f, 0.95f, 0.9f, 0.85f };
  static const float further[12] = { 0.8f, 0.75f, 0.7f, 0.65f, 0.6f, 0.55f, 0.5f, 0.45f, 0.4f, 0.35f, 0.3f, 0.3f };
  float errors[4];
  guint misses = 0;

  find_four_errors (s, first, errors);
  s->factor = first[0];
  s->best = errors[0];
  for (guint i = 1; i < 4; i++)
    misses = keep_better (s, first[i], errors[i]) ? 0 : misses + 1;
  for (guint i = 0; i < G_N_ELEMENTS (further) && misses < 3; i++)
    {
      if (i % 2 == 0)
        find_two_errors (s, further + i, errors);
      misses = keep_better (s, further[i], errors[i % 2]) ? 0 : misses + 1;
    }
}

static float
search_factor (const Book *book, const float *u, gsize n)
{
  static const float up[4] = { 1.05f, 1.1f, 1.25f, 1.4f };
  Search s = { .book = book, .u = u, .n = n };
  float errors[4], around[2], fit;

  search_down (&s);
  find_four_errors (&s, up, errors);
  for (guint i = 0; i < 4; i++)
    keep_better (&s, up[i], errors[i]);
  around[0] = s.factor - 0.025f;
  around[1] = s.factor + 0.025f;
  find_two_errors (&s, around, errors);
  for (guint i = 0; i < 2; i++)
    keep_better (&s, around[i], errors[i]);
  fit = fitting_factor (&s);
  if (fit > 0.0f && fit < 2.0f)
    {
      find_errors (&s, &fit, 1, errors);
      keep_better (&s, fit, errors[0]);
    }
  return s.factor;
}

static float
search_magnitude (const Book *book, const float *x, gsize n, float largest)
{
  float u[BLOCK_LARGEST];

  if (largest < SEARCH_LOWEST || largest > SEARCH_HIGHEST)
    return largest;
  for (gsize i = 0; i < n; i++)
    u[i] = x[i] / largest;
  return largest * search_factor (book, u, n);
}

/* ---- Encoding ---- */

static void
find_magnitude (const Job *job, const float *x, gsize n, float *magnitude)
{
  if (job->how != FROM_GIVEN)
    *magnitude = largest_of (x, n);
  if (job->how == FROM_SEARCH)
    *magnitude = search_magnitude (&job->book, x, n, *magnitude);
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
      for (gsize b = 0, i = 0; b < padded; b += job->block, i++)
        find_magnitude (job, x + b, MIN (padded - b, job->block), &magnitudes[i]);
      if (job->codes == NULL)
        continue;
      for (gsize b = 0, i = 0; b < padded; b += job->block, i++)
        book_find_codes (&job->book, x + b, MIN (padded - b, job->block), inverse_of (magnitudes[i]), codes + b);
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
  if (*block < BOOK_GROUP || *block > BLOCK_LARGEST || (*block & (*block - 1)) != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "blocks of %" G_GSIZE_FORMAT " weights are not supported", *block);
  if (!g_size_checked_mul (&all, *rows, *cols))
    return qconv_fail (error, QCONV_ERROR_BUG, "too many weights");
  *blocks = all / *block + (all % *block != 0);
  return TRUE;
}

/* Encodes the weight args[0] with the table args[1]. Two or three arguments follow the table: the codes to write if
   @with_codes, the magnitudes, and the sizes. */
static gboolean
encode (const QconvArg *args, gboolean with_codes, Magnitudes how, GError **error)
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
  job.codes = codes != NULL ? qconv_kernel_out (codes) : NULL;
  job.magnitudes = qconv_kernel_out (absmax);
  encode_all (&job);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_rtn) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  return encode (args, TRUE, FROM_LARGEST, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  return encode (args, TRUE, FROM_SEARCH, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_encode_given) (gpointer device, gpointer stream, const QconvArg *args,
                                                    GError **error)
{
  return encode (args, TRUE, FROM_GIVEN, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_rtn) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  return encode (args, FALSE, FROM_LARGEST, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_codebook4_absmax_search) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  return encode (args, FALSE, FROM_SEARCH, error);
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
  const float *levels = d->levels;
  gsize n = d->cols, block = d->block;

  for (gsize c = 0; c < n;)
    {
      gsize end = MIN (n, c + block - at % block);
      float magnitude = d->magnitudes[at / block];

      at += end - c;
      for (; c < end && c % 2 != 0; c++)
        dst[c] = levels[codes[c / 2] >> 4] * magnitude;
      for (; c + DECODE4_RUN <= end; c += DECODE4_RUN)
        decode4_run (levels, codes + c / 2, magnitude, dst + c);
      for (; c < end; c++)
        dst[c] = levels[codes[c / 2] >> (c % 2 * 4) & 15] * magnitude;
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
