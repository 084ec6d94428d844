/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guesses the format of a layer whose marker is blank or missing. Markers and claims of unmarked layers call it. */
#pragma once
#include "marker.h"

/* Returns: (transfer none) (nullable): the format that the types and shapes of @layer's tensors show. */
const ComfyFormat *comfy_format_guess (const QconvDirectory *d, const char *layer);
/* Sets in the empty @marker the rotation that @options name, because no tensor shows it. @options: (nullable): of the
   reader. Returns: (transfer full): the assumption, as the end of a message. */
char *comfy_guess_rotation (const ComfyFormat *f, const QconvTensor *weight, const QconvValues *options,
                            JsonObject *marker);
