/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes models and LoRA files, merges them, and calculates the expected result. The tests of LoRA use it. */
#pragma once
#include "fixture.h"

/* A matrix, or a vector if @cols is 1 */
typedef struct {
  gsize rows, cols;
  float *items;
} Matrix;
Matrix *matrix_noise (gsize rows, gsize cols, guint32 seed);
void matrix_free (Matrix *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Matrix, matrix_free)

/* Adds @m to a LoRA file as F32. @shape: (nullable): the axes to write, as JSON; NULL: those of @m */
void lora_add (Builder *b, const char *layer, const char *suffix, const Matrix *m, const char *shape);
void lora_add_alpha (Builder *b, const char *layer, float alpha);

/* Makes a model with the generator, once for the same @arguments. Returns: (transfer full): its path */
char *lora_model (const char *arguments);
/* Converts @model and merges @loras (nullable; NULL-terminated). Returns: (transfer full): the output, opened */
QconvModel *lora_bake (const char *model, const char *target, const char *naming, const char *const *loras);
/* Reads an F32 tensor that exists. Returns: (transfer full) */
Matrix *lora_tensor (const QconvModel *m, const char *name);
/* Returns: (transfer full): the names of tensors that differ, each followed by a line feed */
char *lora_changes (const QconvModel *a, const QconvModel *b);
void matrix_assert_equal (const Matrix *a, const Matrix *b);

/* Adds (@scale · @up) · @down to @w from row @first on, in the order and the precision that merging promises */
void matrix_add_product (Matrix *w, gsize first, const Matrix *up, const Matrix *down, float scale);
