/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts bytes of work from all threads and tells a listener now and then. */
#pragma once
#include "qconv.h"

/* The listener that follows a run and may stop it. @progress, @cancellable: (nullable) */
typedef struct {
  QconvProgressFunc progress;
  gpointer user_data;
  GCancellable *cancellable;
} Listener;

/* @done, @total: bytes; @skipped: those of @done that took no time; @start, @last: monotonic times of the first and the
   last report */
typedef struct {
  GMutex lock;
  const Listener *listener;
  guint64 done, total, skipped;
  const char *phase;
  gint64 start, last;
} Progress;

/* What is worked on: @layer (nullable), in round @round of at most @n_rounds; 0: it has no rounds */
typedef struct {
  const char *layer;
  guint round, n_rounds;
} Doing;

/* Starts to count. @listener must outlive @p. @phase: "converting" or "checking" */
void qconv_progress_init (Progress *p, guint64 total, const char *phase, const Listener *listener);
void qconv_progress_clear (Progress *p);
/* Counts @n more bytes of @layer; any thread */
void qconv_progress_add (Progress *p, guint64 n, const char *layer);
/* Raises *counted, the bytes that were counted for one task, to @n; any thread. Counts nothing if it is as large
   already */
void qconv_progress_reach (Progress *p, guint64 *counted, guint64 n, const Doing *doing);
/* Counts @n bytes that an earlier run has done */
void qconv_progress_skip (Progress *p, guint64 n);
/* Reports the end */
void qconv_progress_finish (Progress *p);
