/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of the plugin autoawq. */
#include "autoawq.h"

QCONV_PLUGIN_DEFINE (autoawq, .summary = N_ ("AutoAWQ weights"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE,
                     .readers = (const QconvReader *const[]) { &autoawq_reader, NULL })
