/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds the file or the layer to an error. Only the functions that open a model, make a plan and run it call these, so
   that every error names its file and its layer once. */
#pragma once
#include "qconv.h"

/* Puts "PATH: " before an error of our domain that is about the contents of a file, or a bug. Other errors stay: those
   of usage are about the command line, those of limits about the machine, and those of GLib name their file already */
void qconv_error_name_file (GError **error, const char *path);
/* Puts 'layer "NAME": ' before an error of our domain, unless it begins so */
void qconv_error_name_layer (GError **error, const char *layer);
