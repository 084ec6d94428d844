/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the program's own data lies: family files and LoRA dialects are found here. */
#pragma once
#include <glib.h>

/* Returns: (transfer full): the path of @folder in QCONV_DATA_PATH or, if that is not set, in the installed data */
char *qconv_data_folder (const char *folder);
/* Lists the *.json files of @folder: those of the user's data folder, which may be absent, then those of
   qconv_data_folder(), each folder's by name. The caller takes the first of several files that define the same.
   Returns: (transfer full) (element-type utf8): paths; NULL and an error of GLib if a folder cannot be read */
GPtrArray *qconv_data_files (const char *folder, GError **error);
