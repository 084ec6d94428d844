/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backends and their devices, for `qconv plugins` and for the words of --device. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv.h"

/* Returns: (transfer container) (element-type utf8): the words of --device, ending with NULL */
GPtrArray *cli_device_words (void);
/* Prints the devices of all backends, the processor first */
void cli_backends_print (void);
/* Adds an object for each backend, of the form of a plugin */
void cli_backends_add_json (JsonBuilder *b);
