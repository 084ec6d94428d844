/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models, LoRA files for them, and what merging makes of the two. */
#pragma once
#include "fixture.h"

/* A matrix (or with @cols 1 a vector) */
typedef struct {
  gsize rows, cols;
  float *items;
} Matrix;
Matrix *matrix_noise (gsize rows, gsize cols, guint32 seed);
void matrix_free (Matrix *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Matrix, matrix_free)

/* Puts @m into a LoRA file as F32. @shape: (nullable): other axes, as in JSON */
void lora_add (Builder *b, const char *layer, const char *suffix, const Matrix *m, const char *shape);
void lora_add_alpha (Builder *b, const char *layer, float alpha);

/* Returns: (transfer full): path of a model that the generator makes with these arguments; the same ones once only */
char *lora_model (const char *arguments);
/* Converts @model. @loras: (nullable): NULL-terminated. Returns: (transfer full): the output, opened */
QconvModel *lora_bake (const char *model, const char *target, const char *naming, const char *const *loras);
/* Returns: (transfer full): an F32 tensor that exists */
Matrix *lora_tensor (const QconvModel *m, const char *name);
/* Returns: names of tensors that differ, one a line */
char *lora_changes (const QconvModel *a, const QconvModel *b);
void matrix_assert_equal (const Matrix *a, const Matrix *b);

/* What merging promises, item by item: @w += (@scale · @up) · @down in rows [first, first + rows of @up) */
void matrix_add_product (Matrix *w, gsize first, const Matrix *up, const Matrix *down, float scale);
