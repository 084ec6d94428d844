/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes IQ4_NL and IQ4_XS as ggml does: codes into a table of 16 values. ggml-encode.c calls it. */
#include "kernels/ggml-fit.h"
#include "kernels/ggml-iq4.h"

enum { BLOCK = 32, SUBS = 8 };

/* Finds the scales of 32 numbers that raise (Σ w·q·x)²/Σ w·q·q most. The first candidate puts the largest
   number on 113, the others put it near -127 */
static ALWAYS_INLINE VecF
fit_scale (const Book *book, const VecF *x, const VecF *w)
{
  VecF top = fit_largest (x, BLOCK), scale = vec_set (0.0f), best = scale;

  for (gint k = -8; k <= 7; k++)
    {
      VecF inverse = k == -8 ? 1.0f / (top / 127.0f) : (float) (k - 127) / top, qx = vec_set (0.0f), qq = qx;
      VecI better;

      for (guint i = 0; i < BLOCK; i++)
        {
          VecF q = iq4_nearest (book, inverse * x[i]);

          qx += w[i] * q * x[i];
          qq += w[i] * q * q;
        }
      better = (qq > 0.0f) & (VecI) (k == -8 ? (VecI) { 0 } == 0 : qx * qx > best * qq);
      scale = lanes_choose (better, qx / qq, scale);
      best = lanes_choose (better, qx / qq * qx, best);
    }
  return lanes_choose (vec_abs (top) < 1e-15f, vec_set (0.0f), scale);
}

/* Sets @w to x², or to importance·√(σ² + x²), σ² being twice the mean square of the @n numbers */
static ALWAYS_INLINE void
weigh (const QconvGgmlGroup *group, const VecF *x, guint n, VecF *w)
{
  VecF sum = vec_set (0.0f);

  for (guint i = 0; i < n; i++)
    {
      w[i] = x[i] * x[i];
      sum += w[i];
    }
  if (group->importance == NULL)
    return;
  sum *= 2.0f / (float) n;
  lanes_load (group->importance, n, w);
  for (guint i = 0; i < n; i++)
    w[i] *= lanes_sqrt (sum + x[i] * x[i]);
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_iq4_nl) (const QconvGgmlGroup *group, guint8 *dst)
{
  VecF x[BLOCK], w[BLOCK], scale;
  Book book;

  iq4_make_book (&book);
  lanes_load (group->x, BLOCK, x);
  weigh (group, x, BLOCK, w);
  scale = fit_scale (&book, x, w);
  for (guint lane = 0; lane < LANES; lane++, dst += 18)
    {
      store_half (dst, scale[lane]);
      iq4_store_codes (&book, group->x + BLOCK * lane, inverse_or_zero (scale[lane]), dst + 2);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_iq4_xs) (const QconvGgmlGroup *group, guint8 *dst)
{
  VecF x[QCONV_GGML_SUPER], w[QCONV_GGML_SUPER], scales[SUBS], top;
  Book book;

  iq4_make_book (&book);
  lanes_load (group->x, QCONV_GGML_SUPER, x);
  weigh (group, x, QCONV_GGML_SUPER, w);
  for (guint j = 0; j < SUBS; j++)
    scales[j] = fit_scale (&book, x + BLOCK * j, w + BLOCK * j);
  top = fit_largest (scales, SUBS);
  for (guint lane = 0; lane < LANES; lane++, dst += 136)
    {
      float d = -top[lane] / 32.0f, inverse = inverse_or_zero (d);
      guint8 stored[SUBS];

      for (guint j = 0; j < SUBS; j++)
        {
          float l = clamp (round_even (inverse * scales[j][lane]), -32.0f, 31.0f);

          stored[j] = (guint8) (gint) (l + 32.0f);
          iq4_store_codes (&book, group->x + QCONV_GGML_SUPER * lane + BLOCK * j, inverse_or_zero (d * l),
                           dst + 8 + 16 * j);
        }
      store_half (dst, d);
      pack_iq4_scales (stored, dst + 2);
    }
}
