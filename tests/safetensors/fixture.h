/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models read from bytes or files through the container alone, and files that it lays out. */
#pragma once
#include "io/directory.h"
#include "io/source.h"

/* A model. @error: (nullable): why it could not be opened; @directory then holds what was read before */
typedef struct {
  QconvSource *source;
  QconvDirectory *directory;
  GError *error;
} Model;

/* Returns: (transfer none): the container of the plugin that is linked in. */
const QconvContainer *fixture_container (void);

Model *model_open_bytes (gconstpointer bytes, gsize n);
Model *model_open_file (const char *path);
/* Opens a file with the JSON text @header and @n_data zero bytes. */
Model *model_open_header (const char *header, gsize n_data);
void model_free (Model *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Model, model_free)

/* Asserts that the model opened without warning. */
void assert_opened (const Model *m);
/* Asserts that the model was refused and the message holds @word. */
void assert_refused (const Model *m, const char *word);
/* Returns: (transfer none): the only warning. */
const char *only_warning (const Model *m);

/* Returns: (transfer full): bytes of a file with the JSON text @header and @n_data bytes 0, 1, 2 … */
GByteArray *file_bytes (const char *header, gsize n_data);

/* Adds a planned tensor. */
void plan_tensor (QconvDirectory *d, const char *name, QconvDType dtype, const QconvShape *shape);
/* Returns: (transfer full): the whole file with @data (n_tensors pointers in the order of planning, NULL: zeros) */
GByteArray *lay_out (QconvDirectory *d, const char *const *data, GError **error);
