/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions that the reader binds: they turn the file's tensors into components. The file stores codes as one
   array, two to a byte; the component starts a byte with every row. */
#include "bnb.h"

#include <string.h>

#define STRETCH 16384

/* Reads codes [at, at + n) of the file. @swapped: the even code is in the high half of its byte */
static gboolean
unpack_stretch (const QconvTensor *t, guint64 at, gsize n, gboolean swapped, guint8 *codes, GError **error)
{
  guint8 bytes[STRETCH / 2 + 1];
  gsize n_bytes = (gsize) ((at + n + 1) / 2 - at / 2);

  if (!qconv_tensor_read (t, at / 2, n_bytes, bytes, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    {
      gsize k = i + at % 2;

      codes[i] = bytes[k / 2] >> ((k % 2 == 0) == swapped ? 4 : 0) & 15;
    }
  return TRUE;
}

/* Loads rows with an odd number of codes: every other row starts in the middle of a byte. */
static gboolean
load_odd (const QconvLoad *load, gboolean swapped, GError **error)
{
  guint64 cols = load->component->shape.dim[1], row_bytes = cols / 2 + 1;
  guint8 codes[STRETCH];

  for (guint64 row = 0; row < load->n; row++)
    for (guint64 col = 0; col < cols; col += STRETCH)
      {
        gsize n = (gsize) MIN (cols - col, STRETCH);
        guint8 *dst = (guint8 *) load->dst + row * row_bytes + col / 2;

        if (!unpack_stretch (load->tensors[0], (load->first + row) * cols + col, n, swapped, codes, error))
          return FALSE;
        for (gsize i = 0; i < n; i++)
          dst[i / 2] = (guint8) (i % 2 == 0 ? codes[i] : dst[i / 2] | codes[i] << 4);
      }
  return TRUE;
}

static gboolean
load_codes (const QconvLoad *load, gboolean swapped, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize n = (gsize) (load->n * (cols / 2));
  guint8 *dst = load->dst;

  if (cols % 2 != 0)
    return load_odd (load, swapped, error);
  if (!qconv_tensor_read (load->tensors[0], load->first * (cols / 2), n, dst, error))
    return FALSE;
  for (gsize i = 0; swapped && i < n; i++)
    dst[i] = (guint8) (dst[i] << 4 | dst[i] >> 4);
  return TRUE;
}

gboolean
bnb_load_codes_high (const QconvLoad *load, GError **error)
{
  return load_codes (load, TRUE, error);
}

gboolean
bnb_load_codes_low (const QconvLoad *load, GError **error)
{
  return load_codes (load, FALSE, error);
}

gboolean
bnb_load_offset (const QconvLoad *load, GError **error)
{
  BnbState state;

  if (!bnb_state_parse (&state, load->tensors[0], error))
    return FALSE;
  memcpy (load->dst, &state.offset, sizeof state.offset);
  return TRUE;
}
