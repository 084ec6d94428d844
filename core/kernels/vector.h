/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vectors of the level's own width, for the kernels. The compiler provides the arithmetic operators; this header
   adds the operations that have none. */
#pragma once
#include "kernels/level.h"

#if QCONV_VECTOR == 128
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#define LANES (QCONV_VECTOR / 32)
typedef float VecF __attribute__ ((vector_size (QCONV_VECTOR / 8)));
typedef gint32 VecI __attribute__ ((vector_size (QCONV_VECTOR / 8)));
typedef guint32 VecU __attribute__ ((vector_size (QCONV_VECTOR / 8)));

/* For each fraction m of E4M3 the bits of 128/(1 + m/8) and m << 20: less code << 20, they are those of an inverse */
#define E4M3_INVERSES(set) \
  set (0x43000000, 0x42f38e39, 0x42eccccd, 0x42ea2e8c, 0x42eaaaab, 0x42ed89d9, 0x42f24925, 0x42f88889)

#if QCONV_VECTOR == 512
#define VEC(name) _mm512_##name
typedef __m512i VecRaw;

static inline VecF
vec_select_less (VecF a, VecF b, VecF yes, VecF no)
{
  return _mm512_mask_blend_ps (_mm512_cmp_ps_mask (a, b, _CMP_LT_OQ), no, yes);
}

static inline gboolean
vec_any (VecI mask)
{
  return _mm512_test_epi32_mask ((__m512i) mask, (__m512i) mask) != 0;
}

/* Returns the E2M1 value nearest to each 16-bit number below 8. Both count in parts of 1/8192 */
static inline VecRaw
vec_nearest_e2m1 (VecRaw q)
{
  /* for every quarter from 0 to 8 */
  static const guint16 nearest[32]
      = { 0x0000, 0x1000, 0x1000, 0x2000, 0x2000, 0x3000, 0x3000, 0x4000, 0x4000, 0x4000, 0x6000,
          0x6000, 0x6000, 0x6000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0xc000, 0xc000,
          0xc000, 0xc000, 0xc000, 0xc000, 0xc000, 0xc000, 0xc000, 0xc000, 0xc000, 0xc000 };

  return _mm512_permutexvar_epi16 (_mm512_srli_epi16 (q, 11), _mm512_loadu_si512 (nearest));
}

/* Rounds to nearest, ties to even */
static inline VecI
vec_round_to_int (VecF a)
{
  return (VecI) _mm512_cvtps_epi32 (a);
}

/* Returns the inverses of what E4M3 codes stand for, which must be positive and not subnormal */
static inline VecF
vec_inverse_e4m3 (VecI code)
{
  const __m512i bits = _mm512_broadcast_i32x8 (E4M3_INVERSES (_mm256_setr_epi32));

  return (VecF) ((VecI) _mm512_permutexvar_epi32 ((__m512i) code, bits) - (code << 20));
}

/* Returns the sum of all lanes, added in any order */
static inline float
vec_sum (VecF a)
{
  return _mm512_reduce_add_ps (a);
}

/* Joins eight floats of one place and eight of another */
static inline VecRaw
vec_join (__m256i low, __m256i high)
{
  return _mm512_inserti64x4 (_mm512_castsi256_si512 (low), high, 1);
}

/* Returns, in every run of 256 bits, the low (high) half of @a, then that of @b */
static inline VecRaw
vec_low_halves (VecRaw a, VecRaw b)
{
  return _mm512_permutex2var_epi64 (a, _mm512_setr_epi64 (0, 1, 8, 9, 4, 5, 12, 13), b);
}

static inline VecRaw
vec_high_halves (VecRaw a, VecRaw b)
{
  return _mm512_permutex2var_epi64 (a, _mm512_setr_epi64 (2, 3, 10, 11, 6, 7, 14, 15), b);
}

/* Writes the words of @a and @b in turn */
static inline void
vec_store_interleaved (guint8 *dst, VecI a, VecI b)
{
  const __m512i low = _mm512_setr_epi32 (0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

  _mm512_storeu_si512 (dst, _mm512_permutex2var_epi32 ((__m512i) a, low, (__m512i) b));
  _mm512_storeu_si512 (
      dst + 64, _mm512_permutex2var_epi32 ((__m512i) a, _mm512_add_epi32 (low, _mm512_set1_epi32 (8)), (__m512i) b));
}

/* Writes the lowest byte of every word */
static inline void
vec_store_bytes (guint8 *dst, VecI a)
{
  _mm_storeu_si128 ((__m128i *) dst, _mm512_cvtepi32_epi8 ((__m512i) a));
}
/* Loads eight words of the first block, and eight of the block that lies eight blocks behind it */
static inline VecRaw
vec_load_words (const guint8 *src, gsize step)
{
  return vec_join (_mm256_loadu_si256 ((const __m256i *) src), _mm256_loadu_si256 ((const __m256i *) (src + 8 * step)));
}

static inline VecRaw
vec_load_f16 (const guint8 *src, gsize step)
{
  __m256 low = _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) src));
  __m256 high = _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) (src + 8 * step)));

  return vec_join (_mm256_castps_si256 (low), _mm256_castps_si256 (high));
}
#elif QCONV_VECTOR == 256
#define VEC(name) _mm256_##name
typedef __m256i VecRaw;

