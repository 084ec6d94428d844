/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scans JSON token by token. qconv-json.h declares it; json-parse.c and containers call it. */
#include <string.h>

#include "qconv-json.h"

enum { MAX_DEPTH = 128 };

/**
 * QconvJsonScan: the state of a scan.
 *
 * @string: the last key or string, decoded, or the last number as written; it may hold NUL
 * @depth: number of open objects and arrays, at most MAX_DEPTH
 * @begun: the innermost object or array has an item already
 * @after_key: the next token is the value of a key
 * @in_object: for each open level whether it is an object
 */
struct _QconvJsonScan {
  GString *string;
  guint depth;
  const char *start, *p, *end;
  gboolean begun, after_key;
  gboolean in_object[MAX_DEPTH];
};

QconvJsonScan *
qconv_json_scan_new (const char *text, gsize n, GError **error)
{
  QconvJsonScan *s;
  const char *bad;

  g_return_val_if_fail (text != NULL || n == 0, NULL);
  /* The validator also stops at a NUL, which the scan then refuses, because JSON allows it nowhere */
  if (!g_utf8_validate_len (text, n, &bad) && *bad != '\0')
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "not valid UTF-8 at byte %" G_GSIZE_FORMAT, (gsize) (bad - text));
      return NULL;
    }
  s = g_new0 (QconvJsonScan, 1);
  s->string = g_string_new (NULL);
  s->start = s->p = text;
  s->end = text + n;
  return s;
}

void
qconv_json_scan_free (QconvJsonScan *s)
{
  g_string_free (s->string, TRUE);
  g_free (s);
}

gboolean
qconv_json_scan_fail (const QconvJsonScan *s, GError **error, const char *format, ...)
{
  g_autofree char *reason = NULL;
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  return qconv_fail (error, QCONV_ERROR_INPUT, "%s at byte %" G_GSIZE_FORMAT, reason, (gsize) (s->p - s->start));
}

static QconvJsonToken
fail (const QconvJsonScan *s, GError **error, const char *reason)
{
  qconv_json_scan_fail (s, error, "%s", s->p == s->end ? "JSON ends too early" : reason);
  return QCONV_JSON_ERROR;
}

static void
skip_space (QconvJsonScan *s)
{
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
    s->p++;
}

static gboolean
scan_hex4 (QconvJsonScan *s, guint32 *value)
{
  guint32 v = 0;

  if (s->end - s->p < 4)
    return FALSE;
  for (guint i = 0; i < 4; i++)
    {
      int digit = g_ascii_xdigit_value (s->p[i]);

      if (digit < 0)
        return FALSE;
      v = v << 4 | (guint32) digit;
    }
  s->p += 4;
  *value = v;
  return TRUE;
}

/* Reads what follows "\u": one character, or the first of two halves of a character outside the basic plane. */
static gboolean
scan_unicode (QconvJsonScan *s)
{
  guint32 c, low;

  if (!scan_hex4 (s, &c) || (c >= 0xdc00 && c <= 0xdfff))
    return FALSE;
  if (c >= 0xd800 && c <= 0xdbff)
    {
      if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return FALSE;
      s->p += 2;
      if (!scan_hex4 (s, &low) || low < 0xdc00 || low > 0xdfff)
        return FALSE;
      c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
  if (c == 0)
    g_string_append_c (s->string, '\0');
  else
    g_string_append_unichar (s->string, c);
  return TRUE;
}

static gboolean
scan_escape (QconvJsonScan *s)
{
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char *letter;

  s->p++;
  if (s->p == s->end || *s->p == '\0')
    return FALSE;
  if (*s->p == 'u')
    {
      s->p++;
      return scan_unicode (s);
    }
  letter = strchr (letters, *s->p);
  if (letter == NULL)
    return FALSE;
  g_string_append_c (s->string, meanings[letter - letters]);
  s->p++;
  return TRUE;
}

static QconvJsonToken
scan_string (QconvJsonScan *s, QconvJsonToken token, GError **error)
{
  g_string_truncate (s->string, 0);
  for (s->p++; s->p < s->end && *s->p != '"';)
    {
      const char *run = s->p;

      while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (guchar) *s->p >= 0x20)
        s->p++;
      g_string_append_len (s->string, run, s->p - run);
      if (s->p == s->end || *s->p == '"')
        break;
      if (*s->p != '\\')
        return fail (s, error, "control character in a string");
      if (!scan_escape (s))
        return fail (s, error, "bad escape in a string");
    }
  if (s->p == s->end)
    return fail (s, error, "");
  s->p++;
  return token;
}

static gboolean
scan_digits (QconvJsonScan *s)
{
  const char *first = s->p;

  while (s->p < s->end && g_ascii_isdigit (*s->p))
    s->p++;
  return s->p > first;
}

