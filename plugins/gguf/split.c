/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and numbers of the parts of a split set (llama.cpp: gguf-split). */
#include "split.h"

#include <string.h>

#include "gguf-keys.h"
#include "value.h"

#define TAIL "-00001-of-00001.gguf"
#define DIGITS 5

void
qconv_gguf_split_free (GgufSplit *s)
{
  g_free (s->base);
  g_free (s);
}

/* Sets @value to the number at @key, of any integer type: splitters write u16 and i32. Leaves it if the key is
   absent. */
static gboolean
find_number (const GgufHeader *h, const char *key, guint64 *value, GError **error)
{
  GVariant *v = g_hash_table_lookup (h->metadata, key);
  gint64 number;

  if (v == NULL)
    return TRUE;
  if (!qconv_gguf_value_integer (v, &number) || number < 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s is not a number that is 0 or more", key);
  *value = (guint64) number;
  return TRUE;
}

gboolean
qconv_gguf_split_count (const GgufHeader *h, guint *count, GError **error)
{
  guint64 n = 0;

  if (!find_number (h, GGUF_SPLIT_COUNT, &n, error))
    return FALSE;
  if (n > G_MAXUINT16)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       GGUF_SPLIT_COUNT " is %" G_GUINT64_FORMAT ", more files than a split set has", n);
  *count = (guint) n;
  return TRUE;
}

static gboolean
parse_digits (const char *text, guint *number)
{
  *number = 0;
  for (guint i = 0; i < DIGITS; i++)
    {
      if (!g_ascii_isdigit (text[i]))
        return FALSE;
      *number = *number * 10 + (guint) (text[i] - '0');
    }
  return TRUE;
}

GgufSplit *
qconv_gguf_split_parse (const char *name, guint count, GError **error)
{
  gsize n = strlen (name), tail = strlen (TAIL);
  const char *p = name + (n >= tail ? n - tail : 0);
  GgufSplit *s;
  guint number = 0, of = 0;

  if (n < tail || p[0] != '-' || !parse_digits (p + 1, &number) || strncmp (p + 6, "-of-", 4) != 0
      || !parse_digits (p + 10, &of) || strcmp (p + 15, ".gguf") != 0 || of != count || number < 1 || number > count)
    {
      qconv_fail (error, QCONV_ERROR_INPUT,
                  GGUF_SPLIT_COUNT " is %u, but the file's name does not end in a number like -00001-of-%05u.gguf",
                  count, count);
      return NULL;
    }
  s = g_new (GgufSplit, 1);
  *s = (GgufSplit) { g_strndup (name, n - tail), count };
  return s;
}

char *
qconv_gguf_split_name (const GgufSplit *s, guint no)
{
  return g_strdup_printf ("%s-%05u-of-%05u.gguf", s->base, no + 1, s->count);
}

gboolean
qconv_gguf_split_check (const GgufHeader *h, const GgufSplit *s, guint no, guint64 *promised, GError **error)
{
  guint64 its_no = G_MAXUINT64;
  guint its_count = 0;

  *promised = G_MAXUINT64;
  if (!find_number (h, GGUF_SPLIT_NO, &its_no, error) || !qconv_gguf_split_count (h, &its_count, error)
      || !find_number (h, GGUF_SPLIT_TENSORS, promised, error))
    return FALSE;
  if (its_count != s->count)
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_SPLIT_COUNT " is %u, not %u", its_count, s->count);
  if (its_no == G_MAXUINT64)
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_SPLIT_NO " is missing");
  if (its_no != no)
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_SPLIT_NO " is %" G_GUINT64_FORMAT ", not %u", its_no, no);
  if (no == 0 && *promised == G_MAXUINT64)
    return qconv_fail (error, QCONV_ERROR_INPUT, GGUF_SPLIT_TENSORS " is missing");
  return TRUE;
}
