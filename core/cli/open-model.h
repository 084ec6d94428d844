/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens an input as the options say. All commands that read a model call it. */
#pragma once
#include "cli/settings.h"
#include "qconv.h"

/* @from: (nullable): the form that the file must have; an error if no plugin has a form of that name.
   @for_verify: layers that no reader can claim become problems of the report instead of an error.
   Returns: (transfer full) */
QconvModel *cli_model_open (const CliInput *input, const char *path, const char *from, gboolean for_verify,
                            GError **error);
