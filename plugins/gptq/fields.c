/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks codes and zero points. The load functions and the look at zero points call it. */
#include "fields.h"

#include <string.h>

/* Codes that are split into planes together */
#define PLANAR 32

guint64
gptq_words (const GptqPacking *p, guint64 n)
{
  guint64 unit = p->planar ? PLANAR : 1, width = p->word * 8;
  guint64 codes = n / unit * unit + (n % unit != 0 ? unit : 0);

  /* n * bits could overflow; 8 * width codes fill whole words */
  return codes / (8 * width) * 8 * p->bits + (codes % (8 * width) * p->bits + width - 1) / width;
}

/* Returns field @i of a little-endian string of fields of @bits bits. */
static inline guint
field (const guint8 *src, guint i, guint bits)
{
  guint at = i * bits;

  return ((guint) src[at / 8] | (guint) src[at / 8 + 1] << 8) >> at % 8 & ((1u << bits) - 1);
}

/* Adds the plane of @width bits at @src to bits @shift and up of each code. Returns the next plane. */
static const guint8 *
add_plane (const guint8 *src, guint width, guint shift, guint8 *codes)
{
  for (guint i = 0; i < PLANAR; i++)
    codes[i] = (guint8) (codes[i] | field (src, i, width) << shift);
  return src + PLANAR / 8 * width;
}

/* Unpacks PLANAR codes: planes of 4, 2 and 1 bits, as many as the bits need, the lowest bits first. */
static const guint8 *
unpack_planes (const guint8 *src, guint bits, guint8 *codes)
{
  for (guint i = 0; i < PLANAR; i++)
    codes[i] = 0;
  for (guint width = 8, shift = 0; width > 0; width /= 2)
    if ((bits & width) != 0)
      {
        src = add_plane (src, width, shift, codes);
        shift += width;
      }
  return src;
}

void
gptq_unpack (const GptqPacking *p, const guint8 *src, guint8 codes[GPTQ_RUN])
{
  if (p->bits == 8)
    memcpy (codes, src, GPTQ_RUN);
  else if (p->bits == 4)
    for (guint i = 0; i < GPTQ_RUN / 2; i++)
      {
        codes[2 * i] = src[i] & 15;
        codes[2 * i + 1] = src[i] >> 4;
      }
  else if (p->planar)
    unpack_planes (unpack_planes (src, p->bits, codes), p->bits, codes + PLANAR);
  else
    for (guint i = 0; i < GPTQ_RUN / 8; i++)
      qconv_spread_bytes (src + i * p->bits, p->bits, codes + 8 * i);
}

void
gptq_unpack_nibbles (const GptqPacking *p, const guint8 *src, guint8 nibbles[GPTQ_RUN / 2])
{
  for (guint i = 0; i < GPTQ_RUN / 16; i++)
    qconv_spread_nibbles (src + 2 * i * p->bits, p->bits, nibbles + 8 * i);
}

void
gptq_read_zeros (const GptqPacking *p, GptqZeros how, const guint8 codes[GPTQ_RUN], gint16 zeros[GPTQ_RUN])
{
  guint per_word = p->word * 8 / p->bits, carry = 0;
  gboolean carries = p->word * 8 % p->bits == 0;

  for (guint i = 0; i < GPTQ_RUN; i++)
    {
      guint zero = codes[i];

      if (how == GPTQ_ZEROS_PLUS_ONE)
        zero++;
      if (how == GPTQ_ZEROS_PACKED)
        {
          zero += 1 + (carries && i % per_word != 0 ? carry : 0);
          carry = zero >> p->bits;
          zero &= (1u << p->bits) - 1;
        }
      zeros[i] = (gint16) zero;
    }
}
