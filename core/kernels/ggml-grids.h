/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The code tables of the ggml types IQ1, IQ2 and IQ3. */
#pragma once
#include <glib.h>

/**
 * QconvGgmlGrids: vectors of small integers, row = index.
 *
 * @iq1: IQ1_S and IQ1_M share it
 * @negative: for each byte of signs: -1 where the bit of an element is set, else 0
 * @even: the same for seven bits of signs; the eighth is their parity, so that an even number is negative
 */
typedef struct {
  gint8 iq2_xxs[256][8];
  gint8 iq2_xs[512][8];
  gint8 iq2_s[1024][8];
  gint8 iq3_xxs[256][4];
  gint8 iq3_s[512][4];
  gint8 iq1[2048][8];
  gint8 negative[256][8];
  gint8 even[128][8];
} QconvGgmlGrids;

/* Returns: (transfer none): unpacked by the first call; any thread may ask */
const QconvGgmlGrids *qconv_ggml_grids (void);
