/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "Double quantization": the distances of absmax from their mean become bytes, with a largest distance for 256 of them
   (bitsandbytes: functional.py quantize_4bit, create_dynamic_map; backends/default/ops.py quantize_blockwise). */
#include "nf4.h"

#include <math.h>
#include <stdlib.h>

#define SMALLEST_DIVISOR 1e-38f
#define PIECE (32 * NF4_NESTED_BLOCK) /* absmax that are decoded at once */

static int
compare_floats (const void *a, const void *b)
{
  float x = *(const float *) a, y = *(const float *) b;

  return (x > y) - (x < y);
}

/* Returns border @i of @n even cells between 0.1 and 1, computed from the nearer end and rounded once, as
   torch.linspace() does. */
static float
border_of_cell (guint i, guint n)
{
  const float low = 0.1f, high = 1.0f, step = (high - low) / (float) n;

  if (i < (n + 1) / 2)
    return (float) ((double) low + (double) step * i);
  return (float) ((double) high - (double) step * (n - i));
}

/* Fills the map: 0, 1, and with both signs the middles of 1, 2, 4 … 64 cells times 10^-6, 10^-5 … 1. */
static void
fill_map (float map[NF4_MAP])
{
  static const float powers[] = { 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f };
  guint n = 0;

  map[n++] = 0.0f;
  map[n++] = 1.0f;
  for (guint i = 0; i < G_N_ELEMENTS (powers); i++)
    for (guint k = 0; k < 1u << i; k++)
      {
        float middle = (border_of_cell (k, 1u << i) + border_of_cell (k + 1, 1u << i)) / 2.0f * powers[i];

        map[n++] = middle;
        map[n++] = -middle;
      }
  qsort (map, NF4_MAP, sizeof *map, compare_floats);
}

/* Returns the index of the number in @map nearest to @u, the lower one if two numbers are equally near. */
static guint8
nearest_in_map (const float map[NF4_MAP], float u)
{
  guint low = 0, high = NF4_MAP - 1;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (u > (map[middle] + map[middle + 1]) / 2.0f)
        low = middle + 1;
      else
        high = middle;
    }
  return (guint8) low;
}

void
nf4_nest_begin (const Nf4Nested *nested, double sum, guint64 n)
{
  fill_map (nested->map);
  *nested->offset = (float) (sum / (double) n);
}

void
nf4_nest_group (const Nf4Nested *nested, guint64 group, const float *absmax, guint64 n)
{
  guint8 *codes = nested->codes + group * NF4_NESTED_BLOCK;
  float top = 0.0f, inverse;

  for (guint64 i = 0; i < n; i++)
    top = MAX (top, fabsf (absmax[i] - *nested->offset));
  inverse = 1.0f / MAX (top, SMALLEST_DIVISOR);
  for (guint64 i = 0; i < n; i++)
    codes[i] = nearest_in_map (nested->map, (absmax[i] - *nested->offset) * inverse);
  nested->absmax[group] = top;
}

/* Nests @n absmax. The mean is summed up in FP64, so that the result is the nearest F32 for any @n. */
void
nf4_nest (const Nf4Nested *nested, const float *absmax, guint64 n)
{
  double sum = 0;

  for (guint64 i = 0; i < n; i++)
    sum += (double) absmax[i];
  nf4_nest_begin (nested, sum, n);
  for (guint64 first = 0; first < n; first += NF4_NESTED_BLOCK)
    nf4_nest_group (nested, first / NF4_NESTED_BLOCK, absmax + first, MIN (n - first, NF4_NESTED_BLOCK));
}

void
nf4_unnest (const Nf4Nested *nested, guint64 first, guint64 n, float *absmax)
{
  for (guint64 i = 0; i < n; i++)
    {
      float distance = nested->map[nested->codes[first + i]] * nested->absmax[(first + i) / NF4_NESTED_BLOCK];

      absmax[i] = distance + *nested->offset;
    }
}

Nf4Nested
nf4_nested_of (const QconvTile *t, gboolean source)
{
  QconvBuffer *(*component) (const QconvTile *, const char *) = source ? qconv_tile_source : qconv_tile_component;

  return (Nf4Nested) { .codes = qconv_buffer_data (component (t, "absmax")),
                       .absmax = qconv_buffer_data (component (t, "nested_absmax")),
                       .map = qconv_buffer_data (component (t, "nested_map")),
                       .offset = qconv_buffer_data (component (t, "nested_offset")) };
}

/* Reads bytes [first, first + n) of component @name */
static gboolean
read_component (const QconvTile *t, const char *name, guint64 first, gsize n, gpointer to, GError **error)
{
  return qconv_stream_read (t->stream, qconv_tile_component (t, name), (gsize) first, n, to, error);
}

/* Decodes absmax [@first, @first + @n) of the layer, at most PIECE, to @absmax. @nested: has the map and the offset,
   and room for a piece */
static gboolean
unnest_piece (const QconvTile *t, const Nf4Nested *nested, guint64 first, guint64 n, float *absmax, GError **error)
{
  const guint64 group = first / NF4_NESTED_BLOCK, groups = (first + n - 1) / NF4_NESTED_BLOCK - group + 1;
  const guint64 skip = first % NF4_NESTED_BLOCK;

  if (!read_component (t, "absmax", first, (gsize) n, nested->codes + skip, error)
      || !read_component (t, "nested_absmax", group * sizeof (float), (gsize) groups * sizeof (float), nested->absmax,
                          error))
    return FALSE;
  nf4_unnest (nested, skip, n, absmax);
  return TRUE;
}

QconvBuffer *
nf4_absmax_of_nested (const QconvTile *t, GError **error)
{
  const guint64 first = nf4_first_block (t->layer, t->first_row), n = nf4_n_blocks (t->layer, t->n_rows);
  QconvBuffer *to = qconv_tile_scratch (t, (gsize) n * sizeof (float), error);
  guint8 codes[NF4_NESTED_BLOCK + PIECE];
  float groups[PIECE / NF4_NESTED_BLOCK + 1], map[NF4_MAP], offset, absmax[PIECE];
  const Nf4Nested nested = { codes, groups, map, &offset };

  if (to == NULL || !read_component (t, "nested_map", 0, sizeof map, map, error)
      || !read_component (t, "nested_offset", 0, sizeof offset, &offset, error))
    return NULL;
  for (guint64 at = 0; at < n; at += PIECE)
    {
      guint64 some = MIN (n - at, PIECE);

      if (!unnest_piece (t, &nested, first + at, some, absmax, error)
          || !qconv_stream_write (t->stream, to, (gsize) at * sizeof (float), (gsize) some * sizeof (float), absmax,
                                  error))
        return NULL;
    }
  return to;
}
