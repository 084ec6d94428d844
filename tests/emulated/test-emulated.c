/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests levels that few processors have, emulated: their bytes against the scalar level. */
#include <string.h>

#include "kernel-fixture.h"

/* meson.build lists the levels as "X(avx512) …", and the sources of tests/core/kernels as "X(fp8) X(int8) …" */
#define DECLARE_OPS(level) extern const QconvOp qconv_plain_ops_##level[], qconv_ggml_ops_##level[];
FOR_EACH_LEVEL (DECLARE_OPS)
#define DECLARE_TESTS(name) extern void kernel_tests_##name (void);
FOR_EACH_TESTS (DECLARE_TESTS)

/* Emulation itself is compiled for the level avx2 */
static gboolean
has_avx2 (void)
{
  const QconvKernelLevel *level = qconv_kernel_levels ();

  while (strcmp (level->name, "avx2") != 0)
    level++;
  return level->supported ();
}

/* clang-format off */
#define LEVEL_ROW(level) { #level, has_avx2, NULL },
/* clang-format on */
static QconvKernelLevel levels[] = { FOR_EACH_LEVEL (LEVEL_ROW) { .name = NULL } };

int
main (int argc, char **argv)
{
  guint i = 0;

#define JOIN_ROW(level) levels[i++].ops = qconv_kernel_join_ops (qconv_plain_ops_##level, qconv_ggml_ops_##level);
  FOR_EACH_LEVEL (JOIN_ROW)
  g_test_init (&argc, &argv, NULL);
  kernel_test_levels (levels);
#define ADD(name) kernel_tests_##name ();
  FOR_EACH_TESTS (ADD)
  return g_test_run ();
}
