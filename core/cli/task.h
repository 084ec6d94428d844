/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One input of `convert` or `edit`, from its name to the result that is shown. */
#pragma once
#include "cli/settings.h"
#include "qconv.h"

/**
 * CliTask: one input, its plan, and the result.
 *
 * @input: as the user named it
 * @target: (nullable): as the user named it
 * @in_place: an edit that replaces its input
 * @warnings: (element-type utf8): all that were printed
 * @model, @plan: (nullable): NULL if they could not be made
 * @error: (nullable): the reason why there is no plan, or why it was not carried out
 * @report: (nullable): of the check
 * @seconds: that the run took; < 0: there was none
 * @give_way: (nullable): called after a run that failed; makes another plan and returns TRUE if that could succeed
 * @data: (nullable): of @give_way
 */
typedef struct _CliTask CliTask;
struct _CliTask {
  const char *input, *target;
  gboolean in_place;
  GPtrArray *warnings;
  QconvModel *model;
  QconvPlan *plan;
  GError *error;
  QconvReport *report;
  double seconds;
  gboolean (*give_way) (CliTask *t);
  gpointer data;
};

CliTask cli_task_new (const char *input, const char *target);
void cli_task_clear (CliTask *t);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CliTask, cli_task_clear)

/* Runs the plan unless @t has an error, and shows the result; with --dry-run shows only the plan. Fails with the error
   of @t */
gboolean cli_task_carry_out (CliTask *t, const CliShow *show, GError **error);

/* ---- task-json.c ---- */

/* Prints what is known of @t as one line of JSON. @weights: (nullable) (element-type QconvPlannedInfo); @changes:
   (nullable) (element-type utf8): of an edit; @dry_run: there was to be no run */
void cli_task_json (const CliTask *t, const GArray *weights, const GPtrArray *changes, gboolean dry_run);
/* Returns the bytes of all tensors of @model */
guint64 cli_input_bytes (const QconvModel *model);
