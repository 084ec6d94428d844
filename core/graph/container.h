/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a path to a container. */
#pragma once
#include "io/source.h"
#include "qconv.h"

/* Returns: (transfer full): the file that stands for @path: itself, or the entry of a folder. QCONV_ERROR_INPUT: a
   folder without a model, or with several */
char *qconv_open_entry (const char *path, GError **error);
/* Returns: (transfer none): the container that recognises @source best. @from: (nullable): --from, which forces one.
   QCONV_ERROR_INPUT, QCONV_ERROR_UNSUPPORTED: nothing that a loaded plugin reads */
const QconvContainer *qconv_open_container (QconvSource *source, const char *from, GError **error);
