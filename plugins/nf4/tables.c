/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of levels of the quantizers nf4, fp4 and af4. */
#include "levels.h"
#include "nf4.h"

static const float *
table_of_nf4 (guint64 block)
{
  return qconv_levels_nf4;
}

static const float *
table_of_fp4 (guint64 block)
{
  return qconv_levels_fp4;
}

/* Returns the table for a size of block, or NULL (Yoshida 2023, arXiv 2306.06965). */
static const float *
table_of_af4 (guint64 block)
{
  static const float of_32[NF4_LEVELS]
      = { 1.0f, 0.75299116f,  0.58437857f,  0.4508456f,  0.33656744f, 0.23375854f,  0.13780891f,  0.04554747f,
          0.0f, -0.05258802f, -0.15956821f, -0.2723577f, -0.3963985f, -0.54068711f, -0.72380075f, -1.0f };
  static const float of_64[NF4_LEVELS]
      = { 1.0f, 0.72424863f,  0.55496234f,  0.42563882f,  0.31675666f, 0.21961274f,  0.12934483f,  0.04273164f,
          0.0f, -0.04934812f, -0.14982478f, -0.25607552f, -0.3736951f, -0.51243739f, -0.69441008f, -1.0f };
  static const float of_128[NF4_LEVELS]
      = { 1.0f, 0.69496104f,  0.52697805f,  0.40238482f,  0.29877409f, 0.2068883f,   0.12176897f,  0.04021689f,
          0.0f, -0.04645526f, -0.14109901f, -0.24139225f, -0.3529405f, -0.48589589f, -0.66495284f, -1.0f };

  return block == 32 ? of_32 : block == 64 ? of_64 : block == 128 ? of_128 : NULL;
}

const Nf4Scheme nf4_scheme = { table_of_nf4, 0.05 };
const Nf4Scheme nf4_scheme_fp4 = { table_of_fp4, 0.15 };
const Nf4Scheme nf4_scheme_af4 = { table_of_af4, 0.05 };
