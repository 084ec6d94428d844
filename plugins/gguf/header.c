/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses a header of GGUF version 1 to 3 (ggml: docs/gguf.md). ggml and the specification differ in places; this
   accepts everything that is safe and occurs in real files: any order of tensors, up to 8 dimensions, no padding at the
   end. */
#include "header.h"

#include <string.h>

#include "gguf-keys.h"
#include "place.h"
#include "value.h"

#define DEFAULT_ALIGNMENT 32
#define MAX_ITEMS (G_GUINT64_CONSTANT (1) << 62)

static void
free_tensor (gpointer data)
{
  GgufTensor *t = data;

  g_free (t->name);
  g_free (t);
}

void
qconv_gguf_header_free (GgufHeader *h)
{
  g_hash_table_unref (h->metadata);
  g_ptr_array_unref (h->tensors);
  g_ptr_array_unref (h->warnings);
  g_free (h);
}

/* Reads magic and version. The file is big-endian if the low half of the version is 0. */
static gboolean
take_version (GgufCursor *c, GgufHeader *h, GError **error)
{
  char magic[4];

  if (!qconv_gguf_cursor_take (c, sizeof magic, magic, error))
    return FALSE;
  if (memcmp (magic, "GGUF", sizeof magic) != 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "not a GGUF file: it does not start with the magic bytes \"GGUF\"");
  if (!qconv_gguf_cursor_take_u32 (c, &h->version, error))
    return FALSE;
  h->big = (h->version & 0xffff) == 0;
  if (h->big)
    h->version = GUINT32_SWAP_LE_BE (h->version);
  if (h->version < 1 || h->version > 3)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "GGUF version %u is not supported, only 1 to 3", h->version);
  c->big = h->big;
  c->count_bytes = h->version == 1 ? 4 : 8;
  return TRUE;
}

static void
warn_of_value (GgufHeader *h, const char *key, guint odd)
{
  if ((odd & GGUF_VALUE_ODD_BOOL) != 0)
    g_ptr_array_add (h->warnings, g_strdup_printf ("key \"%s\": a bool that is neither 0 nor 1 is read as true", key));
  if ((odd & GGUF_VALUE_NOT_UTF8) != 0)
    g_ptr_array_add (h->warnings, g_strdup_printf ("key \"%s\": text that is not UTF-8 is kept as bytes", key));
}

/* Returns: (transfer full): a key or the name of a tensor; @what: the word for it in messages. */
static char *
take_word (GgufCursor *c, const char *what, gsize longest, GError **error)
{
  gsize n;
  g_autofree char *word = qconv_gguf_cursor_take_string (c, &n, error);

  if (word == NULL)
    return NULL;
  if (n > longest)
    qconv_fail (error, QCONV_ERROR_INPUT, "a %s of %" G_GSIZE_FORMAT " bytes is longer than %" G_GSIZE_FORMAT, what, n,
                longest);
  else if (memchr (word, '\0', n) != NULL)
    qconv_fail (error, QCONV_ERROR_INPUT, "a %s with a NUL in it", what);
  else if (!g_utf8_validate_len (word, n, NULL))
    qconv_fail (error, QCONV_ERROR_INPUT, "a %s that is not UTF-8", what);
  else
    return g_steal_pointer (&word);
  return NULL;
}

static gboolean
take_metadata (GgufCursor *c, GgufHeader *h, guint64 n, GError **error)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_autofree char *key = take_word (c, "metadata key", GGUF_MAX_KEY, error);
      GVariant *value;
      guint odd = 0;

      if (key == NULL)
        return FALSE;
      if (*key == '\0')
        return qconv_fail (error, QCONV_ERROR_INPUT, "metadata key %" G_GUINT64_FORMAT " is empty", i + 1);
      if (g_hash_table_contains (h->metadata, key))
        return qconv_fail (error, QCONV_ERROR_INPUT, "duplicate metadata key \"%s\"", key);
      value = qconv_gguf_take_value (c, &odd, error);
      if (value == NULL)
        {
          g_prefix_error (error, "key \"%s\": ", key);
          return FALSE;
        }
      warn_of_value (h, key, odd);
      g_hash_table_insert (h->metadata, g_steal_pointer (&key), value);
    }
  return TRUE;
}

gboolean
qconv_gguf_find_alignment (GVariant *value, guint32 *alignment, GError **error)
{
  *alignment = DEFAULT_ALIGNMENT;
  if (value == NULL)
    return TRUE;
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_ALIGNMENT ": the alignment is not a u32");
  *alignment = g_variant_get_uint32 (value);
  if (*alignment == 0 || (*alignment & (*alignment - 1)) != 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_ALIGNMENT ": an alignment of %u is not a power of two",
                       *alignment);
  return TRUE;
}

