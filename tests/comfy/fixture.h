/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small safetensors files made in a test, and conversions of them through the library's public interface. The tests of
   comfy and legacy share it, and the fuzz targets. */
#pragma once
#include "qconv.h"

/* A file that grows tensor by tensor. */
typedef struct {
  GString *tensors, *metadata;
  GByteArray *data;
} Builder;
Builder *builder_new (void);
void builder_free (Builder *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Builder, builder_free)
/* Adds a tensor. @shape: as in JSON, "[2, 16]"; @data: (nullable): NULL: zeros */
void builder_add (Builder *b, const char *name, const char *dtype, const char *shape, gconstpointer data, gsize n);
/* Adds a U8 tensor with a text. */
void builder_add_text (Builder *b, const char *name, const char *text);
/* Adds a metadata key with a text. */
void builder_add_metadata (Builder *b, const char *key, const char *value);
/* Returns: (transfer full): the whole file. */
GByteArray *builder_bytes (const Builder *b);
/* Writes the file. Returns: (transfer full): its path in the folder of the test. */
char *builder_write (const Builder *b, const char *name);

/* Returns: (transfer full): a path in the folder of the test. */
char *scratch_path (const char *name);
/* Must be called first and last in main(). The second removes the folder. */
void scratch_begin (void);
void scratch_end (void);

/* Converts and quantizes all layers that the target can hold. @options: (nullable) */
void convert (const char *input, const char *output, const char *target, const char *const *options);
/* Asserts that the plan or its run fails with @code and leaves no file. Returns: (transfer full): the message */
char *job_refusal (const char *input, const QconvJob *job, QconvError code);
/* Does the same, and asserts that the message holds @text. */
void assert_job_refused (const char *input, const QconvJob *job, QconvError code, const char *text);
/* Opens a file, which must work. Returns: (transfer full). @warnings: (nullable): copies are added */
QconvModel *open_model (const char *path, GPtrArray *warnings);
/* Returns: (transfer full): the bytes of a tensor, which must exist. */
GBytes *tensor_bytes (const QconvModel *m, const char *name);
/* Returns: (transfer full): the problems that verify finds, as lines "code layer". */
char *model_problems (QconvModel *m);
char *problems_of (const char *path);

/* Returns: (transfer full): @n numbers that spread like weights, the same in every run. */
float *noise (gsize n, guint32 seed);
