/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over. */
#include "legacy.h"

QCONV_PLUGIN_DEFINE (legacy, .summary = N_ ("scaled FP8 as older ComfyUI files have it"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = "qconv",
                     .readers = (const QconvReader *const[]) { &legacy_reader, NULL },
                     .writers = (const QconvWriter *const[]) { &legacy_writer, NULL })