/* Reads the dimensions, which lie in the file in reverse order. @row: items of a row; @items: of the tensor */
static gboolean
take_shape (GgufCursor *c, QconvShape *shape, guint64 *row, guint64 *items, GError **error)
{
  guint32 n;
  gboolean empty = FALSE;

  if (!qconv_gguf_cursor_take_u32 (c, &n, error))
    return FALSE;
  if (n > GGUF_MAX_DIMS)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%u dimensions are more than the %u that qconv supports", n,
                       GGUF_MAX_DIMS);
  *shape = (QconvShape) { .rank = n };
  *row = *items = 1;
  for (guint32 i = 0; i < n; i++)
    {
      guint64 dim;

      if (!qconv_gguf_cursor_take_count (c, &dim, error))
        return FALSE;
      /* A dimension of 0 is left out of the product, because it would hide that the others are too large */
      if (dim > G_MAXINT64 || (dim > 0 && __builtin_mul_overflow (*items, dim, items)) || *items >= MAX_ITEMS)
        return qconv_fail (error, QCONV_ERROR_INPUT, "its shape has too many items");
      shape->dim[n - 1 - i] = dim;
      empty = empty || dim == 0;
      if (i == 0)
        *row = dim;
    }
  if (empty)
    *items = 0;
  return TRUE;
}

static gboolean
measure_tensor (GgufTensor *t, guint32 id, guint64 row, guint64 items, GError **error)
{
  t->type = qconv_gguf_type (id);
  if (t->type == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor type %u is not known", id);
  if (row % t->type->items != 0)
    {
      g_autofree char *shape = qconv_shape_to_string (&t->shape);

      return qconv_fail (error, QCONV_ERROR_INPUT, "rows of shape %s do not hold whole blocks of %u items (%s)", shape,
                         t->type->items, t->type->name);
    }
  if (__builtin_mul_overflow (items / t->type->items, t->type->bytes, &t->n_bytes))
    return qconv_fail (error, QCONV_ERROR_INPUT, "its shape has too many bytes");
  return TRUE;
}

static gboolean
take_tensor (GgufCursor *c, GgufTensor *t, GError **error)
{
  guint64 row = 0, items = 0;
  guint32 id;

  t->name = take_word (c, "tensor name", GGUF_MAX_NAME, error);
  if (t->name == NULL)
    return FALSE;
  if (take_shape (c, &t->shape, &row, &items, error) && qconv_gguf_cursor_take_u32 (c, &id, error)
      && qconv_gguf_cursor_take_u64 (c, &t->offset, error) && measure_tensor (t, id, row, items, error))
    return TRUE;
  g_prefix_error (error, "tensor \"%s\": ", t->name);
  return FALSE;
}

static gboolean
take_tensors (GgufCursor *c, GgufHeader *h, guint64 n, GError **error)
{
  for (guint64 i = 0; i < n; i++)
    {
      GgufTensor *t = g_new0 (GgufTensor, 1);

      g_ptr_array_add (h->tensors, t);
      if (!take_tensor (c, t, error))
        return FALSE;
    }
  return TRUE;
}

/* Reads the whole header. The file must have room for the smallest items that the counts can mean: keys of one byte
   with one byte of value, and scalars without a name. */
static gboolean
take_header (GgufCursor *c, GgufHeader *h, GError **error)
{
  guint64 n_tensors, n_keys;

  if (!take_version (c, h, error) || !qconv_gguf_cursor_take_count (c, &n_tensors, error)
      || !qconv_gguf_cursor_take_count (c, &n_keys, error)
      || !qconv_gguf_cursor_has (c, n_keys, c->count_bytes + 5, error)
      || !qconv_gguf_cursor_has (c, n_tensors, c->count_bytes + 16, error))
    return FALSE;
  return take_metadata (c, h, n_keys, error)
         && qconv_gguf_find_alignment (g_hash_table_lookup (h->metadata, GGUF_ALIGNMENT), &h->alignment, error)
         && take_tensors (c, h, n_tensors, error)
         && qconv_gguf_place_tensors (h, c->at, qconv_source_size (c->source), error);
}

GgufHeader *
qconv_gguf_header_read (QconvSource *source, GError **error)
{
  g_autoptr (GgufHeader) h = g_new0 (GgufHeader, 1);
  g_auto (GgufCursor) cursor = { 0 };

  h->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  h->tensors = g_ptr_array_new_with_free_func (free_tensor);
  h->warnings = g_ptr_array_new_with_free_func (g_free);
  qconv_gguf_cursor_init (&cursor, source);
  return take_header (&cursor, h, error) ? g_steal_pointer (&h) : NULL;
}
