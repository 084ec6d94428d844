/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads hostile JSON into json-glib's tree. Plugins read markers and configurations with it. */
#pragma once
#include <json-glib/json-glib.h>

/* Reads @n bytes as one JSON value. Returns: (transfer full): the value. Fails with QCONV_ERROR_INPUT unless the text
   is strict JSON in UTF-8, at most 128 deep, without duplicate keys, without NUL in strings, and its numbers are finite
   or fit gint64. */
JsonNode *qconv_json_parse (const char *text, gsize n, GError **error);
