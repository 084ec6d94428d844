/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of the system, and the file or the layer of an error. Only the functions that open a model or a family, make a
   plan and run it add these, so that every error names its file and its layer once. */
#pragma once
#include "qconv.h"

/* Fails with a G_IO_ERROR for @code, an errno of a call about @path. Returns FALSE */
gboolean qconv_fail_by_errno (GError **error, int code, const char *path);

/* Puts "PATH: " before an error of our domain that is about the contents of a file, or a bug. Other errors stay: those
   of usage are about the command line, those of limits about the machine, and those of GLib name their file already */
void qconv_error_name_file (GError **error, const char *path);
/* Puts 'layer "NAME": ' before an error of our domain, unless it begins so */
void qconv_error_name_layer (GError **error, const char *layer);
