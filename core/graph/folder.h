/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the file to open for a path that may be a folder. Opening a model calls it. */
#pragma once
#include <glib.h>

/* Returns: (transfer full): the file for @path: @path itself, or the file of a folder that is the model.
   QCONV_ERROR_INPUT: a folder without a model, or with several; the error names those that can be named instead */
char *qconv_open_entry (const char *path, GError **error);
