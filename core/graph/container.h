/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the container that reads a file. Opening a model calls it. */
#pragma once
#include "io/source.h"
#include "qconv.h"

/* Returns: (transfer none): the container that recognises @source best. @from: (nullable): --from, which forces one.
   QCONV_ERROR_INPUT, QCONV_ERROR_UNSUPPORTED: no loaded plugin reads it */
const QconvContainer *qconv_open_container (QconvSource *source, const char *from, GError **error);
