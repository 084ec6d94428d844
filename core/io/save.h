/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes files that appear complete under their names or not at all. The run uses it. */
#pragma once
#include "io/source.h"

typedef struct _Save Save;

/* Fails if qconv_save_new() would fail now: the folder is missing or not writable, a file called @path may not be
   replaced, or QCONV_ERROR_LIMIT: the disk has too little room. Writes nothing */
gboolean qconv_save_check (const char *path, guint64 size, GError **error);
/* Creates a temporary file of @size bytes beside @path, locked while it grows. Removes the temporary files that killed
   runs left there. Fails as qconv_save_check() does. Returns: (transfer full) */
Save *qconv_save_new (const char *path, guint64 size, GError **error);
/* Opens the temporary file that an earlier run kept for @path, or creates an empty one, and locks it. @found: (out): it
   holds bytes of an earlier run. Fails with G_IO_ERROR_BUSY if another run has it, and as qconv_descriptor_open_own()
   does. Nothing may be written before qconv_save_keep(); until then a new file does not stay. Returns: (transfer full)
 */
Save *qconv_save_open_kept (const char *path, guint64 size, gboolean *found, GError **error);
/* Drops all bytes that qconv_save_open_kept() found */
gboolean qconv_save_empty (Save *s, GError **error);
/* Makes the file as large as the output; from now on it stays if it does not get its name. Fails as qconv_save_check()
   does */
gboolean qconv_save_keep (Save *s, GError **error);
/* Removes the temporary file after all if it does not get its name */
void qconv_save_drop (Save *s);
/* Makes bytes [@offset, @offset + @n) zero, as those of a new file are */
gboolean qconv_save_clear (Save *s, guint64 offset, guint64 n, GError **error);
/* Returns the bytes on the disk that a temporary file kept for @path has already; 0 if there is none */
guint64 qconv_save_kept_bytes (const char *path);
/* Returns: (transfer full): the path of the journal that belongs to the kept file for @path */
char *qconv_save_journal_path (const char *path);
/* Removes the temporary file if it did not get its name and is not kept */
void qconv_save_free (Save *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Save, qconv_save_free)
/* Returns: (transfer none): path of the temporary file */
const char *qconv_save_temporary (const Save *s);
/* Reads back @n bytes at @offset, which must be within the size */
gboolean qconv_save_read (Save *s, guint64 offset, void *dst, gsize n, GError **error);
/* Writes @n bytes at @offset; any thread */
gboolean qconv_save_write (Save *s, guint64 offset, gconstpointer data, gsize n, GError **error);
/* Bytes [start, start + n) of a source */
typedef struct {
  QconvSource *source;
  guint64 start, n;
} SourceRange;
/* Lets the system copy @from to @offset, by reference if the file system can; any thread. Sets *done to FALSE without
   error if the system cannot: the caller must then write all of @from */
gboolean qconv_save_copy (Save *s, guint64 offset, const SourceRange *from, gboolean *done, GError **error);
/* Waits until the bytes are on the disk */
gboolean qconv_save_sync (Save *s, GError **error);
/* Gives the @n files of one run their names, in this order: all of them or none. Without @replace QCONV_ERROR_OPTION if
   a name is taken. A kill of the program between two names is the only thing that leaves
   some of them */
gboolean qconv_save_commit (Save *const *saves, guint n, gboolean replace, GError **error);

/* A folder that is made for an output */
typedef struct _SaveFolder SaveFolder;
/* Makes the folder @path, unless it is there. Returns: (transfer full) */
SaveFolder *qconv_save_folder_new (const char *path, GError **error);
/* Removes the folder again if it was made and is empty */
void qconv_save_folder_free (SaveFolder *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SaveFolder, qconv_save_folder_free)
