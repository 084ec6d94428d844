/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the tests of one source on the levels of the processor. The build defines TESTS as its name. */
#include "kernel-fixture.h"

#define PASTE(name) kernel_tests_##name
#define EXPAND(name) PASTE (name)

extern void EXPAND (TESTS) (void);

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  EXPAND (TESTS) ();
  return g_test_run ();
}
