/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are read whole, such as JSON of users. */
#pragma once
#include <glib.h>

/* Reads a regular file whole. G_IO_ERROR: it cannot be read, or is no regular file; the text names @path.
   QCONV_ERROR_INPUT: it has more than @most bytes; the text does not name it. @n: (out): the number of its bytes,
   behind which a NUL stands. (transfer full) */
char *qconv_small_file_read (const char *path, guint64 most, gsize *n, GError **error);
