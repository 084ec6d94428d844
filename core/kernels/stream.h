/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams on which core runs operations; qconv-backend.h declares qconv_stream_run(). */
#pragma once
#include "base/buffer.h"

/* Runs tasks on several threads, as qconv_stream_parallel() promises */
typedef gboolean (*StreamParallel) (gpointer threads, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error);

/**
 * QconvStream:
 *
 * @ops: "name/version" → QconvOp, of all operations of @backend
 * @device, @handle: (nullable): what the backend calls the device and this stream; NULL: the CPU
 * @listed: (nullable): the operations that the hook at work may run; ends with { NULL }. NULL: all
 * @parallel: (nullable): gets @threads; NULL: tasks run on the caller's thread
 * @failed: (nullable): becomes TRUE if an operation fails by the fault of the device
 */
struct _QconvStream {
  const QconvBackend *backend;
  GHashTable *ops;
  gpointer device, handle;
  const QconvOpName *listed;
  StreamParallel parallel;
  gpointer threads;
  gboolean *failed;
};

/* Returns: (transfer full) (element-type utf8 QconvOp): "name/version" → row of the table of @backend */
GHashTable *qconv_stream_index (const QconvBackend *backend);
/* Returns: (transfer none): the first of @names, which ends with { NULL }, that @ops, as of qconv_stream_index(), lack;
   NULL if they hold all. @names: (nullable) */
const QconvOpName *qconv_stream_lacks (GHashTable *ops, const QconvOpName *names);

/* Returns: (transfer none): the stream of the CPU. An operation is done when qconv_stream_run() returns */
QconvStream *qconv_stream_cpu (void);
/* Fails with QCONV_ERROR_UNSUPPORTED if the CPU lacks one of @names (nullable), which a newer core may have */
gboolean qconv_stream_cpu_check (const QconvOpName *names, GError **error);
/* Returns the stream of the CPU, whose tasks @parallel runs */
QconvStream qconv_stream_cpu_on (StreamParallel parallel, gpointer threads);
