/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a keymap yields: which rows of which tensors make one tensor of the other naming. */
#pragma once
#include "qconv-types.h"

/* Rows @first, @first + @stride, … (@n of them) of tensor @name of the file. A vector has a row for each item. */
typedef struct {
  char *name;
  guint64 first, stride, n;
} NamePart;

/**
 * NameMap: one tensor in the naming that is mapped to.
 *
 * @parts: (element-type NamePart): its rows, in order; all parts have equal columns
 * @shape: its shape
 * @transposed: its rows are the columns of the tensor of its only part
 */
typedef struct {
  char *name;
  GArray *parts;
  QconvShape shape;
  gboolean transposed;
} NameMap;
