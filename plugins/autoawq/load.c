/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions that the reader binds. A word of the packing GEMM holds a column of eight rows of the weight, in an
   order of its own; the packing GEMV has rows as the scheme has them. */
#include <string.h>

#include "autoawq.h"
#include "qconv-numbers.h"

/* Columns that are loaded at once; words of a band for them */
#define BAND 64

/* Returns the lowest bit of code @i of a word: 0 4 1 5 2 6 3 7 (AutoAWQ: awq/utils/packing_utils.py AWQ_REVERSE_ORDER).
 */
static inline guint
shift_of (guint i)
{
  return 4 * (i / 2 + i % 2 * 4);
}

/* Words of some columns: those of even columns, and those of odd ones */
typedef struct {
  guint32 even[BAND / 2], odd[BAND / 2];
} Words;

/* Takes column @c of @n rows of words, @step apart. */
static void
gather (const guint32 *words, gsize step, gsize n, Words *w)
{
  for (gsize i = 0; i < n; i += 2)
    {
      w->even[i / 2] = GUINT32_FROM_LE (words[i * step]);
      w->odd[i / 2] = i + 1 < n ? GUINT32_FROM_LE (words[(i + 1) * step]) : 0;
    }
}

/* Stores the codes of one row of the weight as QCONV_U4. @i: its place in the words */
static void
store_row (const Words *w, guint i, guint8 *dst, gsize n_bytes)
{
  guint shift = shift_of (i);

  for (gsize k = 0; k < n_bytes; k++)
    dst[k] = (guint8) ((w->even[k] >> shift & 15) | (w->odd[k] >> shift & 15) << 4);
}

gboolean
autoawq_load_gemm_codes (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 cols = load->layer->cols, stride = cols / 2 + cols % 2, across = t->shape.dim[1];
  guint64 most = QWEIGHT_SCRATCH / (BAND * sizeof (guint32)), last = (load->first + load->n - 1) / AUTOAWQ_WORD;
  g_autofree guint32 *band = g_new (guint32, (gsize) MIN (most, last - load->first / AUTOAWQ_WORD + 1) * BAND);

  for (guint64 word = load->first / AUTOAWQ_WORD; word <= last; word += most)
    for (guint64 col = 0; col < cols; col += BAND)
      {
        gsize n_cols = (gsize) MIN (BAND, cols - col), n_words = (gsize) MIN (most, last + 1 - word);

        if (!qweight_read_block (t, across * sizeof *band, col, n_cols, word * sizeof *band, n_words * sizeof *band,
                                 band, error))
          return FALSE;
        for (gsize k = 0; k < n_words; k++)
          {
            Words w;

            gather (band + k, n_words, n_cols, &w);
            for (guint i = 0; i < AUTOAWQ_WORD; i++)
              {
                guint64 row = (word + k) * AUTOAWQ_WORD + i;

                if (row >= load->first && row - load->first < load->n)
                  store_row (&w, i, (guint8 *) load->dst + (row - load->first) * stride + col / 2, (n_cols + 1) / 2);
              }
          }
      }
  return TRUE;
}

/* Words that are read at once */
#define STRETCH 1024

gboolean
autoawq_load_gemm_zeros (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 groups = load->component->shape.dim[1], last = (load->first + load->n - 1) / AUTOAWQ_WORD;
  gint16 *dst = load->dst;
  guint32 words[STRETCH];

  for (guint64 group = 0; group < groups; group++)
    for (guint64 word = load->first / AUTOAWQ_WORD; word <= last; word += STRETCH)
      {
        gsize n = (gsize) MIN (STRETCH, last + 1 - word);

        if (!qconv_tensor_read (t, (group * t->shape.dim[1] + word) * sizeof *words, n * sizeof *words, words, error))
          return FALSE;
        for (gsize i = 0; i < n * AUTOAWQ_WORD; i++)
          {
            guint64 row = word * AUTOAWQ_WORD + i;

            if (row >= load->first && row - load->first < load->n)
              dst[(row - load->first) * groups + group]
                  = (gint16) (GUINT32_FROM_LE (words[i / AUTOAWQ_WORD]) >> shift_of (i % AUTOAWQ_WORD) & 15);
          }
      }
  return TRUE;
}

gboolean
autoawq_load_gemv_codes (const QconvLoad *load, GError **error)
{
  guint64 stride = load->layer->cols / 2;

  return qconv_tensor_read (load->tensors[0], load->first * stride, (gsize) (load->n * stride), load->dst, error);
}

gboolean
autoawq_load_gemv_zeros (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 groups = load->component->shape.dim[1], stride = t->shape.dim[1] * sizeof (guint32);
  gint16 *dst = load->dst;
  guint8 bytes[STRETCH];

  for (guint64 row = 0; row < load->n; row++, dst += groups)
    for (guint64 group = 0; group < groups; group += 2 * STRETCH)
      {
        gsize n = (gsize) MIN (groups - group, 2 * STRETCH);

        if (!qconv_tensor_read (t, (load->first + row) * stride + group / 2, (n + 1) / 2, bytes, error))
          return FALSE;
        for (gsize i = 0; i < n; i++)
          dst[group + i] = (gint16) (bytes[i / 2] >> i % 2 * 4 & 15);
      }
  return TRUE;
}

gboolean
autoawq_load_gemv_scales (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  gsize item = qconv_dtype_bits (t->dtype) / 8;
  guint64 groups = load->component->shape.dim[1], stored = t->shape.dim[1];
  float *dst = load->dst, numbers[STRETCH];

  for (guint64 row = 0; row < load->n; row++, dst += groups)
    for (guint64 group = 0; group < groups; group += STRETCH)
      {
        gsize n = (gsize) MIN (groups - group, STRETCH);

        if (!qconv_tensor_read (t, ((load->first + row) * stored + group) * item, n * item, numbers, error))
          return FALSE;
        if (!qconv_floats_from (t->dtype, numbers, n, dst + group))
          return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\" is no scale", t->name);
      }
  return TRUE;
}
