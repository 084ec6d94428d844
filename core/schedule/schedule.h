/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs items of several phases of tasks on a few threads within a memory budget. */
#pragma once
#include <gio/gio.h>

#include "schedule/arena.h"

/**
 * ScheduleOps: what is run. Items are started in order; the tasks of an item's phase run in any order on any thread.
 *
 * @kept_cost: bytes that an item holds from start to end
 * @task_cost: bytes that one task's arena has
 * @n_tasks: of the phase an item is in, at least 1
 * @run: one task
 * @advance: after the last task of a phase, on one thread: goes on to the next; *more = FALSE: the item is done and
 *   holds nothing any more
 */
typedef struct {
  gsize (*kept_cost) (gpointer data, guint item);
  gsize (*task_cost) (gpointer data, guint item);
  guint (*n_tasks) (gpointer data, guint item);
  gboolean (*run) (gpointer data, guint item, guint task, Arena *arena, GError **error);
  gboolean (*advance) (gpointer data, guint item, gboolean *more, GError **error);
} ScheduleOps;

/* What a run may use: @n_threads threads that share @memory bytes of working memory */
typedef struct {
  guint64 memory;
  guint n_threads;
} Limits;

/* Runs @n_items items. The first error, or cancelling, stops everything; items that were started are not advanced then
 */
gboolean qconv_schedule_run (const ScheduleOps *ops, gpointer data, guint n_items, const Limits *limits,
                             GCancellable *cancellable, GError **error);
