/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows the components of a scheme on a layer of sample size. The program lists them for people who write plugins. */
#include "layer/layer.h"
#include "qconv.h"
#include "registry/values.h"

enum { SMALLEST = 256, LARGEST = 4096 };

GPtrArray *
qconv_quantizer_sample (const QconvQuantizer *quantizer, guint64 *side)
{
  for (*side = SMALLEST; *side <= LARGEST; *side *= 2)
    {
      const Encoding encoding = { quantizer->id, quantizer, qconv_values_new (quantizer->options) };
      g_autoptr (Layer) l = qconv_layer_new ("sample", &encoding, QCONV_BF16, *side, *side);

      qconv_layer_settle (l);
      if (qconv_layer_ask_components (l, NULL))
        return g_ptr_array_ref (l->components);
    }
  return g_ptr_array_new ();
}
