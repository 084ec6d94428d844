/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds the tests of kernels for a device of the CUDA backend. */
#pragma once
#include "qconv-backend.h"

/* Adds all tests that compare levels of the processor, for @device, and one that each operation of @cuda was run */
void backend_add_tests (const QconvBackend *cuda, gpointer device);
