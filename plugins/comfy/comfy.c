/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over. */
#include "qconv-plugin.h"

#include "reader.h"
#include "writer.h"

QCONV_PLUGIN_DEFINE (comfy, .summary = N_ ("ComfyUI's quantized checkpoints"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv", .readers = (const QconvReader *const[]) { &comfy_reader, NULL },
                     .writers = (const QconvWriter *const[]) { &comfy_writer, NULL })
