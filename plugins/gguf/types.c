/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of tensor types, by number and by name. */
#include "types.h"

#include <string.h>

/* clang-format off */
#define PLAIN(id, name, bytes, dtype) { id, name, 1, bytes, dtype, NULL, 0, { -1, -1 } },
#define BLOCK(id, name, scheme, items, bytes, half, second, bound)                                                     \
  { id, name, items, bytes, QCONV_OPAQUE, #scheme, bound, { half, second } },
/* clang-format on */

static const GgufType types[]
    = { PLAIN (0, "F32", 4, QCONV_F32) PLAIN (1, "F16", 2, QCONV_F16) PLAIN (24, "I8", 1, QCONV_I8)
            PLAIN (25, "I16", 2, QCONV_I16) PLAIN (26, "I32", 4, QCONV_I32) PLAIN (27, "I64", 8, QCONV_I64)
                PLAIN (28, "F64", 8, QCONV_F64) PLAIN (30, "BF16", 2, QCONV_BF16) GGUF_BLOCK_TYPES (BLOCK) };

const GgufType *
qconv_gguf_type (guint32 id)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].id == id)
      return &types[i];
  return NULL;
}

const GgufType *
qconv_gguf_type_named (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (strcmp (types[i].name, name) == 0)
      return &types[i];
  return NULL;
}

const GgufType *
qconv_gguf_type_plain (QconvDType dtype)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].dtype == dtype && dtype != QCONV_OPAQUE)
      return &types[i];
  return NULL;
}

guint64
qconv_gguf_matrices (const QconvShape *shape, guint64 cols)
{
  return shape->rank == 3 && shape->dim[0] > 0 && shape->dim[2] == cols ? shape->dim[0] : 1;
}
