/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions that the reader binds. Codes lie across the rows: the words of one column of qweight are the codes of
   one row of the weight. */
#include <string.h>

#include "gptq.h"

/* Stores the first @n of a run of codes as the component has them: QCONV_U4, a byte each, or less their middle. */
static void
store_codes (const GptqShape *s, const guint8 *codes, gsize n, guint8 *dst)
{
  guint8 middle = (guint8) (s->centred ? 1u << (s->packing.bits - 1) : 0);

  if (s->centred || s->packing.bits > 4)
    {
      for (gsize i = 0; i < n; i++)
        dst[i] = (guint8) (codes[i] - middle);
      return;
    }
  for (gsize i = 0; i + 1 < n; i += 2)
    dst[i / 2] = (guint8) (codes[i] | codes[i + 1] << 4);
  if (n % 2 != 0)
    dst[n / 2] = codes[n - 1];
}

/* Returns whether words hold the codes as the component does. */
static gboolean
is_plain (const GptqShape *s)
{
  return !s->centred && (s->packing.bits == 4 || s->packing.bits == 8);
}

/* Returns whether words hold the codes as the component does, only with fewer bits. */
static gboolean
is_narrow (const GptqShape *s)
{
  return !s->centred && s->packing.bits < 4 && !s->packing.planar;
}

/* Returns the bytes of @n codes in the component. */
static gsize
component_bytes (const GptqShape *s, guint64 n)
{
  return (gsize) (s->centred || s->packing.bits > 4 ? n : n / 2 + n % 2);
}

/* Words of @n_rows rows of qweight for some columns, one row behind the other */
typedef struct {
  const guint8 *words;
  gsize n_rows, n_cols;
} Band;

/* Copies column @c of @band to @dst, word by word. */
static inline void
gather (const Band *band, gsize c, guint word, guint8 *dst)
{
  const guint8 *src = band->words + c * word;
  gsize step = band->n_cols * word;

  if (word == sizeof (guint32))
    for (gsize i = 0; i < band->n_rows; i++)
      memcpy (dst + i * sizeof (guint32), src + i * step, sizeof (guint32));
  else
    for (gsize i = 0; i < band->n_rows; i++)
      memcpy (dst + i * word, src + i * step, word);
}

/* Stores a run of @n columns of the weight, from @first, for the rows that @band covers. @dst: the first of these
   rows */
static void
store_band (const GptqShape *s, const Band *band, guint64 first, gsize n, guint8 *dst)
{
  const GptqPacking *p = &s->packing;
  gsize stride = component_bytes (s, s->cols), size = component_bytes (s, n);
  guint8 run[GPTQ_RUN_SIZE] = { 0 }, codes[GPTQ_RUN];

  dst += component_bytes (s, first);
  for (gsize c = 0; c < band->n_cols; c++, dst += stride)
    {
      if (is_plain (s) && band->n_rows * p->word == size)
        {
          gather (band, c, p->word, dst);
          continue;
        }
      gather (band, c, p->word, run);
      if (is_plain (s))
        memcpy (dst, run, size);
      else if (is_narrow (s))
        {
          gptq_unpack_nibbles (p, run, codes);
          memcpy (dst, codes, size);
          dst[size - 1] &= n % 2 != 0 ? 15 : 255;
        }
      else
        {
          gptq_unpack (p, run, codes);
          store_codes (s, codes, n, dst);
        }
    }
}

gboolean
gptq_load_codes (const QconvLoad *load, GError **error)
{
  const GptqShape *s = g_bytes_get_data (load->data, NULL);
  const GptqPacking *p = &s->packing;
  gsize run = GPTQ_RUN_BYTES (p->bits), most = (gsize) MIN (load->n, QWEIGHT_SCRATCH / run);
  gsize stride = component_bytes (s, s->cols);
  guint64 n_words = gptq_words (p, s->cols), words = run / p->word;
  g_autofree guint8 *band = g_malloc (most * run);

  for (guint64 at = 0; at < load->n; at += most)
    for (guint64 col = 0, word = 0; col < s->cols; col += GPTQ_RUN, word += words)
      {
        Band b = { band, (gsize) MIN (words, n_words - word), (gsize) MIN (most, load->n - at) };

        if (!qweight_read_block (load->tensors[0], s->rows * p->word, word, b.n_rows, (load->first + at) * p->word,
                                 b.n_cols * p->word, band, error))
          return FALSE;
        store_band (s, &b, col, (gsize) MIN (GPTQ_RUN, s->cols - col), (guint8 *) load->dst + at * stride);
      }
  return TRUE;
}

/* Runs that are read at once */
#define STRETCH 64

gboolean
gptq_read_stored_zeros (const QconvTensor *qzeros, const GptqShape *s, guint64 group, guint64 first, gsize n,
                        guint8 *codes, GError **error)
{
  const GptqPacking *p = &s->packing;
  gsize run = GPTQ_RUN_BYTES (p->bits);
  guint64 row_bytes = gptq_words (p, s->rows) * p->word;
  guint8 bytes[STRETCH * GPTQ_RUN_BYTES (8) + QCONV_SPREAD] = { 0 };

  for (gsize done = 0; done < n; done += STRETCH * GPTQ_RUN)
    {
      guint64 at = (first + done) / GPTQ_RUN * run;
      gsize runs = MIN ((n - done + GPTQ_RUN - 1) / GPTQ_RUN, STRETCH), size = (gsize) MIN (runs * run, row_bytes - at);

      if (!qconv_tensor_read (qzeros, group * row_bytes + at, size, bytes, error))
        return FALSE;
      for (gsize i = 0; i < runs; i++)
        gptq_unpack (p, bytes + i * run, codes + done + i * GPTQ_RUN);
    }
  return TRUE;
}

/* Rows of the weight whose zero points are read at once */
#define ZEROS (STRETCH * GPTQ_RUN)

gboolean
gptq_load_zeros (const QconvLoad *load, GError **error)
{
  const GptqShape *s = g_bytes_get_data (load->data, NULL);
  guint64 start = load->first / GPTQ_RUN * GPTQ_RUN, end = load->first + load->n;
  gint16 zeros[GPTQ_RUN], *dst = load->dst;
  guint8 codes[ZEROS];

  for (guint64 group = 0; group < s->groups; group++)
    for (guint64 at = start; at < end; at += ZEROS)
      {
        gsize n = (gsize) MIN (end - at, ZEROS);

        if (!gptq_read_stored_zeros (load->tensors[0], s, group, at, n, codes, error))
          return FALSE;
        for (gsize i = 0; i < n; i++)
          {
            if (i % GPTQ_RUN == 0)
              gptq_read_zeros (&s->packing, s->zeros, codes + i, zeros);
            if (at + i >= load->first)
              dst[(at + i - load->first) * s->groups + group] = zeros[i % GPTQ_RUN];
          }
      }
  return TRUE;
}

gboolean
gptq_load_index (const QconvLoad *load, GError **error)
{
  const GptqShape *s = g_bytes_get_data (load->data, NULL);
  gint32 *index = load->dst;

  if (!qconv_tensor_read (load->tensors[0], 0, (gsize) s->cols * sizeof *index, index, error))
    return FALSE;
  for (guint64 i = 0; i < s->cols; i++)
    index[i] = index[i] < 0 ? index[i] + (gint32) s->groups : index[i];
  return TRUE;
}
