/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps between the namings of a family: which rows of which tensors make the tensors of another naming. */
#pragma once
#include "qconv-types.h"

#include "families/aliases.h"
#include "families/dims.h"
#include "families/family.h"
#include "families/tensor-names.h"

/* Rows first, first + stride, … (n of them) of tensor @name of the file. A vector has a row for each item */
typedef struct {
  char *name;
  guint64 first, stride, n;
} NamePart;

/**
 * NameMap: one tensor in the naming that is mapped to.
 *
 * @parts: (element-type NamePart): its rows, in order
 * @shape: its shape
 * @transposed: its rows are the columns of the one part's tensor
 */
typedef struct {
  char *name;
  GArray *parts;
  QconvShape shape;
  gboolean transposed;
} NameMap;

/* @variant, @dims: (nullable): of the original naming; without @dims row counts come from the shapes of @names, and the
   order of rows within heads stays as it is. One of @from and @to is "original".
   @architecture: (nullable): what the file says of itself; where rows are permuted in files of some architectures only
   Returns: (transfer container) (element-type NameMap): in the order of the family's rules. Tensors that no rule makes
   are not in it, nor those of which all sources are missing; where only some are, it is an error */
GPtrArray *qconv_keymap_of (const Family *f, const char *variant, const char *architecture, const Dims *dims,
                            const Names *names, const char *from, const char *to, GError **error);
/* The same with an unknown architecture */
GPtrArray *qconv_keymap (const Family *f, const char *variant, const Dims *dims, const Names *names, const char *from,
                         const char *to, GError **error);
/* Returns: (transfer none) (nullable): the first tensor that has no part in @maps, which were made with the same
   arguments, though they move such names, if only with other numbers */
const char *qconv_keymap_stray (const Family *f, const char *variant, const Names *names, const char *from,
                                const char *to, const GPtrArray *maps);
/* Returns: whether the family can map between @from and @to; @variant: (nullable) */
gboolean qconv_keymap_exists (const Family *f, const char *variant, const char *from, const char *to);
