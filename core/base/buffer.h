/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed host memory as operations see it, and the stream that runs them. */
#pragma once
#include "qconv-backend.h"

struct _QconvBuffer {
  guint8 *data;
  gsize size;
  QconvDType dtype;
};

/* A view of @size bytes at @data, which stays the caller's */
#define QCONV_BUFFER(d, n, t) ((QconvBuffer) { .data = (guint8 *) (d), .size = (n), .dtype = (t) })

/* Returns: (transfer none): the stream of the CPU; operations are done when qconv_stream_run() returns */
QconvStream *qconv_stream_cpu (void);
