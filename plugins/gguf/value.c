/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads metadata values as GVariants. */
#include "value.h"

#include <string.h>

enum { VALUE_I8 = 1, VALUE_F32 = 6, VALUE_BOOL = 7, VALUE_STRING = 8, VALUE_ARRAY = 9 };

/* Width in the file and type of the GVariant, by the number that the format gives the type. */
static const struct {
  guint bytes;
  const char *type;
} kinds[] = { { 1, "y" }, { 1, "n" }, { 2, "q" }, { 2, "n" }, { 4, "u" }, { 4, "i" }, { 4, "d" },
              { 1, "b" }, { 0, "s" }, { 0, "a" }, { 8, "t" }, { 8, "x" }, { 8, "d" } };

static void
swap_items (guint8 *bytes, gsize n, guint width)
{
  for (gsize i = 0; i < n; i++)
    for (guint a = 0, b = width - 1; a < b; a++, b--)
      {
        guint8 byte = bytes[i * width + a];

        bytes[i * width + a] = bytes[i * width + b];
        bytes[i * width + b] = byte;
      }
}

static gpointer
widen_i8 (const guint8 *raw, gsize n)
{
  gint16 *wide = g_new (gint16, MAX (n, 1));

  for (gsize i = 0; i < n; i++)
    wide[i] = (gint8) raw[i];
  return wide;
}

static gpointer
widen_f32 (const guint8 *raw, gsize n)
{
  double *wide = g_new (double, MAX (n, 1));

  for (gsize i = 0; i < n; i++)
    {
      float item;

      memcpy (&item, raw + i * sizeof item, sizeof item);
      wide[i] = (double) item;
    }
  return wide;
}

static void
check_booleans (guint8 *raw, gsize n, guint *odd)
{
  for (gsize i = 0; i < n; i++)
    if (raw[i] > 1)
      {
        raw[i] = 1;
        *odd |= GGUF_VALUE_ODD_BOOL;
      }
}

/* Returns: (transfer full): an array of @n numbers. */
static GVariant *
take_numbers (GgufCursor *c, guint32 kind, guint64 n, guint *odd, GError **error)
{
  guint width = kinds[kind].bytes, bytes = width;
  g_autofree guint8 *raw = NULL;
  g_autofree gpointer wide = NULL;

  if (!qconv_gguf_cursor_has (c, n, width, error))
    return NULL;
  raw = g_malloc (MAX ((gsize) n * width, 1));
  if (!qconv_gguf_cursor_take (c, (gsize) n * width, raw, error))
    return NULL;
  if (c->big != (G_BYTE_ORDER == G_BIG_ENDIAN))
    swap_items (raw, (gsize) n, width);
  if (kind == VALUE_BOOL)
    check_booleans (raw, (gsize) n, odd);
  if (kind == VALUE_I8)
    {
      wide = widen_i8 (raw, (gsize) n);
      bytes = sizeof (gint16);
    }
  if (kind == VALUE_F32)
    {
      wide = widen_f32 (raw, (gsize) n);
      bytes = sizeof (double);
    }
  return g_variant_new_fixed_array (G_VARIANT_TYPE (kinds[kind].type), wide != NULL ? wide : raw, (gsize) n, bytes);
}

/* Returns whether GVariant can hold the text. The format allows a NUL inside, GVariant does not. */
static gboolean
is_text (const char *text, gsize n, guint *odd)
{
  gboolean whole = TRUE;
  const char *end;

  while (!g_utf8_validate_len (text, n, &end))
    {
      if (*end != '\0')
        {
          *odd |= GGUF_VALUE_NOT_UTF8;
          return FALSE;
        }
      whole = FALSE;
      n -= (gsize) (end + 1 - text);
      text = end + 1;
    }
  return whole;
}

static GVariant *
take_text (GgufCursor *c, guint *odd, GError **error)
{
  gsize n;
  g_autofree char *text = qconv_gguf_cursor_take_string (c, &n, error);

  if (text == NULL)
    return NULL;
  if (is_text (text, n, odd))
    return g_variant_new_take_string (g_steal_pointer (&text));
  return g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, text, n + 1, 1));
}

