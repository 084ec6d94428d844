/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks that ComfyUI's loader can take a file. The writers comfy and legacy share it. */
#pragma once
#include "qconv-writer.h"

/* Returns whether the memory-mapped loader knows the type (ComfyUI: comfy/utils.py _TYPES). */
gboolean qconv_comfyui_knows (QconvDType dtype);
/* Plans the tensor as it is, for the hook QconvWriter.keep. Fails with QCONV_ERROR_UNSUPPORTED if ComfyUI does not know
   its type. */
gboolean qconv_comfyui_keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error);
