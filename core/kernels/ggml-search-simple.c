/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the scales of Q8_0, Q4_0, Q5_0 and IQ4_NL blocks. ggml-encode.c calls it. */
#include "kernels/ggml-search.h"

enum { BLOCK = 32 };

/* Sets @codes to the nearest integers from @low to @high, less @low */
static inline void
find_codes (const float *x, float d, float low, float high, guint8 *codes)
{
  for (guint i = 0; i < BLOCK; i++)
    codes[i] = d != 0.0f ? (guint8) (gint) (clamp (round_even (x[i] / d), low, high) - low) : (guint8) (gint) -low;
}

/* Finds the scales of integers from @low to @high, as F16 holds them */
static ALWAYS_INLINE VecF
fit_integers (const QconvGgmlGroup *group, float low, float high, float first, float step, guint n_steps)
{
  const Grid grid = { low, high, NULL };
  VecF x[BLOCK], w[BLOCK];

  search_load (group, BLOCK, x, w);
  return lanes_half (search_scale (&grid, x, w, BLOCK, first, step, n_steps).scale);
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q8_0) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF d = fit_integers (group, -128.0f, 127.0f, 115.0f, 1.0f, 16);

  for (guint lane = 0; lane < LANES; lane++, dst += 34)
    {
      store_half (dst, d[lane]);
      find_codes (group->x + BLOCK * lane, d[lane], -128.0f, 127.0f, dst + 2);
      for (guint i = 0; i < BLOCK; i++)
        dst[2 + i] ^= 0x80;
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q4_0) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF d = fit_integers (group, -8.0f, 7.0f, 7.0f, 0.25f, 8);
  guint8 codes[BLOCK];

  for (guint lane = 0; lane < LANES; lane++, dst += 18)
    {
      store_half (dst, d[lane]);
      find_codes (group->x + BLOCK * lane, d[lane], -8.0f, 7.0f, codes);
      pack_nibbles (codes, dst + 2, BLOCK);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q5_0) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF d = fit_integers (group, -16.0f, 15.0f, 14.0f, 0.25f, 12);
  guint8 codes[BLOCK];

  for (guint lane = 0; lane < LANES; lane++, dst += 22)
    {
      store_half (dst, d[lane]);
      find_codes (group->x + BLOCK * lane, d[lane], -16.0f, 15.0f, codes);
      store_five_bits (codes, dst + 2);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_iq4_nl) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF x[BLOCK], w[BLOCK], d;
  Book book;
  const Grid grid = { .book = &book };

  iq4_make_book (&book);
  search_load (group, BLOCK, x, w);
  d = lanes_half (search_scale (&grid, x, w, BLOCK, 100.0f, 8.0f, 5).scale);
  for (guint lane = 0; lane < LANES; lane++, dst += 18)
    {
      store_half (dst, d[lane]);
      iq4_store_codes (&book, group->x + BLOCK * lane, inverse_or_zero (d[lane]), dst + 2);
    }
}
