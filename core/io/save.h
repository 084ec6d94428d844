/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that appears complete under its name or not at all. */
#pragma once
#include "io/source.h"

typedef struct _Save Save;

/* A temporary file of @size bytes beside @path, locked while it grows. Removes what killed runs left there.
   QCONV_ERROR_LIMIT where the disk has too little room. Returns: (transfer full) */
Save *qconv_save_new (const char *path, guint64 size, GError **error);
/* Removes the temporary file unless it got its name */
void qconv_save_free (Save *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Save, qconv_save_free)
/* Returns: (transfer none): where it is for now */
const char *qconv_save_temporary (const Save *s);
/* Any thread */
gboolean qconv_save_write (Save *s, guint64 offset, gconstpointer data, gsize n, GError **error);
/* Lets the system copy @n bytes of @from at @start to @offset, by reference where the file system knows how; any
   thread. *done FALSE without error: it cannot, and nothing that was copied counts */
gboolean qconv_save_copy (Save *s, guint64 offset, QconvSource *from, guint64 start, guint64 n, gboolean *done,
                          GError **error);
gboolean qconv_save_sync (Save *s, GError **error);
/* Gives it its name; with @replace over an existing file */
gboolean qconv_save_commit (Save *s, gboolean replace, GError **error);
