/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a file that appears complete under its name or not at all. The run uses it. */
#pragma once
#include "io/source.h"

typedef struct _Save Save;

/* Fails if qconv_save_new() would fail now: the folder is missing or not writable, a file called @path may not be
   replaced, or QCONV_ERROR_LIMIT: the disk has too little room. Writes nothing */
gboolean qconv_save_check (const char *path, guint64 size, GError **error);
/* Creates a temporary file of @size bytes beside @path, locked while it grows. Removes the temporary files that killed
   runs left there. Fails as qconv_save_check() does. Returns: (transfer full) */
Save *qconv_save_new (const char *path, guint64 size, GError **error);
/* Removes the temporary file if it did not get its name */
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
/* Gives the file its name. Without @replace QCONV_ERROR_OPTION if the name is taken */
gboolean qconv_save_commit (Save *s, gboolean replace, GError **error);
