/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buffers, streams and operations. Quantizers use the first half; the second half is what a backend fills. */
#pragma once
#include "qconv-types.h"
G_BEGIN_DECLS

typedef struct _QconvBuffer QconvBuffer; /* typed memory of a backend; owned by core */
typedef struct _QconvStream QconvStream; /* operations on one stream run in order */

/* Returns: bytes */
QCONV_API gsize qconv_buffer_size (const QconvBuffer *b);
QCONV_API QconvDType qconv_buffer_dtype (const QconvBuffer *b);
/* Returns: (transfer none) (nullable): the bytes in host memory, aligned to 64 unless the buffer is a share of a
   larger one; NULL on devices */
QCONV_API void *qconv_buffer_data (QconvBuffer *b);
/* Returns: for backends: the address that alloc() gave, the start of this share included */
QCONV_API gpointer qconv_buffer_address (const QconvBuffer *b);

/* One argument of an operation; which member counts is said by #QconvOp.args */
typedef struct {
  QconvBuffer *buffer;
  gint64 i;
  double f;
} QconvArg;
#define QCONV_BUF(b) ((QconvArg) { .buffer = (b) })
#define QCONV_I(x) ((QconvArg) { .i = (gint64) (x) })
#define QCONV_F(x) ((QconvArg) { .f = (double) (x) })

/* Enqueues @op. Arguments and result bytes of an operation never change under one version. Unknown operation or wrong
   number of arguments: QCONV_ERROR_BUG. Device trouble may show later: core then does the layer again on the CPU */
QCONV_API gboolean qconv_stream_run (QconvStream *s, const char *op, guint version, const QconvArg *args, guint n_args,
                                     GError **error);

/* An operation that a quantizer needs; tables end with { NULL } */
typedef struct {
  const char *name;
  guint version;
} QconvOpName;

/**
 * QconvOp: one row of a backend's table.
 *
 * @name: "amax", "nvfp4-encode-rtn", "q8_0-decode" …: all of them with arguments and promised bytes are in
 *   data/operations.md
 * @args: one letter each: b buffer, i integer, f number; core checks the count before run()
 */
typedef struct {
  const char *name;
  guint version;
  const char *args;
  gboolean (*run) (gpointer device, gpointer stream, const QconvArg *args, GError **error);
} QconvOp;

/**
 * QconvBackend: a set of operations on one kind of device; a backend module exports it by a function called
 * qconv_backend_ID(). One thread per stream; none is used by two at once.
 *
 * @abi: QCONV_PLUGIN_ABI
 * @id: "cpu", "cuda"
 * @ops: ends with { NULL }
 */
typedef struct {
  guint32 abi;
  const char *id, *summary;
  const QconvOp *ops;
  guint (*n_devices) (GError **error);
  gpointer (*open) (guint device, guint64 memory_limit, GError **error);
  void (*close) (gpointer device);
  char *(*describe) (gpointer device);                          /* (transfer full): for people */
  gpointer (*alloc) (gpointer device, gsize n, GError **error); /* QCONV_ERROR_LIMIT: core takes smaller tiles */
  void (*free) (gpointer device, gpointer memory);
  gpointer (*alloc_host) (gpointer device, gsize n, GError **error); /* pinned; NULL: malloc will do */
  void (*free_host) (gpointer device, gpointer memory);
  gpointer (*stream_new) (gpointer device, GError **error);
  void (*stream_free) (gpointer device, gpointer stream);
  gboolean (*copy_in) (gpointer device, gpointer stream, gpointer dst, const void *src, gsize n, GError **error);
  gboolean (*copy_out) (gpointer device, gpointer stream, void *dst, gconstpointer src, gsize n, GError **error);
  gboolean (*sync) (gpointer device, gpointer stream, GError **error); /* errors of all enqueued work */
  gconstpointer reserved[8];
} QconvBackend;
G_END_DECLS