static QconvJsonToken
scan_number (QconvJsonScan *s, GError **error)
{
  const char *first = s->p;

  if (*s->p == '-')
    s->p++;
  if (s->p < s->end && *s->p == '0')
    s->p++;
  else if (!scan_digits (s))
    return fail (s, error, "bad number");
  if (s->p < s->end && *s->p == '.')
    {
      s->p++;
      if (!scan_digits (s))
        return fail (s, error, "bad number");
    }
  if (s->p < s->end && (*s->p == 'e' || *s->p == 'E'))
    {
      s->p++;
      if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
        s->p++;
      if (!scan_digits (s))
        return fail (s, error, "bad number");
    }
  if (s->p < s->end && g_ascii_isdigit (*s->p))
    return fail (s, error, "number with a leading zero");
  g_string_truncate (s->string, 0);
  g_string_append_len (s->string, first, s->p - first);
  return QCONV_JSON_NUMBER;
}

static QconvJsonToken
scan_word (QconvJsonScan *s, GError **error)
{
  static const struct {
    const char *word;
    QconvJsonToken token;
  } words[] = { { "true", QCONV_JSON_TRUE }, { "false", QCONV_JSON_FALSE }, { "null", QCONV_JSON_NULL } };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      gsize n = strlen (words[i].word);

      if ((gsize) (s->end - s->p) >= n && memcmp (s->p, words[i].word, n) == 0)
        {
          s->p += n;
          return words[i].token;
        }
    }
  return fail (s, error, "no JSON value");
}

static QconvJsonToken
open_nested (QconvJsonScan *s, gboolean object, GError **error)
{
  if (s->depth == MAX_DEPTH)
    return fail (s, error, "JSON nested more than 128 deep");
  s->in_object[s->depth++] = object;
  s->begun = FALSE;
  s->p++;
  return object ? QCONV_JSON_OBJECT : QCONV_JSON_ARRAY;
}

static QconvJsonToken
scan_value (QconvJsonScan *s, GError **error)
{
  s->after_key = FALSE;
  if (*s->p == '{' || *s->p == '[')
    return open_nested (s, *s->p == '{', error);
  s->begun = TRUE;
  if (*s->p == '"')
    return scan_string (s, QCONV_JSON_STRING, error);
  if (*s->p == '-' || g_ascii_isdigit (*s->p))
    return scan_number (s, error);
  return scan_word (s, error);
}

static QconvJsonToken
scan_key (QconvJsonScan *s, GError **error)
{
  if (*s->p != '"')
    return fail (s, error, "key without double quotes");
  if (scan_string (s, QCONV_JSON_KEY, error) == QCONV_JSON_ERROR)
    return QCONV_JSON_ERROR;
  skip_space (s);
  if (s->p == s->end || *s->p != ':')
    return fail (s, error, "no colon after a key");
  s->p++;
  s->after_key = TRUE;
  return QCONV_JSON_KEY;
}

QconvJsonToken
qconv_json_scan_next (QconvJsonScan *s, GError **error)
{
  gboolean object = s->depth > 0 && s->in_object[s->depth - 1];

  skip_space (s);
  if (s->depth == 0 && s->begun)
    return s->p == s->end ? QCONV_JSON_END : fail (s, error, "something follows the JSON value");
  if (s->p == s->end)
    return fail (s, error, "");
  if (s->depth == 0 || s->after_key)
    return scan_value (s, error);
  if (*s->p == (object ? '}' : ']'))
    {
      s->p++;
      s->depth--;
      s->begun = TRUE;
      return object ? QCONV_JSON_OBJECT_END : QCONV_JSON_ARRAY_END;
    }
  if (s->begun)
    {
      if (*s->p != ',')
        return fail (s, error, "no comma between JSON values");
      s->p++;
      skip_space (s);
      if (s->p == s->end)
        return fail (s, error, "");
    }
  return object ? scan_key (s, error) : scan_value (s, error);
}

gboolean
qconv_json_scan_expect (QconvJsonScan *s, QconvJsonToken token, const char *what, GError **error)
{
  QconvJsonToken found = qconv_json_scan_next (s, error);

  if (found == token)
    return TRUE;
  return found == QCONV_JSON_ERROR ? FALSE : qconv_json_scan_fail (s, error, "no %s", what);
}

gboolean
qconv_json_scan_skip (QconvJsonScan *s, QconvJsonToken token, GError **error)
{
  guint outside = s->depth - 1;

  if (token != QCONV_JSON_OBJECT && token != QCONV_JSON_ARRAY)
    return token != QCONV_JSON_ERROR;
  while (s->depth > outside)
    if (qconv_json_scan_next (s, error) == QCONV_JSON_ERROR)
      return FALSE;
  return TRUE;
}

gboolean
qconv_json_scan_uint64 (const QconvJsonScan *s, guint64 *value)
{
  guint64 v = 0;

  for (gsize i = 0; i < s->string->len; i++)
    {
      char c = s->string->str[i];

      if (!g_ascii_isdigit (c) || __builtin_mul_overflow (v, 10u, &v)
          || __builtin_add_overflow (v, (guint64) (c - '0'), &v))
        return FALSE;
    }
  *value = v;
  return TRUE;
}

gboolean
qconv_json_scan_has_nul (const QconvJsonScan *s)
{
  return memchr (s->string->str, '\0', s->string->len) != NULL;
}

const char *
qconv_json_scan_text (const QconvJsonScan *s)
{
  return s->string->str;
}
