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
  guint64 last = (load->first + load->n - 1) / AUTOAWQ_WORD, all = last - load->first / AUTOAWQ_WORD + 1;
  /* As few columns as leave room for all words, because whole columns are one read */
  guint64 height = CLAMP (QWEIGHT_SCRATCH / sizeof (guint32) / all / 2 * 2, 2, BAND);
  guint64 most = MIN (all, QWEIGHT_SCRATCH / sizeof (guint32) / height);
  g_autofree guint32 *band = g_new (guint32, (gsize) (most * height));

  for (guint64 word = load->first / AUTOAWQ_WORD; word <= last; word += most)
    for (guint64 col = 0; col < cols; col += height)
      {
        gsize n_cols = (gsize) MIN (height, cols - col), n_words = (gsize) MIN (most, last + 1 - word);

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

gsize
autoawq_gemv_scratch (const QconvTensor *t)
{
  gsize row = (gsize) (t->n_bytes / t->shape.dim[0]);

  return MAX (QWEIGHT_SCRATCH / row, 1) * row;
}

/* Calls @store for each row to load, with the bytes of the row. Rows are read as many at once as scratch holds. */
static gboolean
each_row (const QconvLoad *load, gboolean (*store) (const QconvLoad *load, const guint8 *bytes, guint64 row),
          GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 stride = t->n_bytes / t->shape.dim[0], most = MIN (autoawq_gemv_scratch (t) / stride, load->n);
  g_autofree guint8 *bytes = g_malloc ((gsize) (most * stride));

  for (guint64 at = 0; at < load->n; at += most)
    {
      guint64 n = MIN (most, load->n - at);

      if (!qconv_tensor_read (t, (load->first + at) * stride, (gsize) (n * stride), bytes, error))
        return FALSE;
      for (guint64 row = 0; row < n; row++)
        if (!store (load, bytes + row * stride, at + row))
          return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\" is no scale", t->name);
    }
  return TRUE;
}

static gboolean
store_zeros (const QconvLoad *load, const guint8 *bytes, guint64 row)
{
  guint64 groups = load->component->shape.dim[1];
  gint16 *dst = (gint16 *) load->dst + row * groups;

  for (guint64 i = 0; i < groups; i++)
    dst[i] = (gint16) (bytes[i / 2] >> i % 2 * 4 & 15);
  return TRUE;
}

gboolean
autoawq_load_gemv_zeros (const QconvLoad *load, GError **error)
{
  return each_row (load, store_zeros, error);
}

static gboolean
store_scales (const QconvLoad *load, const guint8 *bytes, guint64 row)
{
  guint64 groups = load->component->shape.dim[1];

  return qconv_floats_from (load->tensors[0]->dtype, bytes, (gsize) groups, (float *) load->dst + row * groups);
}

gboolean
autoawq_load_gemv_scales (const QconvLoad *load, GError **error)
{
  return each_row (load, store_scales, error);
}