static inline VecF
vec_select_less (VecF a, VecF b, VecF yes, VecF no)
{
  return _mm256_blendv_ps (no, yes, _mm256_cmp_ps (a, b, _CMP_LT_OQ));
}

static inline gboolean
vec_any (VecI mask)
{
  return !_mm256_testz_si256 ((__m256i) mask, (__m256i) mask);
}

static inline VecRaw
vec_nearest_e2m1 (VecRaw q)
{
  /* high bytes for every quarter from 0 to 4, and from 4 to 8 */
  const __m256i low = _mm256_broadcastsi128_si256 (
      _mm_setr_epi8 (0x00, 0x10, 0x10, 0x20, 0x20, 0x30, 0x30, 0x40, 0x40, 0x40, 0x60, 0x60, 0x60, 0x60, -0x80, -0x80));
  const __m256i high = _mm256_broadcastsi128_si256 (_mm_setr_epi8 (
      -0x80, -0x80, -0x80, -0x80, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40, -0x40));
  /* high bytes are numbers of quarters; low bytes, with their highest bit set, pick 0 */
  __m256i quarter = _mm256_or_si256 (_mm256_srli_epi16 (q, 3), _mm256_set1_epi16 (0x80));

  return _mm256_blendv_epi8 (_mm256_shuffle_epi8 (low, quarter), _mm256_shuffle_epi8 (high, quarter), q);
}

static inline VecI
vec_round_to_int (VecF a)
{
  return (VecI) _mm256_cvtps_epi32 (a);
}

static inline VecF
vec_inverse_e4m3 (VecI code)
{
  const __m256i bits = E4M3_INVERSES (_mm256_setr_epi32);

  return (VecF) ((VecI) _mm256_permutevar8x32_epi32 (bits, (__m256i) code) - (code << 20));
}

static inline float
vec_sum (VecF a)
{
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (a), _mm256_extractf128_ps (a, 1));
  __m128 two = _mm_add_ps (four, _mm_movehl_ps (four, four));

  return _mm_cvtss_f32 (_mm_add_ss (two, _mm_movehdup_ps (two)));
}

static inline VecRaw
vec_low_halves (VecRaw a, VecRaw b)
{
  return _mm256_permute2x128_si256 (a, b, 0x20);
}

static inline VecRaw
vec_high_halves (VecRaw a, VecRaw b)
{
  return _mm256_permute2x128_si256 (a, b, 0x31);
}

static inline void
vec_store_interleaved (guint8 *dst, VecI a, VecI b)
{
  __m256i low = _mm256_unpacklo_epi32 ((__m256i) a, (__m256i) b);
  __m256i high = _mm256_unpackhi_epi32 ((__m256i) a, (__m256i) b);

  _mm256_storeu_si256 ((__m256i *) dst, vec_low_halves (low, high));
  _mm256_storeu_si256 ((__m256i *) (dst + 32), vec_high_halves (low, high));
}

static inline void
vec_store_bytes (guint8 *dst, VecI a)
{
  __m128i half = _mm_packs_epi32 (_mm256_castsi256_si128 ((__m256i) a), _mm256_extracti128_si256 ((__m256i) a, 1));

  _mm_storel_epi64 ((__m128i *) dst, _mm_packus_epi16 (half, half));
}

static inline VecRaw
vec_load_words (const guint8 *src, gsize step)
{
  return _mm256_loadu_si256 ((const __m256i *) src);
}

static inline VecRaw
vec_load_f16 (const guint8 *src, gsize step)
{
  return _mm256_castps_si256 (_mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) src)));
}
#else
static inline VecF
vec_select_less (VecF a, VecF b, VecF yes, VecF no)
{
  return vbslq_f32 (vcltq_f32 (a, b), yes, no);
}

static inline gboolean
vec_all_not_less (VecF a, VecF b)
{
  return vminvq_u32 (vcgeq_f32 (a, b)) != 0;
}

static inline void
vec_store_interleaved (guint8 *dst, VecI a, VecI b)
{
  vst2q_s32 ((gint32 *) (gpointer) dst, ((int32x4x2_t) { { a, b } }));
}

