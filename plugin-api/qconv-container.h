/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources hold bytes, directories list tensors and metadata, containers fill directories from sources. Containers,
   readers and writers include this. */
#pragma once
#include <gio/gio.h>

#include "qconv-types.h"
G_BEGIN_DECLS

/* A file or a piece of memory with random access. Core owns it; any thread may read it. */
typedef struct _QconvSource QconvSource;
/* Opens a regular file that an option names. Fails with a G_IO_ERROR if @path is none or cannot be read.
   Returns: (transfer full) */
QCONV_API QconvSource *qconv_source_open (const char *path, GError **error);
/* Frees a source of qconv_source_open(). */
QCONV_API void qconv_source_free (QconvSource *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvSource, qconv_source_free)
/* Returns the size of @s in bytes. */
QCONV_API guint64 qconv_source_size (QconvSource *s);
/* Returns: (transfer none): the last element of the path, for messages and suffixes. */
QCONV_API const char *qconv_source_name (QconvSource *s);
/* Reads exactly @n bytes at @offset into @dst, never fewer. Fails with QCONV_ERROR_INPUT if a byte lies past the size,
   and with G_IO_ERROR_PARTIAL_INPUT if the file became shorter while it was open. */
QCONV_API gboolean qconv_source_read (QconvSource *s, guint64 offset, gsize n, void *dst, GError **error);
/* Returns: (transfer none): the file called @name in the folder of @s; it stays open as long as @s. Fails with
   QCONV_ERROR_INPUT if @name is not a plain file name (empty, "..", or with a separator), and with
   G_IO_ERROR_NOT_FOUND if there is no such file. */
QCONV_API QconvSource *qconv_source_sibling (QconvSource *s, const char *name, GError **error);

/**
 * QconvTensor: one named array in a file.
 *
 * @name: as in the file; UTF-8 without NUL
 * @dtype: of the items; QCONV_OPAQUE if only a reader understands the bytes
 * @type: (nullable): the container's own word ("Q8_0", "F8_E4M3"); NULL in a planned directory
 * @shape: items of the unpacked array in torch order (axis 0 outermost); also of QCONV_OPAQUE the logical shape
 * @n_bytes: stored bytes
 * @source: (nullable): the file that holds the tensor; NULL in a planned directory, see @file
 * @offset: bytes from the start of that file to the tensor's first byte
 * @file: in a planned directory the number of the output file
 * @big_endian: the stored numbers are big-endian. Core swaps them when it reads; a reader must swap QCONV_OPAQUE
 *   itself
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

/* All tensors and metadata of one model, which one file or a set of files holds. Core owns it. */
typedef struct _QconvDirectory QconvDirectory;
QCONV_API guint qconv_directory_n_tensors (const QconvDirectory *d);
/* Returns: (transfer none): tensor @i, counted in the order in which the container added them. */
QCONV_API const QconvTensor *qconv_directory_tensor (const QconvDirectory *d, guint i);
/* Returns: (transfer none) (nullable): the tensor with exactly this name. */
QCONV_API const QconvTensor *qconv_directory_find (const QconvDirectory *d, const char *name);
/* Returns: (transfer none) (nullable): the tensor called @stem + @suffix. */
QCONV_API const QconvTensor *qconv_directory_find2 (const QconvDirectory *d, const char *stem, const char *suffix);
/* Returns: (transfer none) (nullable): the value of @key. Values of safetensors have the type "s", values of GGUF have
   the type that the file gives them. */
QCONV_API GVariant *qconv_directory_metadata (const QconvDirectory *d, const char *key);
/* Returns: (transfer none): all keys, sorted; ends with NULL. */
QCONV_API const char *const *qconv_directory_metadata_keys (const QconvDirectory *d);
/* Returns: (transfer full) (nullable): the value of metadata as containers write it that hold only text: text as it is,
   numbers in decimal digits; NULL for all others, which they leave out. */
