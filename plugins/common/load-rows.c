/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies rows of bytes for readers. */
#include "load-rows.h"

gboolean
qconv_load_rows (const QconvLoad *load, GError **error)
{
  guint64 stride = load->tensors[0]->n_bytes / load->component->shape.dim[0];

  return qconv_tensor_read (load->tensors[0], load->first * stride, (gsize) (load->n * stride), load->dst, error);
}
