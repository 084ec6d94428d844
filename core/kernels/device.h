/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices beside the processor: opens them, and gives each task a stream and a mirror of the buffers that its hooks
   use. layer/ calls it for hooks, run/ for tasks. */
#pragma once
#include "kernels/stream.h"

/* An open device */
typedef struct _Device Device;

/* Opens device number @number of @backend, where all tasks together may hold @memory bytes; 0: no limit. Returns:
   (transfer full) */
Device *qconv_device_open (const QconvBackend *backend, guint number, guint64 memory, GError **error);
/* All tasks must have ended */
void qconv_device_close (Device *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Device, qconv_device_close)
/* Returns: (transfer none): "cuda:0, NVIDIA …" */
const char *qconv_device_name (const Device *d);
/* Returns whether the device has all of @names, which ends with { NULL }; FALSE if @names is NULL */
gboolean qconv_device_offers (const Device *d, const QconvOpName *names);
/* Returns whether @error is the fault of a device and not of who asked it: it failed, or its memory is full */
gboolean qconv_device_is_at_fault (const GError *error);

/* Returns: (transfer full): @n bytes of host memory, aligned to 64, that copy fast to and from the device. Any
   thread */
guint8 *qconv_device_host_alloc (Device *d, gsize n);
void qconv_device_host_free (Device *d, guint8 *memory);

/* What one task has of a device: a stream, and the mirrors of host buffers. One thread at a time uses it */
typedef struct _DeviceTask DeviceTask;

/* Returns: (transfer full): gives the task a stream. Any thread */
DeviceTask *qconv_device_begin (Device *d, GError **error);
/* Gives up all mirrors, and waits for the stream first if any are left. @t: (nullable) */
void qconv_device_end (DeviceTask *t);
/* Returns: (transfer none): the device of @t */
Device *qconv_device_of (const DeviceTask *t);
/* Returns: (transfer none): the stream on which the hooks of the task run operations */
QconvStream *qconv_device_stream (DeviceTask *t);
/* Returns whether the device, and not the task, is to blame for an error that the task met */
gboolean qconv_device_failed (const DeviceTask *t);

/* Returns: (transfer none): the buffer on the device that mirrors @host, which lies in host memory, or in a buffer that
   is mirrored. A new mirror gets the bytes of @host if @fill is TRUE. It stays until qconv_device_forget() */
QconvBuffer *qconv_device_mirror (DeviceTask *t, const QconvBuffer *host, gboolean fill, GError **error);
/* Returns: (transfer none) (nullable): the mirror of @host; NULL: it has none */
QconvBuffer *qconv_device_find (DeviceTask *t, const QconvBuffer *host);
/* Returns: (transfer none): @n bytes on the device, until qconv_device_forget() */
QconvBuffer *qconv_device_scratch (DeviceTask *t, gsize n, GError **error);
/* Returns: (transfer none): a buffer whose members the caller sets, until qconv_device_forget() */
QconvBuffer *qconv_device_view (DeviceTask *t);
/* Notes that an operation writes the mirror of @host, so that the host has older bytes */
void qconv_device_wrote (DeviceTask *t, const QconvBuffer *host);
/* Returns whether a mirror has newer bytes of @host */
gboolean qconv_device_is_newer (const DeviceTask *t, const QconvBuffer *host);
/* Copies all newer bytes to the host, but for those around @but (nullable), and waits until all work of the task is
   done */
gboolean qconv_device_fetch (DeviceTask *t, const QconvBuffer *but, GError **error);
/* Gives up all mirrors, scratch and views, but for the mirror around @but (nullable) */
void qconv_device_forget (DeviceTask *t, const QconvBuffer *but);
/* Copies @host to the host if a mirror has newer bytes of it, and gives up all mirrors. @t: (nullable) */
gboolean qconv_device_bring (DeviceTask *t, const QconvBuffer *host, GError **error);