QCONV_API char *qconv_metadata_text (GVariant *value);
/* Returns: (transfer none): the id of the container that filled @d. */
QCONV_API const char *qconv_directory_container (const QconvDirectory *d);
/* Returns: (transfer none) (nullable): the file that was opened; NULL for a planned directory. */
QCONV_API QconvSource *qconv_directory_source (const QconvDirectory *d);
/* Reads @n stored bytes at @offset from the start of the tensor into @dst, in the order of the file: numbers are not
   swapped. Fails with QCONV_ERROR_BUG if the range leaves the tensor, else as qconv_source_read(). */
QCONV_API gboolean qconv_tensor_read (const QconvTensor *t, guint64 offset, gsize n, void *dst, GError **error);

/**
 * QconvFact: a fact about the model itself that a file may state. Containers hand facts over under these names, so that
 * core reads no key of any format. A fact that the file lacks stays unset.
 *
 * @QCONV_FACT_ARCHITECTURE: "s": the architecture, spelled as in "architectures" of the family files ("llama",
 *   "flux"). GGUF: general.architecture (ggml: docs/gguf.md)
 * @QCONV_FACT_N_HEADS: "t": number of query heads of one attention layer. GGUF: ARCHITECTURE.attention.head_count
 * @QCONV_FACT_HEAD_DIM: "t": rows of one query head; counts before the number of heads. GGUF:
 *   ARCHITECTURE.attention.key_length
 * @QCONV_FACT_N_BLOCKS: "t": number of blocks of the model. GGUF: ARCHITECTURE.block_count
 * @QCONV_FACT_ROW_ORDER: "s": "plain" or "permuted": the order of the rows of query and key in attention heads, if the
 *   user states it; family files know it by architecture ("permute" in keymaps)
 */
typedef enum {
  QCONV_FACT_ARCHITECTURE,
  QCONV_FACT_N_HEADS,
  QCONV_FACT_HEAD_DIM,
  QCONV_FACT_ROW_ORDER,
  QCONV_FACT_N_BLOCKS,
  QCONV_N_FACTS
} QconvFact;
/* Returns: (transfer none) (nullable): the value in the type that #QconvFact names, or NULL if it is not known. */
QCONV_API GVariant *qconv_directory_fact (const QconvDirectory *d, QconvFact fact);

/* ---- For containers ---- */

/* Appends @t. The tensor and its strings are copied; @t->source stays the container's. Fails with QCONV_ERROR_INPUT if
   the name is taken, the range leaves the file, or the shape does not make @n_bytes (not checked for
   QCONV_OPAQUE). */
