/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buffers, streams and operations. Quantizers use the first half; the second half is the table that a backend module
   fills. */
#pragma once
#include "qconv-types.h"
G_BEGIN_DECLS

typedef struct _QconvBuffer QconvBuffer; /* typed memory of a backend; core owns it */
typedef struct _QconvStream QconvStream; /* operations of one stream run in the order in which they were enqueued */

/* Returns the size of @b in bytes. */
QCONV_API gsize qconv_buffer_size (const QconvBuffer *b);
/* Returns the type of the items of @b. */
QCONV_API QconvDType qconv_buffer_dtype (const QconvBuffer *b);
/* Returns: (transfer none) (nullable): the bytes of @b in host memory, or NULL if @b lies on a device. The address is a
   multiple of 64 unless @b is a share of a larger buffer. */
QCONV_API void *qconv_buffer_data (QconvBuffer *b);
/* Returns: (transfer none): the address of @b's first byte as the backend's alloc() counts it. For backends only. */
QCONV_API gpointer qconv_buffer_address (const QconvBuffer *b);

/* One argument of an operation. The letter in #QconvOp.args selects the member that counts. */
typedef struct {
  QconvBuffer *buffer;
  gint64 i;
  double f;
} QconvArg;
#define QCONV_BUF(b) ((QconvArg) { .buffer = (b) })
#define QCONV_I(x) ((QconvArg) { .i = (gint64) (x) })
#define QCONV_F(x) ((QconvArg) { .f = (double) (x) })

/* Enqueues operation @op of @version with @n_args @args. The arguments and the bytes of the result of one version never
   change. Fails with QCONV_ERROR_BUG if the backend lacks the operation or takes another number of arguments. An error
   of the device may show later; core then repeats the layer on the CPU. */
QCONV_API gboolean qconv_stream_run (QconvStream *s, const char *op, guint version, const QconvArg *args, guint n_args,
                                     GError **error);

/* Copy @n bytes between @host, in host memory, and @b, from its byte @first on: qconv_stream_read() to @host, when all
   operations before are done, qconv_stream_write() to @b. They wait until the bytes are there, and so for the device if
   @b lies on one: they are for a few numbers, or for pieces of a matrix that an operation cannot make. Fails with
   QCONV_ERROR_BUG if @b has fewer bytes. */
QCONV_API gboolean qconv_stream_read (QconvStream *s, QconvBuffer *b, gsize first, gsize n, void *host, GError **error);
QCONV_API gboolean qconv_stream_write (QconvStream *s, QconvBuffer *b, gsize first, gsize n, const void *host,
                                       GError **error);

/* One task of several. @worker: the number of the thread that runs it, so that each can have scratch of its own: 0 for
   the thread that called qconv_stream_parallel(). */
typedef gboolean (*QconvTaskFunc) (gpointer data, guint task, guint worker, GError **error);

/* Runs @func for the tasks 0 … @n_tasks - 1 and returns when all are done. The calling thread takes part; threads of
   the run that have nothing else to do help it. With one thread the tasks run in order.

   The number of threads differs from call to call, so the bytes may depend only on the number of the task: the layer
   alone must decide into how many tasks the work is cut, and sums over tasks are added up afterwards, in order. A task
   may run operations on @s. It must not call qconv_stream_parallel(), nor take scratch: the caller takes it for all
   workers before.
   A task that fails ends the call: no later task starts. Returns the error of the first task that fails, by its number,
   or G_IO_ERROR_CANCELLED if the run was cancelled. */
QCONV_API gboolean qconv_stream_parallel (QconvStream *s, guint n_tasks, QconvTaskFunc func, gpointer data,
                                          GError **error);

/* An operation that a quantizer needs. Tables end with { NULL }. */
typedef struct {
  const char *name;
  guint version;
} QconvOpName;

/**
 * QconvOp: one row of a backend's table.
 *
 * @name: "amax", "nvfp4-encode-rtn", "q8_0-decode" …; operations.md (in data/, installed in share/doc/qconv) lists
 *   all operations, their arguments and the bytes that they promise
 * @args: one letter for each argument: b buffer, i integer, f number. Core checks the count before it calls run()
 * @run: enqueues the operation on @stream; must not keep @args, nor read the bytes of buffers, which lie on the device:
 *   qconv_buffer_address() says where. Buffers that data/operations.md calls optional may be NULL
 */
typedef struct {
  const char *name;
  guint version;
  const char *args;
  gboolean (*run) (gpointer device, gpointer stream, const QconvArg *args, GError **error);
} QconvOp;

/**
 * QconvBackend: a set of operations on one kind of device. The module ID.so in $libdir/qconv/backends-ABI/ or in a
 * folder of QCONV_BACKEND_PATH exports it by the function qconv_backend_ID(), which returns (transfer none) the table.
 * Core opens such modules only if --device asks for one, or to list devices. Each task has a stream of its own; core
 * never uses one stream from two threads at once, but calls all functions from any thread. What fails with
 * QCONV_ERROR_DEVICE or QCONV_ERROR_LIMIT, core does again on the CPU; other errors end the run.
 *
 * @abi: QCONV_PLUGIN_ABI
 * @id: "cpu", "cuda"
 * @ops: ends with { NULL }; those that it has: the CPU does the rest
 * @n_devices: returns the number of usable devices; 0 with @error if there is a reason that people can act on
 * @open: returns device number @device, or NULL with @error; the backend must not hold more than @memory_limit bytes
 *   of the device's memory
 * @describe: returns (transfer full) the name of the device for people
 * @alloc: returns @n bytes, or NULL with @error; after QCONV_ERROR_LIMIT core tries smaller tiles
 * @alloc_host: (nullable): returns @n bytes of host memory, aligned to 64, that copies fast (pinned). NULL: core uses
 *   its own memory
 * @copy_in, @copy_out: enqueue a copy of @n bytes to and from the device; the host's bytes stay until sync()
 * @sync: waits for all enqueued work of the stream and returns its first error
 */
typedef struct {
  guint32 abi;
  const char *id, *summary;
  const QconvOp *ops;
  guint (*n_devices) (GError **error);
  gpointer (*open) (guint device, guint64 memory_limit, GError **error);
  void (*close) (gpointer device);
  char *(*describe) (gpointer device);
  gpointer (*alloc) (gpointer device, gsize n, GError **error);
  void (*free) (gpointer device, gpointer memory);
  gpointer (*alloc_host) (gpointer device, gsize n, GError **error);
  void (*free_host) (gpointer device, gpointer memory);
  gpointer (*stream_new) (gpointer device, GError **error);
  void (*stream_free) (gpointer device, gpointer stream);
  gboolean (*copy_in) (gpointer device, gpointer stream, gpointer dst, const void *src, gsize n, GError **error);
  gboolean (*copy_out) (gpointer device, gpointer stream, void *dst, gconstpointer src, gsize n, GError **error);
  gboolean (*sync) (gpointer device, gpointer stream, GError **error);
  gconstpointer reserved[8];
} QconvBackend;
G_END_DECLS
