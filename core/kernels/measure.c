/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations that reduce a tensor to a few numbers: "amax", "nonfinite" and "squared-error". */
#include "kernels/ops.h"

/* Magnitudes order like their bits, so the largest is found among integers */
static float
largest_of_f32 (const gint32 *x, gsize n)
{
  gint32 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      gint32 magnitude = x[i] & 0x7fffffff;

      top = magnitude > top ? magnitude : top;
    }
  return f32_of_bits ((guint32) top);
}

static guint16
largest_of_16 (const gint16 *x, gsize n)
{
  gint16 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      gint16 magnitude = x[i] & 0x7fff;

      top = magnitude > top ? magnitude : top;
    }
  return (guint16) top;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_amax) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const void *x = qconv_kernel_in (&args[0]);
  float *dst = qconv_kernel_out (&args[1]);
  gsize n;
  float top;

  if (!qconv_kernel_fits (&args[0], "amax source", QCONV_MASK_WEIGHTS, 0, 0, error)
      || !qconv_kernel_fits (&args[1], "amax result", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  n = qconv_kernel_items (&args[0]);
  if (qconv_buffer_dtype (args[0].buffer) == QCONV_F32)
    top = largest_of_f32 (x, n);
  else if (qconv_buffer_dtype (args[0].buffer) == QCONV_BF16)
    top = f32_of_bf16 (largest_of_16 (x, n));
  else
    top = f32_of_f16 (largest_of_16 (x, n));
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
count_32 (const gint32 *x, gsize n)
{
  guint64 total = 0;

  for (gsize done = 0; done < n; done += COUNT_RUN)
    {
      gsize run = MIN (n - done, COUNT_RUN);
      gint32 found = 0;

      for (gsize i = 0; i < run; i++)
        found += (x[done + i] & 0x7fffffff) >= 0x7f800000;
      total += (guint64) found;
    }
  return total;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nonfinite) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const void *x = qconv_kernel_in (&args[0]);
  guint64 *dst = qconv_kernel_out (&args[1]);
  gsize n;

  if (!qconv_kernel_fits (&args[0], "nonfinite source",
                          QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64) | QCONV_MASK (QCONV_F8_E4M3)
                              | QCONV_MASK (QCONV_F8_E5M2),
                          0, 0, error)
      || !qconv_kernel_fits (&args[1], "nonfinite result", QCONV_MASK (QCONV_U64), 1, 1, error))
    return FALSE;
  n = qconv_kernel_items (&args[0]);
  switch ((int) qconv_buffer_dtype (args[0].buffer))
    {
    case QCONV_F64:
      *dst += count_64 (x, n, G_MAXINT64, 0x7ff0000000000000);
      break;
    case QCONV_F32:
      *dst += count_32 (x, n);
      break;
    case QCONV_F16:
      *dst += count_16 (x, n, 0x7fff, 0x7c00);
      break;
    case QCONV_BF16:
      *dst += count_16 (x, n, 0x7fff, 0x7f80);
      break;
    case QCONV_F8_E4M3:
      *dst += count_8 (x, n, 0x7f, 0x7f);
      break;
    default:
      *dst += count_8 (x, n, 0x7f, 0x7c);
    }
  return TRUE;
}

/* Lanes of the sums: item i is added in lane i mod LANES on every level */
#define LANES 16
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
  const guint8 *ref = qconv_kernel_in (&args[0]);
  const float *got = qconv_kernel_in (&args[1]);
  double *out = qconv_kernel_out (&args[2]);
  gsize rows, cols, item;

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &cols, error)
      || !qconv_kernel_fits (&args[0], "reference", QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64), rows, cols, error)
      || !qconv_kernel_fits (&args[1], "other", QCONV_MASK (QCONV_F32), rows, cols, error)
      || !qconv_kernel_fits (&args[2], "sums", QCONV_MASK (QCONV_F64), 1, 2, error))
    return FALSE;
  item = qconv_dtype_bits (qconv_buffer_dtype (args[0].buffer)) / 8;
  for (gsize r = 0; r < rows; r++)
    add_row (qconv_buffer_dtype (args[0].buffer), ref + r * cols * item, got + r * cols, cols, out);
  return TRUE;
}
