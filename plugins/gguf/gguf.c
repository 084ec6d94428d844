/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over. */
#include "container.h"
#include "quantizers.h"
#include "reader.h"

QCONV_PLUGIN_DEFINE (gguf, .summary = N_ ("GGUF files: plain tensors and all block types, read only"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = GETTEXT_PACKAGE,
                     .containers = (const QconvContainer *const[]) { &qconv_gguf_container, NULL },
                     .readers = (const QconvReader *const[]) { &qconv_gguf_reader, NULL },
                     .quantizers = qconv_gguf_quantizers)
