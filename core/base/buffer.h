/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed memory as operations see it: of the host, or of a device. */
#pragma once
#include "qconv-backend.h"

/* @size: bytes at @data, or at @address of a device if @data is NULL */
struct _QconvBuffer {
  guint8 *data;
  gsize size;
  QconvDType dtype;
  guint8 *address;
};

/* Returns a view of @n bytes at @d, which stays the caller's */
#define QCONV_BUFFER(d, n, t) ((QconvBuffer) { .data = (guint8 *) (d), .size = (n), .dtype = (t) })
/* The same of memory at @a, which a device counts */
#define QCONV_DEVICE_BUFFER(a, n, t) ((QconvBuffer) { .address = (guint8 *) (a), .size = (n), .dtype = (t) })
