/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task that takes long has: idle threads that help, and the progress line. convert-layers.c and
   write-error-lora.c make one for each task. */
#pragma once
#include "kernels/stream.h"
#include "layer/tile.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/**
 * LongTask: one task of the run.
 *
 * @n_threads: threads that it may use
 * @round, @n_rounds: as in #Doing; atomic
 * @bytes: counted as progress when the task ends; @counted: those of them that were counted before
 * @stream: of qconv_long_task_stream()
 */
typedef struct {
  Schedule *schedule;
  guint n_threads;
  Progress *progress;
  const char *layer;
  gint round, n_rounds;
  guint64 bytes, counted;
  QconvStream stream;
} LongTask;

/* Returns: (transfer none): a stream that uses the threads of @t, which must outlive it */
QconvStream *qconv_long_task_stream (LongTask *t);
/* Counts @share of the work, from 0 to 1, as done; any thread */
void qconv_long_task_report (LongTask *t, double share);
/* Lets the hook that gets @tile use the threads of @t and report its progress. @t must outlive @tile */
void qconv_long_task_serve (LongTask *t, Tile *tile);
/* Counts what was not reported */
void qconv_long_task_end (LongTask *t);
