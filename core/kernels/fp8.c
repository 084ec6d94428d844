/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "fp8-encode", for one scale a tensor, and "magnitudes", the histogram that the search for this
   scale needs. */
#include "kernels/fp8.h"
#if QCONV_VECTOR == 256
#include "kernels/fp8-pairs.h"
#endif

#define STRETCH 512 /* weights that are F32 at once on the way */
#define MAGNITUDES 32768

/* The result begins with the largest magnitude (F32) and these flags; the counts follow. All are 32-bit words */
enum { WORD_AMAX, WORD_FLAGS, WORD_COUNTS };
enum { FLAG_F16 = 1, FLAG_ROUNDED = 2 };

/* The rows of a weight, as one */
typedef struct {
  QconvDType dtype, format;
  const guint8 *src;
  guint8 *dst;
  gsize n;
  float scale;
} Job;

#define DEFINE_ENCODE(name, format)                                      \
  static void name (const float *src, guint8 *dst, gsize n, float scale) \
  {                                                                      \
    for (gsize i = 0; i < n; i++)                                        \
      dst[i] = fp8_of_f32 (src[i] / scale, format);                      \
  }
DEFINE_ENCODE (encode_e4m3, FP8_E4M3)
DEFINE_ENCODE (encode_e5m2, FP8_E5M2)

/* Encodes from the weight @start on */
static void
encode_from (const Job *job, gsize start)
{
  gsize item = qconv_dtype_bits (job->dtype) / 8;

  for (gsize i = start; i < job->n; i += STRETCH)
    {
      gsize run = MIN (job->n - i, STRETCH);
      const float *wide = (const float *) (const void *) (job->src + i * item);
      float between[STRETCH];

      if (job->dtype != QCONV_F32)
        {
          QCONV_LEVEL_NAME (qconv_widen) (job->dtype, job->src + i * item, between, run);
          wide = between;
        }
      if (job->format == QCONV_F8_E4M3)
        encode_e4m3 (wide, job->dst + i, run, job->scale);
      else
        encode_e5m2 (wide, job->dst + i, run, job->scale);
    }
}

/* Encodes what vectors can. Returns the number of weights that it encoded */
static gsize
encode_runs (const Job *job)
{
#if QCONV_VECTOR == 256
  if (job->format == QCONV_F8_E4M3)
    return fp8_encode_runs (job->dtype, job->src, job->dst, job->n, job->scale, TRUE, FP8_E4M3);
  return fp8_encode_runs (job->dtype, job->src, job->dst, job->n, job->scale, TRUE, FP8_E5M2);
#else
  return 0;
#endif
}

gboolean
QCONV_LEVEL_NAME (qconv_op_fp8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  gsize rows, cols;
  Job job = { .dtype = qconv_buffer_dtype (args[0].buffer), .format = qconv_buffer_dtype (args[1].buffer) };

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &cols, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, rows, cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2), rows, cols,
                             error)
      || !qconv_kernel_fits (&args[2], "scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  job.src = qconv_kernel_in (&args[0]);
  job.dst = qconv_kernel_out (&args[1]);
  job.n = rows * cols;
  job.scale = *(const float *) qconv_kernel_in (&args[2]);
  encode_from (&job, encode_runs (&job));
  return TRUE;
}

/* Counts magnitudes. Takes two numbers at a time, so that their counters do not wait for each other. */
static void
count_16 (const guint16 *x, gsize n, guint32 *words)
{
  guint32 *counts = words + WORD_COUNTS;
  gsize i = 0;

  for (; i + 2 <= n; i += 2)
    {
      guint32 a = x[i] & 0x7fff, b = x[i + 1] & 0x7fff;

      counts[a]++;
      counts[b]++;
    }
  for (; i < n; i++)
    counts[x[i] & 0x7fff]++;
}

/* Rounds magnitudes to the nearest BF16, ties to even. Returns the bits that were lost. NaN counts as the last counter
   at most. */
static guint32
round_to_bf16 (const guint32 *x, guint16 *dst, gsize n)
{
  guint32 lost = 0;

  for (gsize i = 0; i < n; i++)
    {
      guint32 u = x[i] & 0x7fffffff, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;

      lost |= u & 0xffff;
      dst[i] = (guint16) (rounded < 0x7fff ? rounded : 0x7fff);
    }
  return lost;
}

static void
count_f32 (const guint32 *x, gsize n, guint32 *words)
{
  for (gsize i = 0; i < n; i += STRETCH)
    {
      gsize run = MIN (n - i, STRETCH);
      guint16 narrow[STRETCH];

      if (round_to_bf16 (x + i, narrow, run) != 0)
        words[WORD_FLAGS] |= FLAG_ROUNDED;
      count_16 (narrow, run, words);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_magnitudes) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const void *x = qconv_kernel_in (&args[0]);
  guint32 *words = qconv_kernel_out (&args[1]);
  gsize n;

  if (!qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, 0, 0, error)
      || !qconv_kernel_fits (&args[1], "counts", QCONV_MASK (QCONV_F32), 1, WORD_COUNTS + MAGNITUDES, error)
      || !QCONV_LEVEL_NAME (qconv_op_amax) (device, stream, args, error))
    return FALSE;
  n = qconv_kernel_items (&args[0]);
  if (qconv_buffer_dtype (args[0].buffer) == QCONV_F32)
    {
      count_f32 (x, n, words);
      return TRUE;
    }
  if (qconv_buffer_dtype (args[0].buffer) == QCONV_F16)
    words[WORD_FLAGS] |= FLAG_F16;
  count_16 (x, n, words);
  return TRUE;
}
