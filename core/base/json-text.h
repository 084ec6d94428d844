/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses JSON of untrusted files. Text that would make json-glib recurse without end is refused before it is parsed. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv-types.h"

/* Returns how deep arrays and objects of @text are nested; json-glib recurses as deep */
guint qconv_json_text_depth (const char *text, gsize n);
/* Parses @n bytes of @text, which must end with NUL. QCONV_ERROR_INPUT: not JSON, or nested too deeply; the error does
   not name the text. Returns: (transfer full): an immutable node; a null node for an empty text */
JsonNode *qconv_json_text_parse (const char *text, gsize n, GError **error);
/* Parses a file. Fails with an error of GLib if it cannot be read, and with @code if it is too large or not JSON; every
   error names the file */
JsonNode *qconv_json_text_load (const char *path, QconvError code, GError **error);
/* Returns whether @o has the @member, and it is true */
gboolean qconv_json_is_true (JsonObject *o, const char *member);
