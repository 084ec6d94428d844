/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "q8_0-encode" and so on: check arguments, walk over the blocks, and choose between ggml's block and
   the one that the search found. */
#include "kernels/ggml-encode.h"

/* One type */
typedef struct {
  gsize items, bytes;
  QconvGgmlEncode *rtn;
  QconvGgmlSearch *search;
  QconvGgmlDecode *decode;
} Type;

/* @importance: (nullable) */
typedef struct {
  const Type *type;
  QconvDType dtype;
  const guint8 *src;
  const float *importance;
  guint8 *dst;
  gsize rows, cols;
  gboolean search;
} Job;

/* The weights of one group and what goes with them. @x, @importance: memory for what @group cannot use in place;
   @row: the row whose mean square is @square */
typedef struct {
  float x[QCONV_GGML_LANES * QCONV_GGML_SUPER], importance[QCONV_GGML_LANES * QCONV_GGML_SUPER];
  gsize row;
  float square;
  QconvGgmlGroup group;
} Buffer;

/* Returns the mean of the squares of row @row, added up in order */
static float
mean_square (const Job *job, gsize row)
{
  gsize item = qconv_dtype_bits (job->dtype) / 8;
  const guint8 *src = job->src + row * job->cols * item;
  float x[QCONV_GGML_SUPER], sum = 0.0f;

  for (gsize at = 0; at < job->cols; at += QCONV_GGML_SUPER)
    {
      gsize n = MIN (job->cols - at, QCONV_GGML_SUPER);

      QCONV_LEVEL_NAME (qconv_widen) (job->dtype, src + at * item, x, n);
      for (gsize i = 0; i < n; i++)
        sum += x[i] * x[i];
    }
  return sum / (float) job->cols;
}

/* Loads what belongs to the importance of @n blocks from number @first on */
static void
load_importance (const Job *job, gsize first, gsize n, Buffer *b)
{
  gsize items = job->type->items, per_row = job->cols / items;

  memset (b->importance, 0, QCONV_GGML_LANES * items * sizeof *b->importance);
  memset (b->group.row_square, 0, sizeof b->group.row_square);
  for (gsize i = 0; i < n; i++)
    {
      gsize row = (first + i) / per_row, col = (first + i) % per_row * items;

      if (row != b->row)
        b->square = mean_square (job, row);
      b->row = row;
      b->group.row_square[i] = b->square;
      memcpy (b->importance + i * items, job->importance + col, items * sizeof *b->importance);
    }
  b->group.importance = b->importance;
}

/* Loads @n blocks from number @first on. The other lanes are zero */
static void
load (const Job *job, gsize first, gsize n, Buffer *b)
{
  gsize items = job->type->items, item = qconv_dtype_bits (job->dtype) / 8;
  const guint8 *src = job->src + first * items * item;

  if (job->dtype == QCONV_F32 && n == QCONV_GGML_LANES)
    b->group.x = (const float *) (gconstpointer) src;
  else
    {
      memset (b->x + n * items, 0, (QCONV_GGML_LANES - n) * items * sizeof *b->x);
      QCONV_LEVEL_NAME (qconv_widen) (job->dtype, src, b->x, n * items);
      b->group.x = b->x;
    }
  if (job->importance != NULL)
    load_importance (job, first, n, b);
}

/* Returns the squared error of one decoded block, weighted by its importance. Item i goes to lane i modulo 8 */
static double
error_of (const Job *job, const QconvGgmlGroup *group, gsize block, const float *decoded)
{
  gsize items = job->type->items;
  const float *x = group->x + block * items, *importance = group->importance;
  double lanes[8] = { 0 };

  for (gsize i = 0; i < items; i += 8)
    for (gsize k = 0; k < 8; k++)
      {
        double d = (double) x[i + k] - (double) decoded[i + k];

        lanes[k] += importance != NULL ? (double) importance[block * items + i + k] * (d * d) : d * d;
      }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* Replaces blocks of @rtn by those that the search finds if their error is less */
static void
search (const Job *job, const QconvGgmlGroup *group, gsize n, guint8 *rtn)
{
  const Type *type = job->type;
  guint8 found[QCONV_GGML_LANES * QCONV_GGML_SUPER];
  float before[QCONV_GGML_SUPER], after[QCONV_GGML_SUPER];

  type->search (group, rtn, found);
  for (gsize i = 0; i < n; i++)
    {
      type->decode (rtn + i * type->bytes, before, 1);
      type->decode (found + i * type->bytes, after, 1);
      if (error_of (job, group, i, after) < error_of (job, group, i, before))
        memcpy (rtn + i * type->bytes, found + i * type->bytes, type->bytes);
    }
}

static void
encode_all (const Job *job)
{
  const Type *type = job->type;
  gsize n_blocks = job->rows * (job->cols / type->items);
  guint8 padded[QCONV_GGML_LANES * QCONV_GGML_SUPER];
  Buffer b;

  b.row = G_MAXSIZE;
  b.group.importance = NULL;
  for (gsize first = 0; first < n_blocks; first += QCONV_GGML_LANES)
    {
      gsize n = MIN (n_blocks - first, QCONV_GGML_LANES);

      guint8 *dst = job->dst + first * type->bytes, *blocks = n == QCONV_GGML_LANES ? dst : padded;

      load (job, first, n, &b);
      type->rtn (&b.group, blocks);
      if (job->search)
        search (job, &b.group, n, blocks);
      if (blocks != dst)
        memcpy (dst, blocks, n * type->bytes);
    }
}

/* Arguments: weights, blocks, importance of the columns or NULL, rows, cols, 1 to search and 0 for ggml's bytes */
static gboolean
run (const QconvArg *args, const Type *type, GError **error)
{
  Job job = { .type = type, .search = args[5].i != 0 };
  guint32 bytes = QCONV_MASK (QCONV_OPAQUE) | QCONV_MASK (QCONV_U8);

  if (!qconv_kernel_count (&args[3], "rows", &job.rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job.cols, error))
    return FALSE;
  if (job.cols % type->items != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "rows of %" G_GSIZE_FORMAT " items do not hold whole blocks", job.cols);
  if (!qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job.rows, job.cols, error)
      || !qconv_kernel_fits (&args[1], "the buffer of blocks", bytes, job.rows, job.cols / type->items * type->bytes,
                             error)
      || (args[2].buffer != NULL
          && !qconv_kernel_fits (&args[2], "importance", QCONV_MASK (QCONV_F32), 1, job.cols, error)))
    return FALSE;
  job.dtype = qconv_buffer_dtype (args[0].buffer);
  job.src = qconv_kernel_in (&args[0]);
  job.dst = qconv_kernel_out (&args[1]);
  job.importance = args[2].buffer != NULL ? qconv_kernel_in (&args[2]) : NULL;
  encode_all (&job);
  return TRUE;
}

#define DEFINE_OPERATION(type, name, items, bytes)                                                                 \
  gboolean QCONV_LEVEL_NAME (qconv_op_ggml_encode_##type) (gpointer device, gpointer stream, const QconvArg *args, \
                                                           GError **error)                                         \
  {                                                                                                                \
    static const Type row = { items, bytes, QCONV_LEVEL_NAME (qconv_ggml_encode_##type),                           \
                              QCONV_LEVEL_NAME (qconv_ggml_search_##type), QCONV_LEVEL_NAME (qconv_ggml_##type) }; \
    return run (args, &row, error);                                                                                \
  }
QCONV_GGML_ENCODED (DEFINE_OPERATION)
