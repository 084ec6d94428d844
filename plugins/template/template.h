/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the plugin share: one table of each, and how the codes of a layer are stored. */
#pragma once
#include "qconv-plugin.h"

extern const QconvContainer template_container; /* container.c: where the tensors lie in a file */
extern const QconvReader template_reader;       /* reader.c: which tensors make a layer */
extern const QconvQuantizer template_quantizer; /* quantizer.c: the numbers */
extern const QconvWriter template_writer;       /* writer.c: which tensors a layer becomes */

/* The tensors of a layer are called after it. Codes are stored as U8, 128 higher than the component's I8 */
#define TEMPLATE_CODES ".codes"
#define TEMPLATE_SCALE ".scale"
#define TEMPLATE_CENTRE 128

/* Undoes the packing of codes; the writer names it, too */
gboolean template_load_codes (const QconvLoad *load, GError **error);
