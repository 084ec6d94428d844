/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result of a keymap: each tensor of the other naming, with the rows of other tensors that make it. The mapping and
   LoRA names read it. */
#pragma once
#include "qconv-types.h"

/**
 * NamePart: rows @first, @first + @stride, … (@n of them) of tensor @name of the file. A vector has a row for each
 * item.
 *
 * @column: the first column of the rows in the new tensor; if it is not 0, the part lies to the right of the part
 *   before it
 * @skip, @width: of each row, the part has @width items from item @skip on; @width 0: all
 */
typedef struct {
  char *name;
  guint64 first, stride, n;
  guint64 column, skip, width;
} NamePart;

/**
 * NameMap: one tensor in the new naming.
 *
 * @parts: (element-type NamePart): its rows, in order; all parts have equal columns unless they lie side by side
 * @shape: its shape
 * @transposed: its rows are the columns of the tensor of its only part
 * @plus: is added to every item
 */
typedef struct {
  char *name;
  GArray *parts;
  QconvShape shape;
  gboolean transposed;
  gint64 plus;
} NameMap;
