/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --like: the layers that another file of the same model quantizes. */
#pragma once
#include "graph/mapping.h"

/* Adds the layers of the file @path to @like (nullable, owned): the short name of each weight in the original naming ->
   whether it is quantized. A layer is quantized if one of the files quantizes it. Appends to @files (element-type utf8)
   the files that were read. QCONV_ERROR_OPTION: no weight is quantized */
gboolean qconv_like_add (GHashTable **like, const char *path, GPtrArray *files, GError **error);
