/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the codes of the table that IQ4_NL and IQ4_XS share, for their encoder and their search. */
#pragma once
#include "kernels/codebook4.h"
#include "kernels/ggml-lanes.h"
#include "kernels/ggml-pack.h"

/* A table with the values negated. Of two values equally near, a book takes the lower one and ggml the higher one */
static inline void
iq4_make_book (Book *book)
{
  float table[16];

  for (guint i = 0; i < 16; i++)
    table[i] = -(float) qconv_ggml_iq4_values[i];
  book_init (book, table);
}

static ALWAYS_INLINE VecF
iq4_nearest (const Book *book, VecF v)
{
  return -(VecF) book_nearest (book, (BookF) -v);
}

/* Sets the codes of 32 numbers, two to a byte */
static inline void
iq4_store_codes (const Book *book, const float *x, float inverse, guint8 *dst)
{
  guint8 codes[32];

  book_find_codes (book, x, 32, -inverse, codes);
  pack_nibbles (codes, dst, 32);
}
