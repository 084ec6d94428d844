/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --like: the layers that another file of the same model quantizes. */
#pragma once
#include "graph/mapping.h"

/* Returns: (transfer full): the short name of each weight in the original naming -> whether it is quantized.
   Appends to @files (element-type utf8) the files that were read. QCONV_ERROR_OPTION: no weight is quantized */
GHashTable *qconv_like_read (const char *path, GPtrArray *files, GError **error);
