/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the tensors that a model of a known family lacks. graph/identify.c and the identification of incomplete files
   ask. */
#pragma once
#include "families/identity.h"

/* Returns the tensors that loaders of @id's family need and that @behind lacks, in the naming of @id if a keymap knows
   their names there, and in the order of the family: the templates of the family, filled with the dimensions of @id. If
   tensors beside the missing ones show that a dimension is larger than @id says, such as block 7 behind a missing block
   6, fills them with the larger one.
   @stated: (nullable): numbers of blocks that the file states; larger ones than in @id count.
   Returns an empty list if the names cannot be mapped to the original naming.
   (transfer full) (element-type utf8) */
GPtrArray *qconv_identity_missing (const Identity *id, const Names *behind, const Dims *stated);
/* Returns the published variant that has the dimensions of @id, but more blocks than @id, if no variant has exactly its
   blocks; else NULL. Sets *has and *wants to the numbers of the first kind of block that differs. (transfer none) */
const char *qconv_identity_fewer_blocks (const Identity *id, gint64 *has, gint64 *wants);
