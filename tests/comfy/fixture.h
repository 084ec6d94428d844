/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small safetensors files made in the test, and conversions of them through the library's public interface. */
#pragma once
#include "qconv.h"

/* A file that grows tensor by tensor */
typedef struct {
  GString *tensors, *metadata;
  GByteArray *data;
} Builder;
Builder *builder_new (void);
void builder_free (Builder *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Builder, builder_free)
/* @shape: as in JSON, "[2, 16]"; @data: NULL: zeros */
void builder_add (Builder *b, const char *name, const char *dtype, const char *shape, gconstpointer data, gsize n);
/* A U8 tensor with a text */
void builder_add_text (Builder *b, const char *name, const char *text);
/* @value: plain text without characters that JSON escapes, but for quotes */
void builder_add_metadata (Builder *b, const char *key, const char *value);
/* Returns: (transfer full): path of the file, in the folder of the test */
char *builder_write (Builder *b, const char *name);

/* Returns: (transfer full): a path in the folder of the test */
char *scratch_path (const char *name);
/* Call first and last in main(); @finish removes the folder */
void scratch_begin (void);
void scratch_end (void);

/* Converts, quantizing all that can be. @options: (nullable) */
void convert (const char *input, const char *output, const char *target, const char *const *options);
/* The plan or its run is refused with @code and a message that holds @text, and leaves nothing behind */
void assert_job_refused (const char *input, const QconvJob *job, QconvError code, const char *text);
/* Returns: (transfer full): no error is expected; @warnings: (nullable): gets copies */
QconvModel *open_model (const char *path, GPtrArray *warnings);
/* Returns: (transfer full): bytes of a tensor that exists */
GBytes *tensor_bytes (const QconvModel *m, const char *name);
/* Returns: (transfer full): problems of the structure as "code layer" lines */
char *problems_of (const char *path);

/* N × K numbers that spread like weights, the same in every run */
float *noise (gsize n, guint32 seed);
