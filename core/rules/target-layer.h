/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A layer as a scheme would have it: rules try it on, the plan takes it. */
#pragma once
#include "rules/schemes.h"

/* Returns: (transfer full): @s in @scheme, with its components; NULL if the scheme cannot hold it. @values: (nullable):
   options of the scheme for this layer; NULL: those for all layers. Parameters that nobody set follow @s if it has the
   same scheme */
Layer *qconv_target_layer (const SourceLayer *s, const Scheme *scheme, const QconvValues *values);
