/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors about words that no table has. They name the word that the user needs. */
#pragma once
#include "cli/settings.h"
#include "qconv.h"

/* Sets the error of a --to that is no target: names the nearest target, or those of the scheme or writer that @word
   names. Returns FALSE */
gboolean cli_fail_unknown_target (const char *word, GError **error);
/* Sets the error of an unknown @option, "--name". @labels: NULL-terminated, of all options. Returns FALSE */
gboolean cli_fail_unknown_option (const char *option, const char *const *labels, GError **error);
/* Fails with QCONV_ERROR_OPTION if -o has the name of a file instead of KEY=VALUE */
gboolean cli_check_settings (const CliInput *input, GError **error);
