/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens, reads and writes files by their descriptors. save.c and journal.c call it. */
#pragma once
#include <glib.h>

/* Opens @path for reading and writing, or creates it. Fails with QCONV_ERROR_OPTION if it is a link, no regular file,
   or a file of another user or with a second name: qconv did not leave it. Returns the descriptor, or -1 */
int qconv_descriptor_open_own (const char *path, GError **error);
/* Reads exactly @n bytes at @offset. @path: for the error */
gboolean qconv_descriptor_read (int fd, const char *path, guint64 offset, void *dst, gsize n, GError **error);
/* Writes all @n bytes at @offset */
gboolean qconv_descriptor_write (int fd, const char *path, guint64 offset, gconstpointer data, gsize n, GError **error);
