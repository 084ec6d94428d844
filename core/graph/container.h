/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the file for a path, and the container that reads it. Opening a model calls it. */
#pragma once
#include "io/source.h"
#include "qconv.h"

/* Returns: (transfer full): the file for @path: @path itself, or the file of a folder that is the model.
   QCONV_ERROR_INPUT: a folder without a model, or with several */
char *qconv_open_entry (const char *path, GError **error);
/* Returns: (transfer none): the container that recognises @source best. @from: (nullable): --from, which forces one.
   QCONV_ERROR_INPUT, QCONV_ERROR_UNSUPPORTED: no loaded plugin reads it */
const QconvContainer *qconv_open_container (QconvSource *source, const char *from, GError **error);
