/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the places of tensors in the file, before the header is handed over. */
#include "place.h"

static gboolean
check_range (const GgufHeader *h, const GgufTensor *t, guint64 size, GError **error)
{
  guint64 room = size > h->data_start ? size - h->data_start : 0;

  if (size >= h->data_start && t->offset <= room && t->n_bytes <= room - t->offset)
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_INPUT,
                     "tensor \"%s\": the file is truncated: %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                     " of the data are past the end",
                     t->name, t->n_bytes, t->offset);
}

static gint
compare_offsets (gconstpointer a, gconstpointer b)
{
  const GgufTensor *x = *(const GgufTensor *const *) a, *y = *(const GgufTensor *const *) b;

  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Checks that no two tensors overlap; a tensor without bytes overlaps nothing. @used: the end of the last tensor */
static gboolean
check_overlaps (const GgufHeader *h, guint64 *used, GError **error)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  const GgufTensor *last = NULL;

  for (guint i = 0; i < h->tensors->len; i++)
    {
      GgufTensor *t = g_ptr_array_index (h->tensors, i);

      if (t->n_bytes > 0)
        g_ptr_array_add (sorted, t);
    }
  g_ptr_array_sort (sorted, compare_offsets);
  for (guint i = 0; i < sorted->len; i++)
    {
      const GgufTensor *t = g_ptr_array_index (sorted, i);

      if (last != NULL && t->offset < last->offset + last->n_bytes)
        return qconv_fail (error, QCONV_ERROR_INPUT, "tensors \"%s\" and \"%s\" overlap", last->name, t->name);
      last = t;
    }
  *used = last != NULL ? last->offset + last->n_bytes : 0;
  return TRUE;
}

static void
warn_of_alignment (GgufHeader *h)
{
  const GgufTensor *first = NULL;
  guint n = 0;

  for (guint i = 0; i < h->tensors->len; i++)
    {
      const GgufTensor *t = g_ptr_array_index (h->tensors, i);

      if (t->offset % h->alignment != 0 && n++ == 0)
        first = t;
    }
  if (n > 0)
    g_ptr_array_add (h->warnings, g_strdup_printf ("tensors off the alignment of %u bytes: %u, the first is \"%s\"",
                                                   h->alignment, n, first->name));
}

/* Warns of bytes behind the last tensor. Padding behind it does not count. */
static void
warn_of_trailing_bytes (GgufHeader *h, guint64 used, guint64 size)
{
  guint64 room = size > h->data_start ? size - h->data_start : 0;
  guint64 padding = (h->alignment - used % h->alignment) % h->alignment;

  if (room > used && room - used > padding)
    g_ptr_array_add (h->warnings, g_strdup_printf ("%" G_GUINT64_FORMAT " trailing bytes belong to no tensor",
                                                   room - used - padding));
}

gboolean
qconv_gguf_place_tensors (GgufHeader *h, guint64 end, guint64 size, GError **error)
{
  guint64 mask = (guint64) h->alignment - 1, used = 0;

  h->data_start = (end + mask) & ~mask;
  for (guint i = 0; i < h->tensors->len; i++)
    if (!check_range (h, g_ptr_array_index (h->tensors, i), size, error))
      return FALSE;
  if (!check_overlaps (h, &used, error))
    return FALSE;
  warn_of_alignment (h);
  warn_of_trailing_bytes (h, used, size);
  return TRUE;
}
