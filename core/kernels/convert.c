/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "convert": from one number format to another, through F32. */
#include "kernels/ops.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#endif

#define STRETCH 512 /* items that are F32 at once on the way */

static void
widen_f16 (const guint16 *src, float *dst, gsize n)
{
  gsize i = 0;

#if QCONV_VECTOR == 512
  for (; i + 16 <= n; i += 16)
    _mm512_storeu_ps (dst + i, _mm512_cvtph_ps (_mm256_loadu_si256 ((const __m256i *) (src + i))));
#elif QCONV_VECTOR == 256
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps (dst + i, _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) (src + i))));
#endif
  for (; i < n; i++)
    dst[i] = f32_of_f16 (src[i]);
}

static void
narrow_to_f16 (const float *src, guint16 *dst, gsize n)
{
  gsize i = 0;

#if QCONV_VECTOR == 512
  for (; i + 16 <= n; i += 16)
    _mm256_storeu_si256 ((__m256i *) (dst + i),
                         _mm512_cvtps_ph (_mm512_loadu_ps (src + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif QCONV_VECTOR == 256
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128 ((__m128i *) (dst + i), _mm256_cvtps_ph (_mm256_loadu_ps (src + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; i++)
    dst[i] = f16_of_f32 (src[i]);
}

#define DEFINE_WIDEN(lower, upper)                                 \
  static void widen_##lower (const void *src, float *dst, gsize n) \
  {                                                                \
    for (gsize i = 0; i < n; i++)                                  \
      dst[i] = widen_item (QCONV_##upper, src, i);                 \
  }
DEFINE_WIDEN (f64, F64)
DEFINE_WIDEN (bf16, BF16)
DEFINE_WIDEN (e4m3, F8_E4M3)
DEFINE_WIDEN (e5m2, F8_E5M2)
DEFINE_WIDEN (e8m0, F8_E8M0)
DEFINE_WIDEN (i8, I8)
DEFINE_WIDEN (i16, I16)
DEFINE_WIDEN (i32, I32)
DEFINE_WIDEN (i64, I64)
DEFINE_WIDEN (u8, U8)
DEFINE_WIDEN (u16, U16)
DEFINE_WIDEN (u32, U32)
DEFINE_WIDEN (u64, U64)
DEFINE_WIDEN (bool, BOOL)

void
QCONV_LEVEL_NAME (qconv_widen) (QconvDType dtype, const void *src, float *dst, gsize n)
{
#define CASE(upper, lower)       \
  case QCONV_##upper:            \
    widen_##lower (src, dst, n); \
    break
  switch ((int) dtype)
    {
      CASE (F64, f64);
      CASE (F16, f16);
      CASE (BF16, bf16);
      CASE (F8_E4M3, e4m3);
      CASE (F8_E5M2, e5m2);
      CASE (F8_E8M0, e8m0);
      CASE (I8, i8);
      CASE (I16, i16);
      CASE (I32, i32);
      CASE (I64, i64);
      CASE (U8, u8);
      CASE (U16, u16);
      CASE (U32, u32);
      CASE (U64, u64);
      CASE (BOOL, bool);
    default:
      memcpy (dst, src, n * sizeof *dst);
    }
#undef CASE
}

static void
narrow (QconvDType dtype, const float *src, void *dst, gsize n)
{
  if (dtype == QCONV_F16)
    narrow_to_f16 (src, dst, n);
  else if (dtype == QCONV_BF16)
    for (gsize i = 0; i < n; i++)
      narrow_item (QCONV_BF16, src[i], dst, i);
  else
    for (gsize i = 0; i < n; i++)
      narrow_item (QCONV_F64, src[i], dst, i);
}

static void
convert_through_f32 (QconvDType from, const guint8 *src, QconvDType to, guint8 *dst, gsize n)
{
  gsize from_size = item_bytes (from), to_size = item_bytes (to);
  float between[STRETCH];

  for (gsize i = 0; i < n; i += STRETCH)
    {
      gsize run = MIN (n - i, STRETCH);

      QCONV_LEVEL_NAME (qconv_widen) (from, src + i * from_size, between, run);
      narrow (to, between, dst + i * to_size, run);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_convert) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvConvertJob job;

  if (!qconv_job_convert (&job, args, error))
    return FALSE;
  if (job.n == 0)
    return TRUE;
  if (job.from == job.to)
    memcpy (job.dst, job.src, job.n * item_bytes (job.to));
  else if (job.to == QCONV_F32)
    QCONV_LEVEL_NAME (qconv_widen) (job.from, job.src, job.dst, job.n);
  else if (job.from == QCONV_F32)
    narrow (job.to, job.src, job.dst, job.n);
  else
    convert_through_f32 (job.from, job.src, job.to, job.dst, job.n);
  return TRUE;
}
