/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables for people, with columns as wide as their widest cell. All commands that list things print them. */
#pragma once
#include <glib.h>

typedef struct _CliTable CliTable;
/* Returns an empty table. @align: (transfer none): a letter for each column, l or r */
CliTable *cli_table_new (const char *align);
/* Adds a row: as many strings as there are columns, which are copied */
void cli_table_row (CliTable *t, ...);
void cli_table_print (const CliTable *t, const char *indent);
void cli_table_free (CliTable *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliTable, cli_table_free)

/* Returns the columns that @text takes on a terminal */
guint cli_text_columns (const char *text);
