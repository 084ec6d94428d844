/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows reports and progress, to people or as JSON. convert, edit and verify call it. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv.h"

/* ---- show-report.c: the report of a check ---- */

void cli_report_json (const QconvReport *report);
/* Adds the arrays "problems" and "notes". @report: (nullable) */
void cli_report_problems_json (JsonBuilder *b, const QconvReport *report);
/* Prints the warnings about the file at @path. @warnings: (nullable): gets copies, as in cli_warn() */
void cli_report_warnings (const QconvReport *report, const char *path, GPtrArray *warnings);
/* Adds the errors of one layer. @l: (nullable): NULL: they are not known */
void cli_report_error_json (JsonBuilder *b, const QconvLayerError *l);
void cli_report_problems (const QconvReport *report);
/* Prints a row for each scheme. @report: (nullable); @weights: (nullable) (element-type QconvPlannedInfo): adds the
   sizes of the written weights */
void cli_report_schemes (const QconvReport *report, const GArray *weights);
/* Prints the @most layers with the largest error, or all in their order if @most is 0 */
void cli_report_layers (const QconvReport *report, guint most);

/* ---- show-progress.c ---- */

typedef struct _CliProgress CliProgress;
/* Starts to show progress. @mode: a choice of --progress, or NULL */
CliProgress *cli_progress_new (const char *mode);
/* Shows progress; a QconvProgressFunc */
void cli_progress_update (const QconvProgress *p, gpointer progress);
void cli_progress_free (CliProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliProgress, cli_progress_free)
