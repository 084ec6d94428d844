/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs items on a few threads within a memory budget. An item has phases, a phase has tasks. */
#pragma once
#include <gio/gio.h>

#include "qconv-backend.h"
#include "schedule/arena.h"

/* Limits the threads of a run. No machine has more processors */
#define MAX_THREADS 1024

/* A run of qconv_schedule_run() */
typedef struct _Schedule Schedule;

/**
 * ScheduleOps: the functions that the scheduler calls. Items are started in order; the tasks of a phase run in any
 * order on any thread.
 *
 * @kept_cost: bytes that an item holds from start to end
 * @task_cost: bytes of the arena of one task
 * @n_tasks: tasks of the phase that an item is in, at least 1
 * @run: runs one task, which may call qconv_schedule_share()
 * @advance: takes the item to its next phase, on one thread, after the last task of a phase; *more = FALSE: the item is
 *   done and has freed what it held
 * @alloc, @free: (nullable): memory for arenas, aligned to ARENA_ALIGN; any thread, several at a time. NULL: that of
 *   GLib
 */
typedef struct {
  gsize (*kept_cost) (gpointer data, guint item);
  gsize (*task_cost) (gpointer data, guint item);
  guint (*n_tasks) (gpointer data, guint item);
  gboolean (*run) (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error);
  gboolean (*advance) (gpointer data, guint item, gboolean *more, GError **error);
  guint8 *(*alloc) (gpointer data, gsize n);
  void (*free) (gpointer data, guint8 *memory);
} ScheduleOps;

/* The budget of a run: @n_threads threads that share @memory bytes of working memory. @tile: bytes of a tile, if it may
   choose; 0: TILE_TARGET */
typedef struct {
  guint64 memory;
  guint n_threads;
  gsize tile;
} Limits;

/* Runs @n_items items. An error, or cancelling, ends the run: no item behind the one that failed is started or goes on.
   If several items fail, @error is that of the first of them, whatever the number of threads */
gboolean qconv_schedule_run (const ScheduleOps *ops, gpointer data, guint n_items, const Limits *limits,
                             GCancellable *cancellable, GError **error);

/* Runs @func for 0 … @n_tasks - 1 on the calling thread, which runs a task of @s, and on idle threads of @s: on at
   most @most threads together, whose numbers @func gets. Otherwise as qconv_stream_parallel() */
gboolean qconv_schedule_share (Schedule *s, guint most, guint n_tasks, QconvTaskFunc func, gpointer data,
                               GError **error);
