/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens an input as the options say. All commands that read a model call it. */
#pragma once
#include "cli/settings.h"
#include "qconv.h"

/* Opens a model. @from: the form that the file must have, or NULL; fails if no plugin has this form. @for_verify:
   layers that no reader can claim become problems of the report instead of an error. @warnings: (nullable)
   (element-type utf8): gets copies of the warnings. Returns: (transfer full) */
QconvModel *cli_model_open (const CliInput *input, const char *path, const char *from, gboolean for_verify,
                            GPtrArray *warnings, GError **error);
