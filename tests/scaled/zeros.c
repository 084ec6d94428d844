/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds tensors of zeros to files. */
#include "zeros.h"

void
add_zeros (Builder *b, const Zeros *tensors, guint n)
{
  for (guint i = 0; i < n && tensors[i].name != NULL; i++)
    builder_add (b, tensors[i].name, tensors[i].dtype, tensors[i].shape, NULL, tensors[i].n);
  builder_add (b, "norm.weight", "BF16", "[64]", NULL, 128);
}
