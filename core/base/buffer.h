/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed host memory as operations see it. */
#pragma once
#include "qconv-backend.h"

/* @size: bytes at @data */
struct _QconvBuffer {
  guint8 *data;
  gsize size;
  QconvDType dtype;
};

/* Returns a view of @n bytes at @d, which stays the caller's */
#define QCONV_BUFFER(d, n, t) ((QconvBuffer) { .data = (guint8 *) (d), .size = (n), .dtype = (t) })
