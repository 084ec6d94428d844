/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds the tests of kernels for a device of the CUDA backend, as if it were one more level of the processor. */
#include "backend-tests.h"

#include "kernel-fixture.h"

/* meson.build lists the sources of tests/core/kernels as "X(fp8) X(int8) …" */
#define DECLARE(name) extern void kernel_tests_##name (void);
FOR_EACH_TESTS (DECLARE)

void
backend_add_tests (const QconvBackend *cuda, gpointer device)
{
  kernel_test_device (cuda, device);
#define ADD(name) kernel_tests_##name ();
  FOR_EACH_TESTS (ADD)
  /* GLib runs groups in the order in which they begin */
  g_test_add_func ("/tried/all-operations", kernel_assert_all_tried);
}
