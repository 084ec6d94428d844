/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a marker. The writer makes markers with it; claims hand their keys on as such text. */
#pragma once
#include "marker.h"

/* Appends @node as Python's json.dumps() spaces it. */
void comfy_append_json (GString *out, JsonNode *node);
/* Appends the marker of @layer without the closing brace: keys that follow from the layer, then keys that move with it.
   @values: of the writer */
void comfy_append_marker (GString *out, const ComfyFormat *format, const QconvLayer *layer, const QconvValues *values);
/* Returns: (transfer none) (nullable): the format that the marker of the source names, if @layer moves. */
const ComfyFormat *comfy_format_before (const QconvLayer *layer);
