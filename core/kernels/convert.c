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

#define DEFINE_WIDEN(dtype, type, expression)                      \
  static void widen_##dtype (const type *src, float *dst, gsize n) \
  {                                                                \
    for (gsize i = 0; i < n; i++)                                  \
      dst[i] = (expression);                                       \
  }
DEFINE_WIDEN (f64, double, (float) src[i])
DEFINE_WIDEN (bf16, guint16, f32_of_bf16 (src[i]))
DEFINE_WIDEN (e4m3, guint8, f32_of_e4m3 (src[i]))
DEFINE_WIDEN (e5m2, guint8, f32_of_e5m2 (src[i]))
DEFINE_WIDEN (e8m0, guint8, f32_of_e8m0 (src[i]))
DEFINE_WIDEN (i8, gint8, (float) src[i])
DEFINE_WIDEN (i16, gint16, (float) src[i])
DEFINE_WIDEN (i32, gint32, (float) src[i])
DEFINE_WIDEN (i64, gint64, f32_of_i64 (src[i]))
DEFINE_WIDEN (u8, guint8, (float) src[i])
DEFINE_WIDEN (u16, guint16, (float) src[i])
DEFINE_WIDEN (u32, guint32, (float) src[i])
DEFINE_WIDEN (u64, guint64, f32_of_u64 (src[i]))
DEFINE_WIDEN (bool, guint8, src[i] != 0 ? 1.0f : 0.0f)

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
  guint16 *half = dst;
  double *wide = dst;

  if (dtype == QCONV_F16)
    narrow_to_f16 (src, half, n);
  else if (dtype == QCONV_BF16)
    for (gsize i = 0; i < n; i++)
      half[i] = bf16_of_f32 (src[i]);
  else
    for (gsize i = 0; i < n; i++)
      wide[i] = (double) src[i];
}

static void
convert_through_f32 (QconvDType from, const guint8 *src, QconvDType to, guint8 *dst, gsize n)
{
  gsize from_size = qconv_dtype_bits (from) / 8, to_size = qconv_dtype_bits (to) / 8;
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
  const guint32 floats = QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64);
  const guint32 others = QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2) | QCONV_MASK (QCONV_F8_E8M0)
                         | QCONV_MASK (QCONV_I8) | QCONV_MASK (QCONV_I16) | QCONV_MASK (QCONV_I32)
                         | QCONV_MASK (QCONV_I64) | QCONV_MASK (QCONV_U8) | QCONV_MASK (QCONV_U16)
                         | QCONV_MASK (QCONV_U32) | QCONV_MASK (QCONV_U64) | QCONV_MASK (QCONV_BOOL);
  QconvDType from = qconv_buffer_dtype (args[0].buffer), to = qconv_buffer_dtype (args[1].buffer);
  const void *src = qconv_kernel_in (&args[0]);
  void *dst = qconv_kernel_out (&args[1]);
  gsize n;

  if (!qconv_kernel_fits (&args[0], "source", to == QCONV_F32 ? floats | others : floats, 0, 0, error)
      || !qconv_kernel_fits (&args[1], "destination", floats, 0, 0, error))
    return FALSE;
  n = qconv_kernel_items (&args[0]);
  if (n != qconv_kernel_items (&args[1]))
    return qconv_fail (error, QCONV_ERROR_BUG, "source has %" G_GSIZE_FORMAT " items, destination has %" G_GSIZE_FORMAT,
                       n, qconv_kernel_items (&args[1]));
  if (n == 0)
    return TRUE;
  if (from == to)
    memcpy (dst, src, n * qconv_dtype_bits (to) / 8);
  else if (to == QCONV_F32)
    QCONV_LEVEL_NAME (qconv_widen) (from, src, dst, n);
  else if (from == QCONV_F32)
    narrow (to, src, dst, n);
  else
    convert_through_f32 (from, src, to, dst, n);
  return TRUE;
}
