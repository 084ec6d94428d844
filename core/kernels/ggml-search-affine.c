/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the scales and minima of Q4_1 and Q5_1 blocks. ggml-encode.c calls it. */
#include "kernels/ggml-search.h"

enum { BLOCK = 32 };

/* Sets @d and @m to the numbers that the blocks store */
static ALWAYS_INLINE void
fit_group (const QconvGgmlGroup *group, float top, AffineSteps steps, VecF *d, VecF *m)
{
  VecF x[BLOCK], w[BLOCK];
  AffineSearch s;

  search_load (group, BLOCK, x, w);
  s = search_affine (x, w, BLOCK, top, FALSE, steps);
  *d = lanes_half (s.scale);
  *m = lanes_half (s.low);
}

static inline void
find_codes (const float *x, float d, float m, float top, guint8 *codes)
{
  float inverse = inverse_or_zero (d);

  for (guint i = 0; i < BLOCK; i++)
    codes[i] = (guint8) (gint) clamp (round_even ((x[i] - m) * inverse), 0.0f, top);
}

/* Searches with codes up to @top from @steps on. */
static ALWAYS_INLINE void
search (const QconvGgmlGroup *group, float top, AffineSteps steps, guint8 *dst)
{
  guint8 codes[BLOCK];
  VecF d, m;

  fit_group (group, top, steps, &d, &m);
  for (guint lane = 0; lane < LANES; lane++)
    {
      float low = m[lane];

      find_codes (group->x + BLOCK * lane, d[lane], low, top, codes);
      dst = store_codes32 (codes, d[lane], &low, top > 15.0f, dst);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q4_1) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  search (group, 15.0f, (AffineSteps) { -0.05f, 0.025f, 5, 0 }, dst);
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q5_1) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  search (group, 31.0f, (AffineSteps) { -0.03f, 0.015f, 5, 0 }, dst);
}
