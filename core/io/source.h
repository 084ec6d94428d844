/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens input files and bytes in memory for containers, and the siblings beside a file. */
#pragma once
#include "qconv-container.h"

/* Returns: (transfer full): an open regular file; G_IO_ERROR otherwise */
QconvSource *qconv_source_open (const char *path, GError **error);
/* Returns: (transfer full): bytes in memory, without siblings */
QconvSource *qconv_source_new_for_bytes (GBytes *bytes, const char *name);
void qconv_source_free (QconvSource *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvSource, qconv_source_free)

/* Returns: (transfer none) (nullable): as it was opened; NULL in memory */
const char *qconv_source_path (QconvSource *s);
/* Returns: of the open file; -1 in memory */
int qconv_source_descriptor (QconvSource *s);
/* Whether @path is this very file, or one of the siblings that were opened */
gboolean qconv_source_is_file (QconvSource *s, const char *path);
