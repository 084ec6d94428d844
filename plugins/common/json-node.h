/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads JSON of strangers into json-glib's tree. Plugins that edit and write markers use it; others need no more than
   qconv-json.h. */
#pragma once
#include <json-glib/json-glib.h>

/* Reads @n bytes as one JSON value. Returns: (transfer full): the value. Fails as qconv_json_parse() */
JsonNode *qconv_json_node_parse (const char *text, gsize n, GError **error);
