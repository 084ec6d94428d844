/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources (bytes), directories (tensors and metadata) and the containers between them. */
#pragma once
#include <gio/gio.h>

#include "qconv-types.h"
G_BEGIN_DECLS

/* A file or a piece of memory with random access. Owned by core; any thread may read. */
typedef struct _QconvSource QconvSource;
QCONV_API guint64 qconv_source_size (QconvSource *s);
/* Returns: (transfer none): last path element, for messages and suffixes */
QCONV_API const char *qconv_source_name (QconvSource *s);
/* Reads exactly @n bytes at @offset. Bytes past the size are QCONV_ERROR_INPUT; a file that became shorter while it
   was open is G_IO_ERROR_PARTIAL_INPUT; never a short read */
QCONV_API gboolean qconv_source_read (QconvSource *s, guint64 offset, gsize n, void *dst, GError **error);
/* Returns: (transfer none): a file beside it, which stays open as long as @s. @name is a plain file name: with a
   separator, "..", or empty it is QCONV_ERROR_INPUT. G_IO_ERROR_NOT_FOUND where there is none */
QCONV_API QconvSource *qconv_source_sibling (QconvSource *s, const char *name, GError **error);

/**
 * QconvTensor: one named array in a file.
 *
 * @name: as in the file, UTF-8, no NUL
 * @type: the container's own word ("Q8_0", "F8_E4M3"); NULL while planning
 * @shape: items of the unpacked array in torch order; of QCONV_OPAQUE too: the logical shape
 * @n_bytes: stored bytes
 * @source: (nullable): file that holds it; NULL in a planned directory, see @file
 * @offset: bytes from the start of that file
 * @file: planned directory: 0 is OUTPUT
 * @big_endian: core swaps numbers when it reads them; the reader swaps QCONV_OPAQUE
 */
typedef struct {
  const char *name;
  QconvDType dtype;
  const char *type;
  QconvShape shape;
  guint64 n_bytes;
  QconvSource *source;
  guint64 offset;
  guint32 file;
  gboolean big_endian;
  gconstpointer reserved[2];
} QconvTensor;

/* All tensors and metadata of one model, of one file or a set of files. Owned by core. */
typedef struct _QconvDirectory QconvDirectory;
QCONV_API guint qconv_directory_n_tensors (const QconvDirectory *d);
/* Returns: (transfer none): in the order in which the container added them */
QCONV_API const QconvTensor *qconv_directory_tensor (const QconvDirectory *d, guint i);
/* Returns: (transfer none) (nullable): by exact name */
QCONV_API const QconvTensor *qconv_directory_find (const QconvDirectory *d, const char *name);
/* qconv_directory_find() of @stem + @suffix, which saves readers most of their string code */
QCONV_API const QconvTensor *qconv_directory_find2 (const QconvDirectory *d, const char *stem, const char *suffix);
/* Returns: (transfer none) (nullable): safetensors values have type "s", GGUF values their own */
QCONV_API GVariant *qconv_directory_metadata (const QconvDirectory *d, const char *key);
/* Returns: (transfer none): NULL-terminated, sorted */
QCONV_API const char *const *qconv_directory_metadata_keys (const QconvDirectory *d);
/* Returns: (transfer none): id of the container */
QCONV_API const char *qconv_directory_container (const QconvDirectory *d);
/* Returns: (transfer none) (nullable): the file that was opened; NULL for a planned directory */
QCONV_API QconvSource *qconv_directory_source (const QconvDirectory *d);
/* Reads @n stored bytes at @offset from the start of the tensor, in file order (not swapped) */
QCONV_API gboolean qconv_tensor_read (const QconvTensor *t, guint64 offset, gsize n, void *dst, GError **error);

/* For containers. @t and its strings are copied, @t->source stays the container's. QCONV_ERROR_INPUT: a duplicate
   name, a range outside its file, or (but for QCONV_OPAQUE) a shape that does not make @n_bytes */
QCONV_API gboolean qconv_directory_add (QconvDirectory *d, const QconvTensor *t, GError **error);
/* @value: (transfer floating). QCONV_ERROR_INPUT: a duplicate key */
QCONV_API gboolean qconv_directory_set_metadata (QconvDirectory *d, const char *key, GVariant *value, GError **error);
/* Odd but usable: one line for the user, which core prefixes with the file's name */
QCONV_API void qconv_directory_warn (QconvDirectory *d, const char *format, ...) G_GNUC_PRINTF (2, 3);

/**
 * QconvContainer: how bytes lie in a file or a set of files.
 *
 * @suffixes: ".gguf" …; NULL-terminated; breaks ties of score() and marks the files of a folder
 * @entries: globs that name the file to open in a folder, best first ("*.safetensors.index.json"); NULL: none
 */
typedef struct _QconvContainer QconvContainer;
struct _QconvContainer {
  const char *id, *summary;
  const QconvOption *options;
  const char *const *suffixes;
  const char *const *entries;

  /* Returns: 0 not mine … 100 certain. @head is the first @n <= 64 KiB bytes of a file of @size bytes called @name */
  guint (*score) (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size);

  /* Fills @directory from hostile bytes: every length is checked before it is used and nothing is allocated by a
     claimed size. Messages name the tensor or key; core adds the file */
  gboolean (*open) (const QconvContainer *self, QconvSource *source, const QconvValues *options,
                    QconvDirectory *directory, GError **error);

  /* The other way round; NULL: read only. @tensors are the @n planned ones of one file: put them into file order,
     set their offsets (from the start of the file) and append the bytes before the first one to @header. Core writes
     zeros into gaps. @planned holds the metadata */
  gboolean (*lay_out) (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
                       GByteArray *header, guint64 *file_size, GError **error);
  gconstpointer reserved[4];
};
G_END_DECLS
