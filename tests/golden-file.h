/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads golden files, which other programs made, for all tests. It trusts them: anything unexpected aborts the test. */
#pragma once
#include <gio/gio.h>

/**
 * GoldenTensor: one tensor of a file.
 *
 * @dtype: as safetensors spells it; NULL in a GGUF file
 * @ggml_type: the number in a GGUF file
 * @shape: row-major, axis 0 outermost, in both formats
 * @size: number of bytes; in a GGUF file, which does not store it, all bytes up to the end of the file
 */
typedef struct {
  char *name, *dtype;
  guint32 ggml_type;
  guint rank;
  guint64 shape[8], n_items;
  const guint8 *data;
  gsize size;
} GoldenTensor;

/* An open golden file. @tensors: of #GoldenTensor, in the order of the file; @about: (nullable): the text "golden" of
   the metadata; @informative: (nullable): names of layers, read from it when needed */
typedef struct {
  guint8 *bytes;
  gsize size;
  GPtrArray *tensors;
  char *about;
  GHashTable *informative;
} GoldenFile;

/* Returns: (transfer full): @relative inside the golden folder: QCONV_TEST_GOLDEN, else golden/ beside the tests */
char *golden_path (const char *relative);

/* Returns: (transfer full): a .safetensors or .gguf file inside the golden folder; it has at least one tensor */
GoldenFile *golden_file_open (const char *relative);
void golden_file_free (GoldenFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GoldenFile, golden_file_free)

/* Returns the tensor called @name, which must exist. */
const GoldenTensor *golden_file_tensor (const GoldenFile *file, const char *name);

/* Returns whether the file's metadata marks the bytes of @layer as informative only, not as a target. */
gboolean golden_file_informative (GoldenFile *file, const char *layer);

/* Asserts that bits are equal or that both numbers are NaN */
void golden_assert_same_floats (const float *got, const float *want, gsize n);
