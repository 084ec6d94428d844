/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the tensors that a model of a known family lacks. graph/identify.c and the identification of incomplete files
   ask. */
#pragma once
#include "families/identity.h"

/* Returns the tensors that loaders of @id's family need and that @behind lacks, in the original naming and the order of
   the family: the templates of the family, filled with the dimensions of @id. If tensors beside the missing ones show
   that a dimension is larger than @id says, such as block 7 behind a missing block 6, fills them with the larger one.
   Returns an empty list if the names cannot be mapped to the original naming.
   (transfer full) (element-type utf8) */
GPtrArray *qconv_identity_missing (const Identity *id, const Names *behind);
