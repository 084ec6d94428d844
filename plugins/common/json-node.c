/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes json-glib's tree of what core's strict parser read. json-glib's own parser accepts duplicates, NUL and octal
   numbers, and overflows the stack on deep nesting. */
#include "json-node.h"

#include "qconv-json.h"

JsonNode *
qconv_json_node_parse (const char *text, gsize n, GError **error)
{
  g_autoptr (GVariant) value = qconv_json_parse (text, n, error);

  return value != NULL ? json_gvariant_serialize (value) : NULL;
}
