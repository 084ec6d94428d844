/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The component pre_quant_scale: a factor for each column. The weight was divided by it before it was quantized, and a
   loader multiplies the layer's input by it (ModelOpt: AWQ). Quantizers that have it call this. */
#pragma once
#include "qconv-quantizer.h"

#define QCONV_PRE_QUANT "pre_quant_scale"

/* Lists the component, which a source may lack. */
void qconv_pre_quant_add (const QconvLayer *layer, QconvComponents *out);
/* Multiplies the columns of the decoded floats by it, if there is one. */
gboolean qconv_pre_quant_apply (const QconvTile *t, GError **error);