static inline void
vec_store_bytes (guint8 *dst, VecI a)
{
  for (guint i = 0; i < LANES; i++)
    dst[i] = (guint8) a[i];
}

static inline VecF
vec_min (VecF a, VecF b)
{
  return vec_select_less (a, b, a, b);
}

static inline VecF
vec_max (VecF a, VecF b)
{
  return vec_select_less (b, a, a, b);
}

static inline VecI
vec_max_int (VecI a, VecI b)
{
  return vmaxq_s32 (a, b);
}

static inline VecI
vec_min_int (VecI a, VecI b)
{
  return vminq_s32 (a, b);
}

static inline VecF
vec_of_int (VecI a)
{
  return vcvtq_f32_s32 (a);
}

static inline VecF
vec_set (float x)
{
  return vdupq_n_f32 (x);
}

static inline void
vec_transpose_four (VecI v[4])
{
  int32x4x2_t low = vzipq_s32 (v[0], v[2]), high = vzipq_s32 (v[1], v[3]);
  int32x4x2_t first = vzipq_s32 (low.val[0], high.val[0]), second = vzipq_s32 (low.val[1], high.val[1]);

  v[0] = first.val[0];
  v[1] = first.val[1];
  v[2] = second.val[0];
  v[3] = second.val[1];
}

static inline void
vec_load_columns (VecI v[8], const guint8 *src, gsize step, gboolean f16)
{
  for (guint half = 0; half < 2; half++)
    {
      for (guint b = 0; b < 4; b++)
        {
          const guint8 *at = src + b * step + half * (f16 ? 8 : 16);

          v[4 * half + b] = f16 ? (VecI) vcvt_f32_f16 (vreinterpret_f16_u8 (vld1_u8 (at)))
                                : (VecI) vreinterpretq_s32_u8 (vld1q_u8 (at));
        }
      vec_transpose_four (v + 4 * half);
    }
}
#endif

#if QCONV_VECTOR >= 256
static inline VecF
vec_min (VecF a, VecF b)
{
  return VEC (min_ps) (a, b);
}

static inline VecF
vec_max (VecF a, VecF b)
{
  return VEC (max_ps) (a, b);
}

static inline VecI
vec_max_int (VecI a, VecI b)
{
  return (VecI) VEC (max_epi32) ((VecRaw) a, (VecRaw) b);
}

static inline VecI
vec_min_int (VecI a, VecI b)
{
  return (VecI) VEC (min_epi32) ((VecRaw) a, (VecRaw) b);
}

static inline VecF
vec_of_int (VecI a)
{
  return VEC (cvtepi32_ps) ((VecRaw) a);
}

static inline VecF
vec_set (float x)
{
  return VEC (set1_ps) (x);
}

/* Swaps rows and columns of every 8 by 8 words: rows of 256 bits */
static inline void
vec_transpose (VecRaw v[8])
{
  VecRaw a[8], b[8];

  for (guint i = 0; i < 4; i++)
    {
      a[2 * i] = VEC (unpacklo_epi32) (v[2 * i], v[2 * i + 1]);
      a[2 * i + 1] = VEC (unpackhi_epi32) (v[2 * i], v[2 * i + 1]);
    }
  for (guint i = 0; i < 2; i++)
    for (guint j = 0; j < 2; j++)
      {
        b[4 * i + 2 * j] = VEC (unpacklo_epi64) (a[4 * i + j], a[4 * i + 2 + j]);
        b[4 * i + 2 * j + 1] = VEC (unpackhi_epi64) (a[4 * i + j], a[4 * i + 2 + j]);
      }
  for (guint i = 0; i < 4; i++)
    {
      v[i] = vec_low_halves (b[i], b[i + 4]);
      v[i + 4] = vec_high_halves (b[i], b[i + 4]);
    }
}

/* Sets v[i] to word i of every block, or of its F16, widened. Blocks are @step bytes apart */
static inline void
vec_load_columns (VecI v[8], const guint8 *src, gsize step, gboolean f16)
{
  VecRaw rows[8];

  for (guint b = 0; b < 8; b++)
    rows[b] = f16 ? vec_load_f16 (src + b * step, step) : vec_load_words (src + b * step, step);
  vec_transpose (rows);
  for (guint i = 0; i < 8; i++)
    v[i] = (VecI) rows[i];
}
#endif

static inline VecF
vec_abs (VecF a)
{
  return (VecF) ((VecI) a & 0x7fffffff);
}

/* Shifts without sign; >> on VecI keeps the sign */
static inline VecI
vec_shift_right (VecI a, int by)
{
  return (VecI) ((VecU) a >> (guint32) by);
}
