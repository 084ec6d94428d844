/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of the plugin. */
#include "nunchaku.h"

QCONV_PLUGIN_DEFINE (nunchaku, .summary = N_ ("SVDQuant weights of nunchaku: 4-bit codes beside a low-rank product"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = GETTEXT_PACKAGE,
                     .readers = (const QconvReader *const[]) { &nunchaku_reader, NULL },
                     .writers = (const QconvWriter *const[]) { &nunchaku_writer, NULL },
                     .quantizers = (const QconvQuantizer *const[]) { &nunchaku_svdq_fp4, &nunchaku_svdq_int4, NULL })
