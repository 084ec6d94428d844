/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a layer in another scheme: rules try whether that is possible, the plan takes the result. */
#pragma once
#include "rules/schemes.h"

/* Returns: (transfer full): @s in @scheme, with its components; NULL if the scheme cannot hold it, without @error
   unless the quantizer broke its contract (QCONV_ERROR_BUG). @values: the options
   of the scheme for this layer; NULL: those for all layers. Parameters that nobody set follow @s if it has the same
   scheme */
Layer *qconv_target_layer (const SourceLayer *s, const Scheme *scheme, const QconvValues *values, GError **error);
/* Returns whether @scheme can hold @s. Fails with the reason of the quantizer, unless @s is no matrix of numbers */
gboolean qconv_target_takes (const SourceLayer *s, const Scheme *scheme, GError **error);
/* Returns the bits of one weight of @l, without components that belong to the whole layer */
guint qconv_target_layer_bits (const Layer *l);
