/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A strict pull parser for hostile JSON (RFC 8259) without recursion. Headers of safetensors and json-parse.c use
   it. */
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
 * QconvJsonScan: the state of a scan. The caller must refuse duplicate keys itself.
 *
 * @string: the last key or string, decoded, or the last number as written; it may hold NUL, so use @string->len
 * @depth: number of open objects and arrays, at most QCONV_JSON_MAX_DEPTH
 * @begun: the innermost object or array has an item already
 * @after_key: the next token is the value of a key
 * @in_object: for each open level whether it is an object
 */
typedef struct {
  GString *string;
  guint depth;
  const char *start, *p, *end;
  gboolean begun, after_key;
  gboolean in_object[QCONV_JSON_MAX_DEPTH];
} QconvJsonScan;

/* Starts a scan. @text must outlive it. Fails with QCONV_ERROR_INPUT if the text is not UTF-8. */
gboolean qconv_json_scan_init (QconvJsonScan *s, const char *text, gsize n, GError **error);
void qconv_json_scan_clear (QconvJsonScan *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QconvJsonScan, qconv_json_scan_clear)

/* Returns the next token: QCONV_JSON_END after one value, or QCONV_JSON_ERROR with @error if the text is not JSON or
   too deep. */
QconvJsonToken qconv_json_scan_next (QconvJsonScan *s, GError **error);
/* Reads the next token. Fails unless it is @token, which the message calls @what. */
gboolean qconv_json_scan_expect (QconvJsonScan *s, QconvJsonToken token, const char *what, GError **error);
/* Reads the rest of the value whose first token, @token, was read last. */
gboolean qconv_json_scan_skip (QconvJsonScan *s, QconvJsonToken token, GError **error);
/* Sets @value to the last number. Returns FALSE if it has a sign, fraction or exponent, or does not fit. */
gboolean qconv_json_scan_uint64 (const QconvJsonScan *s, guint64 *value);
/* Returns whether the last string holds a NUL. */
gboolean qconv_json_scan_has_nul (const QconvJsonScan *s);
/* Sets @error to QCONV_ERROR_INPUT with the place of the last token and returns FALSE. */
gboolean qconv_json_scan_fail (const QconvJsonScan *s, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);
