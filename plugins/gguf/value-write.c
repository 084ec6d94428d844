/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Appends to the header that write.c makes. */
#include "value-write.h"

#include <string.h>

enum { VALUE_F32 = 6, VALUE_STRING = 8, VALUE_ARRAY = 9, VALUE_F64 = 12 };

/* The number that the format gives the type of a GVariant, and its bytes. */
static const struct {
  char type;
  guint32 id;
  guint bytes;
} kinds[] = { { 'y', 0, 1 }, { 'q', 2, 2 },  { 'n', 3, 2 },  { 'u', 4, 4 },        { 'i', 5, 4 },
              { 'b', 7, 1 }, { 't', 10, 8 }, { 'x', 11, 8 }, { 'd', VALUE_F64, 8 } };

void
qconv_gguf_append_u32 (GByteArray *out, guint32 value)
{
  guint32 le = GUINT32_TO_LE (value);

  g_byte_array_append (out, (const guint8 *) &le, sizeof le);
}

void
qconv_gguf_append_u64 (GByteArray *out, guint64 value)
{
  guint64 le = GUINT64_TO_LE (value);

  g_byte_array_append (out, (const guint8 *) &le, sizeof le);
}

void
qconv_gguf_append_text (GByteArray *out, const char *text, gsize n)
{
  qconv_gguf_append_u64 (out, n);
  g_byte_array_append (out, (const guint8 *) text, (guint) n);
}

/* Appends the low @width bytes of @value. */
static void
append_number (GByteArray *out, guint64 value, guint width)
{
  guint64 le = GUINT64_TO_LE (value);

  g_byte_array_append (out, (const guint8 *) &le, width);
}

/* Appends @n numbers of @width bytes from the memory of this machine. */
static void
append_numbers (GByteArray *out, gconstpointer data, gsize n, guint width)
{
  for (gsize i = 0; i < n; i++)
    {
      const guint8 *item = (const guint8 *) data + i * width;
      guint16 half;
      guint32 word;
      guint64 wide = *item;

      if (width == 2)
        wide = (memcpy (&half, item, width), half);
      else if (width == 4)
        wide = (memcpy (&word, item, width), word);
      else if (width == 8)
        memcpy (&wide, item, width);
      append_number (out, wide, width);
    }
}

/* Returns whether F32 holds all numbers. Metadata come from f32 nearly always. */
static gboolean
fit_f32 (const double *numbers, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if ((double) (float) numbers[i] != numbers[i] && numbers[i] == numbers[i])
      return FALSE;
  return TRUE;
}

static void
append_floats (GByteArray *out, const double *numbers, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      float item = (float) numbers[i];

      append_numbers (out, &item, 1, sizeof item);
    }
}

/* Appends the items of @array, of type @type, behind their type, and behind the number of them unless @alone. */
static gboolean
append_items (GByteArray *out, GVariant *array, char type, gboolean alone, GError **error)
{
  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++)
    if (kinds[k].type == type)
      {
        gsize n;
        gconstpointer items = g_variant_get_fixed_array (array, &n, kinds[k].bytes);
        gboolean floats = type == 'd' && fit_f32 (items, n);

        qconv_gguf_append_u32 (out, floats ? VALUE_F32 : kinds[k].id);
        if (!alone)
          qconv_gguf_append_u64 (out, n);
        if (floats)
          append_floats (out, items, n);
        else
          append_numbers (out, items, n, kinds[k].bytes);
        return TRUE;
      }
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "GGUF has no value of the type \"%s\"",
                     g_variant_get_type_string (array));
}

/* Appends one text: "s", or "ay" with a NUL behind it. */
static void
append_one_text (GByteArray *out, GVariant *text)
{
  gsize n;
  const char *bytes;

  if (g_variant_is_of_type (text, G_VARIANT_TYPE_STRING))
    {
      bytes = g_variant_get_string (text, &n);
      qconv_gguf_append_text (out, bytes, n);
      return;
    }
  bytes = g_variant_get_fixed_array (text, &n, 1);
  qconv_gguf_append_text (out, bytes, n > 0 ? n - 1 : 0);
}

static gboolean
append_array (GByteArray *out, GVariant *array, GError **error)
{
  gsize n = g_variant_n_children (array);

  qconv_gguf_append_u32 (out, VALUE_ARRAY);
  if (!g_variant_is_of_type (array, G_VARIANT_TYPE_STRING_ARRAY)
      && !g_variant_is_of_type (array, G_VARIANT_TYPE_BYTESTRING_ARRAY))
    return append_items (out, array, g_variant_get_type_string (array)[1], FALSE, error);
  qconv_gguf_append_u32 (out, VALUE_STRING);
  qconv_gguf_append_u64 (out, n);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) text = g_variant_get_child_value (array, i);

      append_one_text (out, text);
    }
  return TRUE;
}

gboolean
qconv_gguf_append_value (GByteArray *out, GVariant *value, GError **error)
{
  g_autoptr (GVariant) inner = NULL, array = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_ARRAY))
    return append_array (out, value, error);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE ("(ay)")))
    inner = g_variant_get_child_value (value, 0);
  if (inner != NULL || g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    {
      qconv_gguf_append_u32 (out, VALUE_STRING);
      append_one_text (out, inner != NULL ? inner : value);
      return TRUE;
    }
  if (!g_variant_type_is_basic (g_variant_get_type (value)))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "GGUF has no value of the type \"%s\"",
                       g_variant_get_type_string (value));
  array = g_variant_ref_sink (g_variant_new_array (NULL, &value, 1));
  return append_items (out, array, g_variant_get_type_string (value)[0], TRUE, error);
}
