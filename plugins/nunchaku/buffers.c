/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills, copies and cuts buffers, in host memory or on a device. */
#include "buffers.h"

#include <string.h>

/* Numbers of a thin matrix of a device that are in host memory at a time */
#define PIECE_ITEMS ((gsize) 1 << 17)

gboolean
nunchaku_fill (const QconvTile *t, QconvBuffer *b, float number, GError **error)
{
  float piece[4096];
  gsize n = qconv_buffer_size (b);

  for (gsize i = 0; i < G_N_ELEMENTS (piece); i++)
    piece[i] = number;
  for (gsize at = 0; at < n; at += sizeof piece)
    if (!qconv_stream_write (t->stream, b, at, MIN (n - at, sizeof piece), piece, error))
      return FALSE;
  return TRUE;
}

gboolean
nunchaku_copy (const QconvTile *t, QconvBuffer *from, QconvBuffer *to, GError **error)
{
  return qconv_stream_run (t->stream, "convert", 1, (QconvArg[]) { QCONV_BUF (from), QCONV_BUF (to) }, 2, error);
}

/* Returns items [first, first + n) of @b: in place in host memory, else a copy in @piece */
static const float *
take_items (const QconvTile *t, QconvBuffer *b, gsize first, gsize n, float *piece, GError **error)
{
  const float *items = qconv_buffer_data (b);

  if (items != NULL)
    return items + first;
  return qconv_stream_read (t->stream, b, first * sizeof *piece, n * sizeof *piece, piece, error) ? piece : NULL;
}

/* Takes rows [first, first + n), which are in @from. @piece: (nullable): PIECE_ITEMS for those of a device */
static gboolean
take_rows (const NunchakuThin *thin, gsize first, gsize n, const float *from, float *piece, GError **error)
{
  const gsize kept = MIN (thin->rank, thin->width);
  float *host = qconv_buffer_data (thin->to), *to = host != NULL ? host + first * thin->rank : piece;

  memset (to, 0, n * thin->rank * sizeof *to);
  for (gsize row = 0; row < n; row++)
    memcpy (to + row * thin->rank, from + row * thin->width, kept * sizeof *to);
  return host != NULL
         || qconv_stream_write (thin->t->stream, thin->to, first * thin->rank * sizeof *to, n * thin->rank * sizeof *to,
                                to, error);
}

/* Does the same for a transposed result, whose missing rows are zero already */
static gboolean
turn_rows (const NunchakuThin *thin, gsize first, gsize n, const float *from, float *piece, GError **error)
{
  float *host = qconv_buffer_data (thin->to);

  for (gsize k = 0; k < MIN (thin->rank, thin->width); k++)
    {
      float *to = host != NULL ? host + k * thin->rows + first : piece;

      for (gsize i = 0; i < n; i++)
        to[i] = from[i * thin->width + k];
      if (host == NULL
          && !qconv_stream_write (thin->t->stream, thin->to, (k * thin->rows + first) * sizeof *to, n * sizeof *to, to,
                                  error))
        return FALSE;
    }
  return TRUE;
}

gboolean
nunchaku_take_columns (const NunchakuThin *thin, GError **error)
{
  const gsize most = PIECE_ITEMS / MAX (thin->width, thin->rank);
  g_autofree float *pieces = qconv_buffer_data (thin->from) == NULL ? g_new (float, 2 * PIECE_ITEMS) : NULL;
  float *second = pieces != NULL ? pieces + PIECE_ITEMS : NULL;

  if (thin->transposed && thin->rank > thin->width && !nunchaku_fill (thin->t, thin->to, 0.0f, error))
    return FALSE;
  for (gsize first = 0; first < thin->rows; first += most)
    {
      gsize n = MIN (most, thin->rows - first);
      const float *from = take_items (thin->t, thin->from, first * thin->width, n * thin->width, pieces, error);

      if (from == NULL
          || !(thin->transposed ? turn_rows (thin, first, n, from, second, error)
                                : take_rows (thin, first, n, from, second, error)))
        return FALSE;
    }
  return TRUE;
}
