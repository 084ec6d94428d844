/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs operations of a backend on memory of its device, for kernel-fixture.c. */
#pragma once
#include "qconv-backend.h"

/* @device: opened by @backend, which the caller closes after the tests */
void kernel_device_begin (const QconvBackend *backend, gpointer device);

/* Copies the buffers of @args to the device, runs @op, and copies them back. If the device lacks @op, the processor
   runs it, as in a conversion */
gboolean kernel_device_run (const QconvOp *op, const QconvArg *args, GError **error);
