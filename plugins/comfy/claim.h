/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes claims of measured layers. The reader calls it. */
#pragma once
#include "look.h"

/* Claims the layer. @options: of the reader. Returns FALSE if neither the file nor @options decide how block scales
   lie. */
gboolean comfy_claim_layer (const ComfyLook *l, const QconvValues *options, QconvClaims *claims);
