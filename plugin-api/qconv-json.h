/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads JSON of untrusted files (RFC 8259, strictly): as one tree, or token by token for texts as large as the headers
   of files. A plugin needs no JSON library. Reading never recurses. It refuses text that is not UTF-8, comments,
   anything behind the value, and nesting of more than 128 levels. Errors are QCONV_ERROR_INPUT and give the byte. */
#pragma once
#include "qconv-types.h"
G_BEGIN_DECLS

/* Reads the @n bytes at @text, which need not end with NUL, as one value:

     object   a{sv}, members in the order of the text      number   x (int64) if written without point and exponent,
     array    av                                                    else d
     string   s                                            true     b, also false
     null     mv without a value

   Also refused are a key that its object has already, NUL in keys and strings, a whole number that does not fit int64,
   and a number beyond double.
   Example: if the text is {"shape": [2, 3]}, g_variant_lookup_value (v, "shape", G_VARIANT_TYPE ("av")) returns the
   array. A lookup with another type returns NULL. v is an object if g_variant_is_of_type (v, G_VARIANT_TYPE_VARDICT);
   an empty one is, too.
   Returns: (transfer full): the value, not floating */
QCONV_API GVariant *qconv_json_parse (const char *text, gsize n, GError **error);

/* ---- Token by token ---- */

typedef enum {
  QCONV_JSON_ERROR,
  QCONV_JSON_OBJECT, /* { */
  QCONV_JSON_OBJECT_END,
  QCONV_JSON_ARRAY, /* [ */
  QCONV_JSON_ARRAY_END,
  QCONV_JSON_KEY,
  QCONV_JSON_STRING,
  QCONV_JSON_NUMBER,
  QCONV_JSON_TRUE,
  QCONV_JSON_FALSE,
  QCONV_JSON_NULL,
  QCONV_JSON_END, /* of the text */
} QconvJsonToken;

typedef struct _QconvJsonScan QconvJsonScan; /* a text that is being read */
/* Starts to read the @n bytes at @text, which must outlive the scan. The caller must refuse duplicate keys itself.
   Returns: (transfer full): the scan, or NULL with @error if the text is not UTF-8. */
QCONV_API QconvJsonScan *qconv_json_scan_new (const char *text, gsize n, GError **error);
QCONV_API void qconv_json_scan_free (QconvJsonScan *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvJsonScan, qconv_json_scan_free)
/* Returns the next token: QCONV_JSON_END after one value, or QCONV_JSON_ERROR with @error if the text is not JSON or
   too deep. */
QCONV_API QconvJsonToken qconv_json_scan_next (QconvJsonScan *s, GError **error);
/* Reads the next token. Fails unless it is @token, which the message calls @what ("no WHAT at byte 12"). */
QCONV_API gboolean qconv_json_scan_expect (QconvJsonScan *s, QconvJsonToken token, const char *what, GError **error);
/* Reads the rest of the value whose first token, @token, was read last. */
QCONV_API gboolean qconv_json_scan_skip (QconvJsonScan *s, QconvJsonToken token, GError **error);
/* Returns: (transfer none): the last key or string, decoded, or the last number as written; valid until the next token.
   It ends with a NUL and may have more in it: see qconv_json_scan_has_nul(). */
QCONV_API const char *qconv_json_scan_text (const QconvJsonScan *s);
/* Returns whether the last key or string has a NUL in it. */
QCONV_API gboolean qconv_json_scan_has_nul (const QconvJsonScan *s);
/* Sets @value to the last number. Returns FALSE if it has a sign, fraction or exponent, or does not fit. */
QCONV_API gboolean qconv_json_scan_uint64 (const QconvJsonScan *s, guint64 *value);
/* Sets @error to QCONV_ERROR_INPUT with the byte behind the last token, and returns FALSE. */
QCONV_API gboolean qconv_json_scan_fail (const QconvJsonScan *s, GError **error, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
G_END_DECLS
