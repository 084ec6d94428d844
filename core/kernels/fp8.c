/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "fp8-encode", for one scale a tensor, and "magnitudes", the histogram that the search for this
   scale needs. */
#include "kernels/fp8.h"
#if QCONV_VECTOR == 256
#include "kernels/fp8-pairs.h"
#endif

#define STRETCH 512 /* weights that are F32 at once on the way */

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
encode_from (const QconvFp8Job *job, gsize start)
{
  const guint8 *src = job->src;
  gsize item = item_bytes (job->dtype);
  float scale = *job->scale;

  for (gsize i = start; i < job->n; i += STRETCH)
    {
      gsize run = MIN (job->n - i, STRETCH);
      const float *wide = (const float *) (const void *) (src + i * item);
      float between[STRETCH];

      if (job->dtype != QCONV_F32)
        {
          QCONV_LEVEL_NAME (qconv_widen) (job->dtype, src + i * item, between, run);
          wide = between;
        }
      if (job->format == QCONV_F8_E4M3)
        encode_e4m3 (wide, job->dst + i, run, scale);
      else
        encode_e5m2 (wide, job->dst + i, run, scale);
    }
}

/* Encodes what vectors can. Returns the number of weights that it encoded */
static gsize
encode_runs (const QconvFp8Job *job)
{
#if QCONV_VECTOR == 256
  if (job->format == QCONV_F8_E4M3)
    return fp8_encode_runs (job->dtype, job->src, job->dst, job->n, *job->scale, TRUE, FP8_E4M3);
  return fp8_encode_runs (job->dtype, job->src, job->dst, job->n, *job->scale, TRUE, FP8_E5M2);
#else
  return 0;
#endif
}

gboolean
QCONV_LEVEL_NAME (qconv_op_fp8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvFp8Job job;

  if (!qconv_job_fp8 (&job, args, error))
    return FALSE;
  encode_from (&job, encode_runs (&job));
  return TRUE;
}

/* Counts magnitudes. Takes two numbers at a time, so that their counters do not wait for each other. */
static void
count_16 (const guint16 *x, gsize n, guint32 *words)
{
  guint32 *counts = words + QCONV_WORD_COUNTS;
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

/* Rounds magnitudes. Returns the bits that were lost */
static guint32
round_to_bf16 (const guint32 *x, guint16 *dst, gsize n)
{
  guint32 lost = 0;

  for (gsize i = 0; i < n; i++)
    {
      lost |= x[i] & 0xffff;
      dst[i] = (guint16) bf16_magnitude (x[i]);
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
        words[QCONV_WORD_FLAGS] |= QCONV_FLAG_ROUNDED;
      count_16 (narrow, run, words);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_magnitudes) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvMeasureJob job;
  guint32 *words;

  if (!qconv_job_magnitudes (&job, args, error) || !QCONV_LEVEL_NAME (qconv_op_amax) (device, stream, args, error))
    return FALSE;
  words = job.dst;
  if (job.dtype == QCONV_F32)
    {
      count_f32 (job.src, job.n, words);
      return TRUE;
    }
  if (job.dtype == QCONV_F16)
    words[QCONV_WORD_FLAGS] |= QCONV_FLAG_F16;
  count_16 (job.src, job.n, words);
  return TRUE;
}
