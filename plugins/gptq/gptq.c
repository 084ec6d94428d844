/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of the plugin gptq. */
#include "gptq.h"

QCONV_PLUGIN_DEFINE (gptq, .summary = N_ ("GPTQ weights"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE, .readers = (const QconvReader *const[]) { &gptq_reader, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { &gptq_quantizer, NULL })
