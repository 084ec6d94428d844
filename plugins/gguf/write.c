/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lays out a file of GGUF version 3 (ggml: docs/gguf.md): little-endian, tensors in the order of the model, each at a
   multiple of 32 bytes, or as the metadata say. */
#include "write.h"

#include <string.h>

#include "cursor.h"
#include "gguf-keys.h"
#include "header.h"
#include "types.h"
#include "value-write.h"

#define VERSION 3

/* Returns: (transfer none) (nullable): the type of @t in the file. */
static const GgufType *
type_of (const QconvTensor *t)
{
  if (t->dtype != QCONV_OPAQUE)
    return qconv_gguf_type_plain (t->dtype);
  return t->type != NULL ? qconv_gguf_type_named (t->type) : NULL;
}

/* Returns the bytes up to the next multiple of @alignment. */
static guint64
padding (guint64 at, guint32 alignment)
{
  return (alignment - at % alignment) % alignment;
}

static gboolean
append_metadata (GByteArray *out, const QconvDirectory *planned, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (planned);

  qconv_gguf_append_u64 (out, g_strv_length ((char **) keys));
  for (guint i = 0; keys[i] != NULL; i++)
    {
      if (strlen (keys[i]) > GGUF_MAX_KEY || *keys[i] == '\0')
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "GGUF cannot hold a metadata key of %" G_GSIZE_FORMAT " bytes", strlen (keys[i]));
      qconv_gguf_append_text (out, keys[i], strlen (keys[i]));
      if (!qconv_gguf_append_value (out, qconv_directory_metadata (planned, keys[i]), error))
        {
          g_prefix_error (error, "metadata key \"%s\": ", keys[i]);
          return FALSE;
        }
    }
  return TRUE;
}

/* Fails unless @t can be written as it is planned. */
static gboolean
check_tensor (const QconvTensor *t, GError **error)
{
  const GgufType *type = type_of (t);

  if (type == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "GGUF has no type for %s", qconv_dtype_name (t->dtype));
  if (strlen (t->name) > GGUF_MAX_NAME || *t->name == '\0')
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "GGUF cannot hold a name of %" G_GSIZE_FORMAT " bytes",
                       strlen (t->name));
  return t->shape.rank <= GGUF_MAX_DIMS
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%u dimensions are more than the %u of GGUF", t->shape.rank,
                        GGUF_MAX_DIMS);
}

/* Appends name, shape, type and place of @t. @offset: bytes from the start of the data */
static void
append_tensor (GByteArray *out, const QconvTensor *t, guint64 offset)
{
  qconv_gguf_append_text (out, t->name, strlen (t->name));
  qconv_gguf_append_u32 (out, t->shape.rank);
  for (guint i = t->shape.rank; i-- > 0;)
    qconv_gguf_append_u64 (out, t->shape.dim[i]);
  qconv_gguf_append_u32 (out, type_of (t)->id);
  qconv_gguf_append_u64 (out, offset);
}

/* Appends all tensors and sets their offsets from the start of the data, which has *size bytes. */
static gboolean
append_tensors (GByteArray *out, QconvTensor **tensors, guint n, guint32 alignment, guint64 *size, GError **error)
{
  *size = 0;
  for (guint i = 0; i < n; i++)
    {
      QconvTensor *t = tensors[i];

      if (!check_tensor (t, error))
        {
          g_prefix_error (error, "tensor \"%s\": ", t->name);
          return FALSE;
        }
      append_tensor (out, t, *size);
      t->offset = *size;
      if (__builtin_add_overflow (*size, t->n_bytes, size) || *size > G_MAXINT64 / 2)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the tensors are too large for one file");
      *size += padding (*size, alignment);
    }
  return TRUE;
}

gboolean
qconv_gguf_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
                    GByteArray *header, guint64 *file_size, GError **error)
{
  guint32 alignment;
  guint64 size, start;

  if (!qconv_gguf_find_alignment (qconv_directory_metadata (planned, GGUF_ALIGNMENT), &alignment, error))
    return FALSE;
  g_byte_array_append (header, (const guint8 *) "GGUF", 4);
  qconv_gguf_append_u32 (header, VERSION);
  qconv_gguf_append_u64 (header, n);
  if (!append_metadata (header, planned, error) || !append_tensors (header, tensors, n, alignment, &size, error))
    return FALSE;
  if (header->len > GGUF_MAX_HEADER)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "header too large: %u bytes, limit %u", header->len,
                       GGUF_MAX_HEADER);
  start = header->len + padding (header->len, alignment);
  for (guint i = 0; i < n; i++)
    tensors[i]->offset += start;
  *file_size = start + size;
  return TRUE;
}
