/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for programs: additions to JsonBuilder. Each takes the name of a member, or NULL for an element of an array. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv.h"

/* Adds null if @value is NULL */
void cli_json_string (JsonBuilder *b, const char *name, const char *value);
void cli_json_null (JsonBuilder *b, const char *name);
void cli_json_boolean (JsonBuilder *b, const char *name, gboolean value);
void cli_json_int (JsonBuilder *b, const char *name, guint64 value);
/* Adds null if @value is not finite */
void cli_json_double (JsonBuilder *b, const char *name, double value);
/* Adds an array. @texts: (element-type utf8) */
void cli_json_texts (JsonBuilder *b, const char *name, const GPtrArray *texts);
void cli_json_shape (JsonBuilder *b, const char *name, const QconvShape *shape);
/* Adds the value that @json spells, or @json itself as text if it is no JSON */
void cli_json_value (JsonBuilder *b, const char *name, const char *json);
void cli_json_variant (JsonBuilder *b, const char *name, GVariant *value);
/* Returns: (transfer full): the text of the document */
char *cli_json_text (JsonBuilder *b, gboolean pretty);
void cli_json_print (JsonBuilder *b);
/* Prints the document as one line, at once */
void cli_json_print_line (JsonBuilder *b);
