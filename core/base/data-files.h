/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the program's data files. The catalogue of families and the LoRA dialects ask here. */
#pragma once
#include <glib.h>

/* Bytes of the largest data file that is read */
enum { QCONV_DATA_FILE_MOST = 4 << 20 };

/* Returns: (transfer full): the path of @folder in QCONV_DATA_PATH or, if that is not set, in the installed data */
char *qconv_data_folder (const char *folder);
/* Lists the *.json files of @folder: those of the user's data folder, which may be absent, then those of
   qconv_data_folder(), each folder's by name. If several files define the same thing, the caller takes the first.
   Returns: (transfer full) (element-type utf8): paths; NULL and an error of GLib if a folder cannot be read */
GPtrArray *qconv_data_files (const char *folder, GError **error);
