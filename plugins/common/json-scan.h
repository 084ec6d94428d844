/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict pull parser for hostile JSON (RFC 8259): no recursion, bounded depth, numbers as written. */
#pragma once
#include <glib.h>

#define QCONV_JSON_MAX_DEPTH 128

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

/**
 * QconvJsonScan: where a scan stands. Duplicate keys are the caller's to refuse.
 *
 * @string: decoded bytes of the last key, string or number (as written); may hold NUL, so @string->len counts
 * @depth: open objects and arrays
 * @begun: something stands before the next item of the innermost object or array
 */
typedef struct {
  GString *string;
  guint depth;
  const char *start, *p, *end;
  gboolean begun, after_key;
  gboolean in_object[QCONV_JSON_MAX_DEPTH];
} QconvJsonScan;

/* @text must outlive the scan. QCONV_ERROR_INPUT: not UTF-8 */
gboolean qconv_json_scan_init (QconvJsonScan *s, const char *text, gsize n, GError **error);
void qconv_json_scan_clear (QconvJsonScan *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QconvJsonScan, qconv_json_scan_clear)

/* The next token; QCONV_JSON_ERROR with @error set: not JSON, or too deep. QCONV_JSON_END comes after one value */
QconvJsonToken qconv_json_scan_next (QconvJsonScan *s, GError **error);
/* The next token has to be @token, for which @what stands in the message */
gboolean qconv_json_scan_expect (QconvJsonScan *s, QconvJsonToken token, const char *what, GError **error);
/* Reads the rest of the value that starts with @token, the last one that was read */
gboolean qconv_json_scan_skip (QconvJsonScan *s, QconvJsonToken token, GError **error);
/* Returns: FALSE unless the last number is 0 or more, without sign, fraction and exponent, and fits @value */
gboolean qconv_json_scan_uint64 (const QconvJsonScan *s, guint64 *value);
/* Returns: whether the last string holds a NUL, which C strings cannot */
gboolean qconv_json_scan_has_nul (const QconvJsonScan *s);
/* QCONV_ERROR_INPUT with the place of the last token; returns FALSE */
gboolean qconv_json_scan_fail (const QconvJsonScan *s, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);
