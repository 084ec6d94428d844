/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON of strangers: what would make json-glib recurse without end is refused before it is parsed. */
#pragma once
#include <json-glib/json-glib.h>

/* @n: bytes of @text, which is NUL-terminated. QCONV_ERROR_INPUT if it is not JSON, QCONV_ERROR_UNSUPPORTED
   if it nests too deeply; neither names the text.
   Returns: (transfer full): never changed; null for an empty text */
JsonNode *qconv_json_text_parse (const char *text, gsize n, GError **error);
/* The same for a file; errors of GLib where it cannot be read */
JsonNode *qconv_json_text_load (const char *path, GError **error);
