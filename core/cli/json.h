/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for programs: additions to JsonBuilder. Each takes the name of a member, or NULL for an element of an array. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv.h"

/* Adds null if @value is NULL */
void cli_json_string (JsonBuilder *b, const char *name, const char *value);
void cli_json_int (JsonBuilder *b, const char *name, guint64 value);
/* Adds null if @value is not finite */
void cli_json_double (JsonBuilder *b, const char *name, double value);
void cli_json_shape (JsonBuilder *b, const char *name, const QconvShape *shape);
void cli_json_variant (JsonBuilder *b, const char *name, GVariant *value);
/* Returns: (transfer full): the text of the document */
char *cli_json_text (JsonBuilder *b, gboolean pretty);
void cli_json_print (JsonBuilder *b);
