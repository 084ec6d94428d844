/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the promises of the format about the bytes: no hole, no overlap, no byte without a tensor, sizes that follow
   from the shapes. The order of the checks is that of the reference parser (safetensors: tensor.rs
   Metadata::validate). */
#include "header.h"

#include <string.h>

static gint
compare_places (gconstpointer a, gconstpointer b)
{
  const SafetensorsEntry *x = a, *y = b;

  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return x->end == y->end ? 0 : x->end < y->end ? -1 : 1;
}

gboolean
qconv_safetensors_entry_shape (const SafetensorsHeader *h, const SafetensorsEntry *e, QconvShape *shape, GError **error)
{
  if (e->rank > QCONV_MAX_RANK)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%u dimensions are more than the %d that qconv supports",
                       e->rank, QCONV_MAX_RANK);
  memset (shape, 0, sizeof *shape);
  shape->rank = e->rank;
  for (guint i = 0; i < e->rank; i++)
    shape->dim[i] = g_array_index (h->dims, guint64, e->first_dim + i);
  return TRUE;
}

gboolean
qconv_safetensors_size (const QconvShape *shape, QconvDType dtype, QconvError code, guint64 *n_bytes, GError **error)
{
  guint bits = qconv_dtype_bits (dtype);
  guint64 n_items;

  if (!qconv_shape_items (shape, &n_items) || !qconv_shape_bytes (shape, dtype, n_bytes))
    {
      g_autofree char *text = qconv_shape_to_string (shape);

      return qconv_fail (error, code, "overflow: the shape %s is too large for any file", text);
    }
  if (n_items * bits % 8 != 0)
    return qconv_fail (error, code, "%" G_GUINT64_FORMAT " items of the sub-byte dtype %s do not fill whole bytes",
                       n_items, qconv_dtype_name (dtype));
  return TRUE;
}

static gboolean
check_entry (const SafetensorsHeader *h, const SafetensorsEntry *e, guint64 previous, GError **error)
{
  QconvShape shape;
  guint64 size;

  if (e->end < e->begin)
    return qconv_fail (error, QCONV_ERROR_INPUT, "the offset of its end is smaller than that of its begin");
  if (e->begin > previous)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "hole: bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " belong to no tensor", previous,
                       e->begin);
  if (e->begin < previous)
    return qconv_fail (error, QCONV_ERROR_INPUT, "overlap: its bytes begin inside another tensor");
  if (!qconv_safetensors_entry_shape (h, e, &shape, error)
      || !qconv_safetensors_size (&shape, e->dtype, QCONV_ERROR_INPUT, &size, error))
    return FALSE;
  if (size != e->end - e->begin)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "size: the shape makes %" G_GUINT64_FORMAT " bytes, data_offsets make %" G_GUINT64_FORMAT, size,
                       e->end - e->begin);
  return TRUE;
}

gboolean
qconv_safetensors_header_check (SafetensorsHeader *h, guint64 data_size, GError **error)
{
  guint64 previous = 0;

  g_array_sort (h->entries, compare_places); /* stable: empty tensors keep the order of the header */
  for (guint i = 0; i < h->entries->len; i++)
    {
      const SafetensorsEntry *e = &g_array_index (h->entries, SafetensorsEntry, i);

      if (!check_entry (h, e, previous, error))
        {
          g_prefix_error (error, "tensor \"%s\": ", e->name);
          return FALSE;
        }
      previous = e->end;
    }
  if (previous != data_size)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "%s: the tensors have a size of %" G_GUINT64_FORMAT " bytes, the file holds %" G_GUINT64_FORMAT,
                       previous > data_size ? "truncated" : "bytes after the last tensor", previous, data_size);
  return TRUE;
}
