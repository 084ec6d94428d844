/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of the plugin bnb. */
#include "bnb.h"

QCONV_PLUGIN_DEFINE (bnb, .summary = N_ ("bitsandbytes' 4-bit and 8-bit layers"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv", .readers = (const QconvReader *const[]) { &bnb_reader, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { &bnb_int8, NULL },
                     .writers = (const QconvWriter *const[]) { &bnb_writer, NULL })
