/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams on which core runs operations; qconv-backend.h declares qconv_stream_run(). */
#pragma once
#include "base/buffer.h"

/* Runs tasks on several threads, as qconv_stream_parallel() promises */
typedef gboolean (*StreamParallel) (gpointer threads, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error);

/* @ops: "name/version" -> QconvOp; @parallel: (nullable): gets @threads; NULL: tasks run on the caller's thread */
struct _QconvStream {
  const QconvBackend *backend;
  GHashTable *ops;
  StreamParallel parallel;
  gpointer threads;
};

/* Returns: (transfer none): the stream of the CPU. An operation is done when qconv_stream_run() returns */
QconvStream *qconv_stream_cpu (void);
/* Returns the stream of the CPU, whose tasks @parallel runs */
QconvStream qconv_stream_cpu_on (StreamParallel parallel, gpointer threads);