static void
append_end (GByteArray *body, guint64 end, guint width)
{
  guint64 le = GUINT64_TO_LE (end);

  g_byte_array_append (body, (const guint8 *) &le, width);
}

/* Makes an array of texts in GVariant's serialised form: the bytes of all texts with a NUL behind each, then the end of
   each text. A GVariant for each word of a tokenizer would take ten times the memory. The form is the same for "as" and
   "aay". @body: (transfer full) */
static GVariant *
pack_texts (GByteArray *body, const GArray *ends, gboolean all_text)
{
  static const guint64 limits[] = { G_MAXUINT8, G_MAXUINT16, G_MAXUINT32 };
  const GVariantType *type = all_text ? G_VARIANT_TYPE_STRING_ARRAY : G_VARIANT_TYPE_BYTESTRING_ARRAY;
  guint width = 1;
  g_autoptr (GBytes) bytes = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (limits) && body->len + (guint64) ends->len * width > limits[i]; i++)
    width *= 2;
  for (guint i = 0; i < ends->len; i++)
    append_end (body, g_array_index (ends, guint64, i), width);
  bytes = g_byte_array_free_to_bytes (body);
  return g_variant_new_from_bytes (type, bytes, TRUE);
}

static GVariant *
take_texts (GgufCursor *c, guint64 n, guint *odd, GError **error)
{
  g_autoptr (GByteArray) body = g_byte_array_new ();
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (guint64));
  gboolean all_text = TRUE;

  if (!qconv_gguf_cursor_has (c, n, c->count_bytes, error))
    return NULL;
  for (guint64 i = 0; i < n; i++)
    {
      gsize length;
      g_autofree char *text = qconv_gguf_cursor_take_string (c, &length, error);
      guint64 end;

      if (text == NULL)
        return NULL;
      all_text = is_text (text, length, odd) && all_text;
      g_byte_array_append (body, (const guint8 *) text, (guint) length + 1);
      end = body->len;
      g_array_append_val (ends, end);
    }
  return pack_texts (g_steal_pointer (&body), ends, all_text);
}

static GVariant *
take_array (GgufCursor *c, guint *odd, GError **error)
{
  guint32 kind;
  guint64 n;

  if (!qconv_gguf_cursor_take_u32 (c, &kind, error) || !qconv_gguf_cursor_take_count (c, &n, error))
    return NULL;
  if (kind == VALUE_ARRAY)
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "nested array: qconv does not read arrays of arrays");
      return NULL;
    }
  if (kind >= G_N_ELEMENTS (kinds))
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "an array of unknown value type %u", kind);
      return NULL;
    }
  return kind == VALUE_STRING ? take_texts (c, n, odd, error) : take_numbers (c, kind, n, odd, error);
}

static GVariant *
take_number (GgufCursor *c, guint32 kind, guint *odd, GError **error)
{
  g_autoptr (GVariant) numbers = take_numbers (c, kind, 1, odd, error);

  return numbers != NULL ? g_variant_get_child_value (numbers, 0) : NULL;
}

GVariant *
qconv_gguf_take_value (GgufCursor *c, guint *odd, GError **error)
{
  GVariant *value;
  guint32 kind;

  if (!qconv_gguf_cursor_take_u32 (c, &kind, error))
    return NULL;
  if (kind >= G_N_ELEMENTS (kinds))
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "unknown value type %u", kind);
      return NULL;
    }
  if (kind == VALUE_STRING)
    value = take_text (c, odd, error);
  else
    value = kind == VALUE_ARRAY ? take_array (c, odd, error) : take_number (c, kind, odd, error);
  return value != NULL ? g_variant_take_ref (value) : NULL;
}

gboolean
qconv_gguf_value_integer (GVariant *value, gint64 *integer)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      *integer = g_variant_get_byte (value);
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      *integer = g_variant_get_int16 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      *integer = g_variant_get_uint16 (value);
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      *integer = g_variant_get_int32 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      *integer = g_variant_get_uint32 (value);
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      *integer = g_variant_get_int64 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      *integer = (gint64) MIN (g_variant_get_uint64 (value), G_MAXINT64);
      return g_variant_get_uint64 (value) <= G_MAXINT64;
    default:
      return FALSE;
    }
}
