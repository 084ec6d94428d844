/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounds weights to integers of 8 or 4 bits under a scale. int8.c and int4-group.c call it. */
#pragma once
#include "kernels/items/integers.h"
#include "kernels/ops.h"
#if QCONV_VECTOR == 256
#include "kernels/vector.h"
#endif

#define INTEGERS_STRETCH 512 /* codes that are packed at once */

#if QCONV_VECTOR == 256
/* Encodes the whole runs of 32 weights. Returns how many weights these are */
static inline gsize
integers_vectors (const float *x, gint8 *codes, gsize n, float scale, float lowest, float highest)
{
  const VecRaw order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  gsize i = 0;

  for (; i + 32 <= n; i += 32)
    {
      VecRaw v[4];

      for (guint k = 0; k < 4; k++)
        {
          VecF y = vec_min (_mm256_loadu_ps (x + i + 8 * k) / scale, vec_set (highest));

          /* what is below the range of 8 bits is packed to -128 */
          v[k] = _mm256_cvtps_epi32 (lowest > -128 ? vec_max (y, vec_set (lowest)) : y);
        }
      v[0] = _mm256_packs_epi16 (_mm256_packs_epi32 (v[0], v[1]), _mm256_packs_epi32 (v[2], v[3]));
      _mm256_storeu_si256 ((__m256i *) (codes + i), _mm256_permutevar8x32_epi32 (v[0], order));
    }
  return i;
}
#else
static inline gsize
integers_vectors (const float *x, gint8 *codes, gsize n, float scale, float lowest, float highest)
{
  return 0;
}
#endif

static inline void
integers_run (const float *x, gint8 *codes, gsize n, float scale, float lowest, float highest)
{
  for (gsize i = integers_vectors (x, codes, n, scale, lowest, highest); i < n; i++)
    codes[i] = integer_code (x[i], scale, lowest, highest);
}

/* Packs two codes of -7 to 7 to a byte, the first one low */
static inline void
integers_encode_int4 (const float *x, guint8 *codes, gsize n, float scale)
{
  gint8 wide[INTEGERS_STRETCH];

  for (gsize c = 0; c < n; c += INTEGERS_STRETCH)
    {
      gsize run = MIN (n - c, INTEGERS_STRETCH);

      integers_run (x + c, wide, run, scale, -7.0f, 7.0f);
      if (run % 2 != 0)
        wide[run] = 0;
      for (gsize i = 0; i < (run + 1) / 2; i++)
        codes[c / 2 + i] = (guint8) ((wide[2 * i] & 15) | (guint8) wide[2 * i + 1] << 4);
    }
}
