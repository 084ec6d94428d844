/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of rows of a model's layers, which lora-names.c makes for each name and lora-runs.c relates to each other. A
   list has stretches: a file may state any number of rows that hold nothing, so no function counts rows one by one. */
#pragma once
#include "layer/source-layer.h"

/* Rows first, first + stride … (@n of them) of @source, a layer of the model: @width items of each from item
   @skip on, or all if @width is 0. @column: the first column that they have in the list. If it is not 0, they lie to
   the right of the stretch before them, which has as many rows */
typedef struct {
  const SourceLayer *source;
  guint64 first, stride, n;
  guint64 column, skip, width;
} NamedRows;

/* Returns the items of one row of @r */
guint64 qconv_lora_rows_width (const NamedRows *r);
/* Returns the number of rows from the start of stretch @i to that of the stretch behind it, which is 0 if they lie side
   by side */
guint64 qconv_lora_rows_step (const GArray *rows, guint i);
/* Appends to @rows (element-type NamedRows) the rows of the model's layers of which @s consists. Returns FALSE if a
   part of @s is transposed */
gboolean qconv_lora_rows (const SourceLayer *s, GArray *rows);
/* Returns whether both mean the same rows in the same order, however these are cut into stretches */
gboolean qconv_lora_rows_equal (const GArray *a, const GArray *b);
/* Returns: (transfer full) (nullable): the first of @rows, @per_column for each column; NULL if there are too few */
GArray *qconv_lora_rows_first (const GArray *rows, guint64 per_column);
