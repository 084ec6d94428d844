/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <json-glib/json-glib.h>

/* Reads @n bytes of hostile JSON strictly: UTF-8, one value, depth 128, no duplicate keys, no NUL in strings, integers
   that fit gint64 and finite numbers. Returns: (transfer full): QCONV_ERROR_INPUT otherwise */
JsonNode *qconv_json_parse (const char *text, gsize n, GError **error);
