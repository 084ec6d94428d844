/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connects one task with the threads of the scheduler and with the progress line. */
#include "run/long-task.h"

static gboolean
run_parallel (gpointer threads, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error)
{
  const LongTask *t = threads;

  return qconv_schedule_share (t->schedule, t->n_threads, n_tasks, func, data, error);
}

QconvStream *
qconv_long_task_stream (LongTask *t)
{
  t->stream = qconv_stream_cpu_on (run_parallel, t);
  return &t->stream;
}

static void
count (LongTask *t, guint64 bytes)
{
  const Doing doing = { t->layer, (guint) g_atomic_int_get (&t->round), (guint) g_atomic_int_get (&t->n_rounds) };

  qconv_progress_reach (t->progress, &t->counted, bytes, &doing);
}

void
qconv_long_task_report (LongTask *t, double share)
{
  count (t, (guint64) ((double) t->bytes * share));
}

static void
note_round (gpointer data, guint round, guint n_rounds)
{
  LongTask *t = data;

  g_atomic_int_set (&t->n_rounds, (gint) n_rounds);
  g_atomic_int_set (&t->round, (gint) round);
}

static void
report_share (gpointer data, double share)
{
  qconv_long_task_report (data, share);
}

void
qconv_long_task_serve (LongTask *t, Tile *tile)
{
  tile->pub.stream = qconv_long_task_stream (t);
  tile->pub.n_threads = t->n_threads;
  tile->report = report_share;
  tile->note_round = note_round;
  tile->report_data = t;
}

void
qconv_long_task_end (LongTask *t)
{
  count (t, t->bytes);
}