QCONV_API gboolean qconv_directory_add (QconvDirectory *d, const QconvTensor *t, GError **error);
/* Sets @key to @value (transfer floating). Fails with QCONV_ERROR_INPUT if the key has a value. */
QCONV_API gboolean qconv_directory_set_metadata (QconvDirectory *d, const char *key, GVariant *value, GError **error);
/* Records @value (transfer floating), which must have the type that #QconvFact names; it replaces an earlier one. */
QCONV_API void qconv_directory_set_fact (QconvDirectory *d, QconvFact fact, GVariant *value);
/* Adds one line for the user about a file that is odd but usable. Core puts the file's name before it. */
QCONV_API void qconv_directory_warn (QconvDirectory *d, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Adds a warning about the tensor or key @name (nullable). Warnings of one @code become one line, as in
   qconv_claims_warn_each(). */
QCONV_API void qconv_directory_warn_each (QconvDirectory *d, const char *name, const char *code, const char *format,
                                          ...) G_GNUC_PRINTF (4, 5);

/* The output while complete() runs: all tensors are written, the bytes that no tensor owns are as lay_out() left
   them. */
typedef struct _QconvFile QconvFile;
/* Reads exactly @n written bytes at @offset into @dst. Fails with QCONV_ERROR_BUG past the end of the file. */
QCONV_API gboolean qconv_file_read (QconvFile *f, guint64 offset, gsize n, void *dst, GError **error);
/* Writes @n bytes at @offset. Fails with QCONV_ERROR_BUG past the end of the file and where a tensor lies. */
QCONV_API gboolean qconv_file_write (QconvFile *f, guint64 offset, gsize n, gconstpointer src, GError **error);

/**
 * QconvSplit: how a container spreads a model over a set of files, if the user wants small ones. Core decides which
 * tensors go into which file: whole layers, in the order in which the writer planned them. Parts are counted from 0.
 *
 * @part_name: returns: (transfer full): the name of part @no of @n > 1, if a single file would be called @name
 * @part_metadata: sets the metadata of part @no of @n in @part, which has none; lay_out() gets them. @whole has all
 *   tensors, QconvTensor.file is their part, and the metadata of the model
 * @index_name: (nullable): returns: (transfer full): the name of a further file, which lists the parts; NULL: there is
 *   none
 * @index: appends the contents of that file to @text. @parts: names of the parts; ends with NULL
 */
typedef struct {
  char *(*part_name) (const char *name, guint no, guint n);
  gboolean (*part_metadata) (const QconvDirectory *whole, guint no, guint n, QconvDirectory *part, GError **error);
  char *(*index_name) (const char *name);
  gboolean (*index) (const QconvDirectory *whole, const char *const *parts, GByteArray *text, GError **error);
  gconstpointer reserved[4];
} QconvSplit;

/**
 * QconvContainer: one format of a file or of a set of files.
 *
 * @options: (nullable): ends with { NULL }
 * @suffixes: ".gguf" …; ends with NULL. They break ties of score() and mark the files of a folder
 * @entries: (nullable): globs that name the file to open in a folder, best first ("*.safetensors.index.json")
 * @pairs: (nullable): names of files in twos, of which open() reads both if it opens one and the other lies beside it:
 *   a folder with both holds one model. Ends with NULL
 * @score: returns 0 (it cannot open the file) … 100 (certain). @head holds the first @n <= 64 KiB bytes of the file
 *   @name of @size bytes. The highest score opens the file; of equal scores the one with the file's suffix, then the
 *   plugin whose name sorts first. If all are 0, the container of the suffix opens the file, so that open() can say
 *   what is wrong with it. Bands that containers of qconv keep: 100 a magic number; 95 no magic number, but a header
 *   that hardly anything else has; 50 to 60 a general syntax (JSON, zip), and the name fits; 10 only the name fits
 * @open: fills @directory from @source and its siblings. The bytes are hostile: every length must be checked before it
 *   is used, and open() may not allocate memory by a size that the file claims. Messages name the tensor or key; core
 *   adds the file
 * @lay_out: (nullable): lays out a file to be written; NULL if the container is only read. @tensors are the @n planned
 *   tensors of one file: lay_out() must put them into the order of the file, set their offsets (bytes from the start of
 *   the file), append all bytes before the first tensor to @header and set @file_size. Tensors may not overlap each
 *   other or @header. Core writes zeros into gaps and behind the last tensor. @planned holds the metadata of this file
 * @metadata: (nullable): globs of the keys of metadata that programs read in such files, "modelspec.*"; ends with NULL.
 *   Edits set other keys only if the user insists. NULL: they set any key
 * @complete: (nullable): writes the bytes between and behind tensors that depend on their contents, such as checksums
 *   and the directory of an archive. Core calls it once, after it has written all tensors; @tensors is as lay_out()
 *   left it. A file of gigabytes may not be read into memory at once
 * @split: (nullable): NULL: a model is always one file
 */
typedef struct _QconvContainer QconvContainer;
struct _QconvContainer {
  const char *id, *summary;
  const QconvOption *options;
  const char *const *suffixes;
  const char *const *entries;
  guint (*score) (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size);
  gboolean (*open) (const QconvContainer *self, QconvSource *source, const QconvValues *options,
                    QconvDirectory *directory, GError **error);
  gboolean (*lay_out) (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
                       GByteArray *header, guint64 *file_size, GError **error);
  gboolean (*complete) (const QconvContainer *self, const QconvDirectory *planned, const QconvTensor *const *tensors,
                        guint n, QconvFile *file, GError **error);
  const char *const *metadata;
  const char *const *pairs;
  const QconvSplit *split;
};
G_END_DECLS
