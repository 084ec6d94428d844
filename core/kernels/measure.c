/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations that reduce a tensor to a few numbers: "amax", "nonfinite" and "squared-error". */
#include "kernels/largest.h"
#include "kernels/ops.h"

gboolean
QCONV_LEVEL_NAME (qconv_op_amax) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvMeasureJob job;
  float *dst, top;

  if (!qconv_job_amax (&job, args, error))
    return FALSE;
  dst = job.dst;
  top = largest_weight (job.dtype, job.src, job.n);
  if (top > *dst)
    *dst = top;
  return TRUE;
}

/* Counters are as wide as the items, so that loops run at full width; they are emptied before they can overflow */
#define COUNT_RUN 16384
#define DEFINE_COUNT(width, type)                                              \
  static guint64 count_##width (const type *x, gsize n, type mask, type least) \
  {                                                                            \
    guint64 total = 0;                                                         \
                                                                               \
    for (gsize done = 0; done < n; done += COUNT_RUN)                          \
      {                                                                        \
        gsize run = MIN (n - done, COUNT_RUN);                                 \
        guint16 found = 0;                                                     \
                                                                               \
        for (gsize i = 0; i < run; i++)                                        \
          found = (guint16) (found + ((x[done + i] & mask) >= least));         \
        total += found;                                                        \
      }                                                                        \
    return total;                                                              \
  }
DEFINE_COUNT (8, guint8)
DEFINE_COUNT (16, gint16)
DEFINE_COUNT (64, guint64)

static guint64
count_32 (const gint32 *x, gsize n, gint32 mask, gint32 least)
{
  guint64 total = 0;

  for (gsize done = 0; done < n; done += COUNT_RUN)
    {
      gsize run = MIN (n - done, COUNT_RUN);
      gint32 found = 0;

      for (gsize i = 0; i < run; i++)
        found += (x[done + i] & mask) >= least;
      total += (guint64) found;
    }
  return total;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nonfinite) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvMeasureJob job;
  QconvNonFinite bits;
  guint64 *dst;

  if (!qconv_job_nonfinite (&job, args, error))
    return FALSE;
  dst = job.dst;
  bits = nonfinite_bits (job.dtype);
  if (job.dtype == QCONV_F64)
    *dst += count_64 (job.src, job.n, bits.mask, bits.least);
  else if (job.dtype == QCONV_F32)
    *dst += count_32 (job.src, job.n, (gint32) bits.mask, (gint32) bits.least);
  else if (job.dtype == QCONV_F16 || job.dtype == QCONV_BF16)
    *dst += count_16 (job.src, job.n, (gint16) bits.mask, (gint16) bits.least);
  else
    *dst += count_8 (job.src, job.n, (guint8) bits.mask, (guint8) bits.least);
  return TRUE;
}

#define LANES QCONV_ERROR_LANES
#define STRETCH 512 /* items widened at once; they stay in the nearest cache */

#if QCONV_VECTOR == 512
#define WIDTH 8
#elif QCONV_VECTOR == 256
#define WIDTH 4
#else
#define WIDTH 2
#endif
typedef double Wide __attribute__ ((vector_size (WIDTH * sizeof (double))));
typedef float Narrow __attribute__ ((vector_size (WIDTH * sizeof (float))));

typedef struct {
  Wide difference[LANES / WIDTH], reference[LANES / WIDTH];
} Sums;

static inline Wide
wide_of_f32 (const float *x)
{
  Narrow narrow;

  memcpy (&narrow, x, sizeof narrow);
  return __builtin_convertvector(narrow, Wide);
}

static inline void
add_squares (Sums *sums, guint at, Wide ref, const float *got)
{
  Wide d = ref - wide_of_f32 (got);

  sums->difference[at] += d * d;
  sums->reference[at] += ref * ref;
}

/* Adds the squares of @n items, a multiple of LANES, filled up with zeros */
static void
add_f32 (Sums *sums, const float *ref, const float *got, gsize n)
{
  Sums s = *sums;

  for (gsize i = 0; i < n; i += LANES)
    for (guint k = 0; k < LANES / WIDTH; k++)
      add_squares (&s, k, wide_of_f32 (ref + i + k * WIDTH), got + i + k * WIDTH);
  *sums = s;
}

static void
add_f64 (Sums *sums, const double *ref, const float *got, gsize n)
{
  for (gsize i = 0; i < n; i += LANES)
    for (guint k = 0; k < LANES / WIDTH; k++)
      {
        Wide wide;

        memcpy (&wide, ref + i + k * WIDTH, sizeof wide);
        add_squares (sums, k, wide, got + i + k * WIDTH);
      }
}

static double
sum_of_lanes (const Wide *lanes)
{
  double t[LANES];

  memcpy (t, lanes, sizeof t);
  for (guint width = LANES / 2; width > 0; width /= 2)
    for (guint i = 0; i < width; i++)
      t[i] += t[i + width];
  return t[0];
}

static void
add_row (QconvDType dtype, const guint8 *ref, const float *got, gsize cols, double out[2])
{
  Sums sums = { 0 };
  gsize item = qconv_dtype_bits (dtype) / 8;

  for (gsize c = 0; c < cols; c += STRETCH)
    {
      gsize n = MIN (cols - c, STRETCH), padded = (n + LANES - 1) / LANES * LANES;
      const void *from = ref + c * item;
      const float *to = got + c;
      double wide[STRETCH];
      float narrow[STRETCH], tail[STRETCH];

      if (padded != n)
        {
          memcpy (tail, to, n * sizeof *tail);
          memset (tail + n, 0, (padded - n) * sizeof *tail);
          to = tail;
        }
      if (dtype == QCONV_F64)
        {
          memcpy (wide, from, n * sizeof *wide);
          memset (wide + n, 0, (padded - n) * sizeof *wide);
          add_f64 (&sums, wide, to, padded);
          continue;
        }
      if (dtype != QCONV_F32 || padded != n)
        {
          QCONV_LEVEL_NAME (qconv_widen) (dtype, from, narrow, n);
          memset (narrow + n, 0, (padded - n) * sizeof *narrow);
          from = narrow;
        }
      add_f32 (&sums, from, to, padded);
    }
  out[0] += sum_of_lanes (sums.difference);
  out[1] += sum_of_lanes (sums.reference);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_squared_error) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvErrorJob job;
  gsize row_bytes;

  if (!qconv_job_error (&job, args, error))
    return FALSE;
  row_bytes = job.cols * item_bytes (job.dtype);
  for (gsize r = 0; r < job.rows; r++)
    add_row (job.dtype, (const guint8 *) job.ref + r * row_bytes, job.got + r * job.cols, job.cols, job.out);
  return TRUE;
}
