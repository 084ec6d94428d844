/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ComfyUI's loader asks of any file. */
#pragma once
#include "qconv-writer.h"

/* Whether the memory-mapped loader has a name for it (ComfyUI: comfy/utils.py _TYPES) */
gboolean qconv_comfyui_knows (QconvDType dtype);
/* As QconvWriter.keep: tensors come as they are, and not all types can */
gboolean qconv_comfyui_keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error);
