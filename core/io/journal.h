/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of lines, each with its checksum: a killed program leaves it readable up to its last whole line. A run that
   can be resumed notes in it what is done. */
#pragma once
#include <glib.h>

typedef struct _Journal Journal;

/* Opens the journal @path, or creates it, and cuts off what follows its last whole line. Fails with QCONV_ERROR_OPTION,
   and changes nothing, if the file is no journal. Returns: (transfer full) */
Journal *qconv_journal_open (const char *path, GError **error);
void qconv_journal_free (Journal *j);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Journal, qconv_journal_free)
/* Returns: (transfer none): the lines that the file had when it was opened; NULL if qconv_journal_start() never
   succeeded on it */
const char *const *qconv_journal_lines (const Journal *j);
/* Drops all lines, writes @line and waits until it is on the disk */
gboolean qconv_journal_start (Journal *j, const char *line, GError **error);
/* Appends @line, which has no newline; any thread */
gboolean qconv_journal_append (Journal *j, const char *line, GError **error);
/* Removes the file */
void qconv_journal_remove (Journal *j);
