/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for people: results go to stdout, everything else to stderr as one line "qconv: …". */
#pragma once
#include "qconv.h"

void cli_print (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* Prints a warning; a QconvWarnFunc. @warnings: (nullable): a GPtrArray that gets a copy */
void cli_warn (const char *message, gpointer warnings);
void cli_note (const char *message);
/* Prints a line for those who asked for --verbose */
void cli_detail (const char *message);
void cli_report_error (const GError *error);
/* Sets an error "@message; did you mean "…"?". @message: (transfer full); @names: NULL-terminated */
gboolean cli_fail_unknown (GError **error, QconvError code, char *message, const char *word, const char *const *names);

/* Draws a line at the foot of the terminal over the last one; NULL removes it */
void cli_bar_draw (const char *text);
guint cli_bar_width (void);

/* Opens descriptors 0 to 2 if they are closed, so that no file that is opened later becomes stdout. @verbose: shows
   messages of level info; @quiet: shows only errors */
void cli_streams_init (gboolean verbose, gboolean quiet);
/* Fails with an error of GIO if not all results were written */
gboolean cli_streams_finish (GError **error);

/* Returns: (transfer full): "1.5 GiB" */
char *cli_size_text (guint64 bytes);
/* Returns: (transfer full): valid UTF-8, with "?" for each control character */
char *cli_text_clean (const char *text);
