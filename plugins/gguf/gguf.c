/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over. */
#include "container.h"
#include "quantizers.h"
#include "reader.h"
#include "writer.h"

QCONV_PLUGIN_DEFINE (gguf, .summary = N_ ("GGUF files: plain tensors and all block types"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = GETTEXT_PACKAGE,
                     .containers = (const QconvContainer *const[]) { &qconv_gguf_container, NULL },
                     .readers = (const QconvReader *const[]) { &qconv_gguf_reader, NULL },
                     .writers = (const QconvWriter *const[]) { &qconv_gguf_writer, NULL },
                     .quantizers = qconv_gguf_quantizers)
