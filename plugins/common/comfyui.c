/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types of kept tensors that ComfyUI loads. */
#include "comfyui.h"

gboolean
qconv_comfyui_knows (QconvDType dtype)
{
  return dtype != QCONV_OPAQUE && dtype != QCONV_F8_E8M0 && dtype < QCONV_U4;
}

gboolean
qconv_comfyui_keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error)
{
  QconvPlanned planned = { .dtype = tensor->dtype, .shape = tensor->shape, .from = "weight" };

  if (!qconv_comfyui_knows (tensor->dtype))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\" is %s, a type that ComfyUI does not load",
                       tensor->name, qconv_dtype_name (tensor->dtype));
  return qconv_output_add (o, tensor, "", &planned, error);
}
