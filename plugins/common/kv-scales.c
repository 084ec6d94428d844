/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names are those of vLLM (model_loader/weight_utils.py maybe_remap_kv_scale_name): of compressed-tensors in the module
   of the attention, of ModelOpt in those of key and value. */
#include "kv-scales.h"

void
qconv_drop_kv_scales (const QconvDirectory *d, QconvClaims *claims)
{
  static const char *const ends[] = { ".k_scale", ".v_scale", ".q_scale" };

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      guint64 n = 0;
      guint e = 0;

      while (e < G_N_ELEMENTS (ends) && !g_str_has_suffix (t->name, ends[e]))
        e++;
      if (e == G_N_ELEMENTS (ends) || !qconv_dtype_is_float (t->dtype) || !qconv_shape_items (&t->shape, &n) || n != 1
          || qconv_claims_taken (claims, t))
        continue;
      qconv_claims_drop (claims, t);
      qconv_claims_warn_each (claims, t->name, "kv-scale", "it is dropped: it scales the KV cache, not a weight");
    }
}
