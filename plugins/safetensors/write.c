/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lays a file out: wide dtypes first, so that every tensor is aligned to its items, then by name. The bytes equal those
   of the reference serializer (tensor.rs serialize), except that metadata keys are sorted here and have no order
   there. */
#include <string.h>

#include "header.h"
#include "json-write.h"
#include "open.h"

static gint
compare_tensors (gconstpointer a, gconstpointer b)
{
  const QconvTensor *x = *(const QconvTensor *const *) a, *y = *(const QconvTensor *const *) b;
  gint first = qconv_safetensors_dtype_order (x->dtype), second = qconv_safetensors_dtype_order (y->dtype);

  return first != second ? second - first : strcmp (x->name, y->name);
}

static gboolean
check_tensor (const QconvTensor *t, GError **error)
{
  guint64 size;

  if (strcmp (t->name, "__metadata__") == 0 || !g_utf8_validate (t->name, -1, NULL))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "safetensors cannot hold a tensor of this name");
  if (qconv_safetensors_dtype_order (t->dtype) < 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "safetensors cannot hold the type %s",
                       t->type != NULL ? t->type : qconv_dtype_name (t->dtype));
  if (!qconv_safetensors_size (&t->shape, t->dtype, QCONV_ERROR_UNSUPPORTED, &size, error))
    return FALSE;
  if (size != t->n_bytes)
    return qconv_fail (error, QCONV_ERROR_BUG,
                       "planned with %" G_GUINT64_FORMAT " bytes, the shape makes %" G_GUINT64_FORMAT, t->n_bytes,
                       size);
  return TRUE;
}

static gboolean
append_metadata (GString *out, const QconvDirectory *planned, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (planned);
  const char *before = "\"__metadata__\":{";

  for (guint i = 0; keys[i] != NULL; i++)
    {
      g_autofree char *text = qconv_metadata_text (qconv_directory_metadata (planned, keys[i]));

      if (text == NULL)
        continue;
      if (!g_utf8_validate (keys[i], -1, NULL))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "metadata key \"%s\" is not UTF-8", keys[i]);
      g_string_append (out, before);
      qconv_json_append_string (out, keys[i]);
      g_string_append_c (out, ':');
      qconv_json_append_string (out, text);
      before = ",";
    }
  if (*before == ',')
    g_string_append_c (out, '}');
  return TRUE;
}

/* Appends the entry of @t. @begin: bytes from the end of the header */
static void
append_tensor (GString *out, const QconvTensor *t, guint64 begin)
{
  if (out->len > 1)
    g_string_append_c (out, ',');
  qconv_json_append_string (out, t->name);
  g_string_append_printf (out, ":{\"dtype\":\"%s\",\"shape\":[", qconv_dtype_name (t->dtype));
  for (guint i = 0; i < t->shape.rank; i++)
    g_string_append_printf (out, "%s%" G_GUINT64_FORMAT, i > 0 ? "," : "", t->shape.dim[i]);
  g_string_append_printf (out, "],\"data_offsets\":[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]}", begin,
                          begin + t->n_bytes);
}

static gboolean
append_tensors (GString *out, QconvTensor **tensors, guint n, guint64 *data_size, GError **error)
{
  guint64 end;

  *data_size = 0;
  for (guint i = 0; i < n; i++)
    {
      if (!check_tensor (tensors[i], error))
        {
          g_prefix_error (error, "tensor \"%s\": ", tensors[i]->name);
          return FALSE;
        }
      if (__builtin_add_overflow (*data_size, tensors[i]->n_bytes, &end)
          || end > G_MAXINT64 - SAFETENSORS_MAX_HEADER - 8)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the tensors are too large for one file");
      append_tensor (out, tensors[i], *data_size);
      tensors[i]->offset = *data_size;
      *data_size = end;
    }
  return TRUE;
}

gboolean
qconv_safetensors_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
                           GByteArray *header, guint64 *file_size, GError **error)
{
  g_autoptr (GString) out = g_string_new ("{");
  guint64 data_size, length;

  if (n > 0)
    qsort (tensors, n, sizeof *tensors, compare_tensors);
  if (!append_metadata (out, planned, error) || !append_tensors (out, tensors, n, &data_size, error))
    return FALSE;
  g_string_append_c (out, '}');
  while (out->len % 8 != 0)
    g_string_append_c (out, ' ');
  if (out->len > SAFETENSORS_MAX_HEADER)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "header too large: %" G_GSIZE_FORMAT " bytes, limit %d",
                       out->len, SAFETENSORS_MAX_HEADER);
  length = GUINT64_TO_LE ((guint64) out->len);
  g_byte_array_append (header, (const guint8 *) &length, sizeof length);
  g_byte_array_append (header, (const guint8 *) out->str, (guint) out->len);
  for (guint i = 0; i < n; i++)
    tensors[i]->offset += 8 + out->len;
  *file_size = 8 + out->len + data_size;
  return TRUE;
}
