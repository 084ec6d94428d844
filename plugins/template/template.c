/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plugin's table, which core asks for by qconv_plugin_template(). To begin your own plugin, copy the folder and put
   another name for "template" everywhere. */
#include "template.h"

QCONV_PLUGIN_DEFINE (template, .summary = N_ ("Example to copy"), .license = "LGPL-2.1-or-later",
                     .containers = (const QconvContainer *const[]) { &template_container, NULL },
                     .readers = (const QconvReader *const[]) { &template_reader, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { &template_quantizer, NULL },
                     .writers = (const QconvWriter *const[]) { &template_writer, NULL })
