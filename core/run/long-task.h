/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task has for hooks that take long: idle threads that help, and the progress line. convert-layers.c makes one
   for each task. */
#pragma once
#include "kernels/stream.h"
#include "layer/tile.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/**
 * LongTask: one task of the run.
 *
 * @n_threads: threads that its hook may use
 * @bytes: counted as progress when the task ends; @counted: those of them that were counted before
 * @stream: for the tile
 */
typedef struct {
  Schedule *schedule;
  guint n_threads;
  Progress *progress;
  const char *layer;
  guint64 bytes, counted;
  QconvStream stream;
} LongTask;

/* Lets the hook that gets @tile use the threads of @t and report its progress. @t must outlive @tile */
void qconv_long_task_serve (LongTask *t, Tile *tile);
/* Counts what the hook did not report */
void qconv_long_task_end (LongTask *t);
