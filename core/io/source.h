/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions of sources that only core may call; qconv-container.h declares the others. */
#pragma once
#include "qconv-container.h"

/* The file @path, which goes by the name @name */
typedef struct {
  const char *path, *name;
} SourceName;
/* Opens @n > 0 files as one set. Returns: (transfer full): the first file; the others are its siblings, and come before
   files that lie beside it under their names */
QconvSource *qconv_source_open_set (const SourceName *files, guint n, GError **error);
/* Returns: (transfer full): a source of bytes in memory, which has no siblings */
QconvSource *qconv_source_new_for_bytes (GBytes *bytes, const char *name);

/* Returns: (transfer none): the path as it was opened; NULL in memory */
const char *qconv_source_path (QconvSource *s);
/* Returns the descriptor of the open file; -1 in memory */
int qconv_source_descriptor (QconvSource *s);
/* Fails with the first error that the system gave when this file or a sibling was read. Whoever read may have taken it
   for a fault of the contents */
gboolean qconv_source_check_reads (QconvSource *s, GError **error);
/* Returns whether @path is this very file, or a sibling that was opened */
gboolean qconv_source_is_file (QconvSource *s, const char *path);
/* Appends to @paths (element-type utf8) the path of this file and those of the siblings that were opened */
void qconv_source_list_files (QconvSource *s, GPtrArray *paths);
