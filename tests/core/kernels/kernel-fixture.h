/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs single operations of one level on generated data, for the tests of the kernels. */
#pragma once
#include "kernels/kernels.h"
#include "kernels/stream.h"
#include "small.h"

/* Asserts that the operation exists, takes that many arguments and succeeds */
void kernel_run (const QconvKernelLevel *level, const char *op, const QconvArg *args, guint n_args);
#define KERNEL_RUN(level, op, ...) \
  kernel_run (level, op, (const QconvArg[]) { __VA_ARGS__ }, G_N_ELEMENTS (((const QconvArg[]) { __VA_ARGS__ })))

/* Returns: (transfer none): the operation called @name, which must exist */
const QconvOp *kernel_op (const QconvKernelLevel *level, const char *name);
/* Runs an operation that may fail */
gboolean kernel_try (const QconvKernelLevel *level, const char *op, const QconvArg *args, GError **error);

/* Returns: (transfer none): the levels to test, ends with { NULL }: those of the processor, unless one of the following
   was called */
const QconvKernelLevel *kernel_tested (void);
/* From now on, kernel_tested() is @levels, which ends with { NULL } and stays */
void kernel_test_levels (const QconvKernelLevel *levels);
/* From now on, kernel_tested() is the device @device of @backend, as if it were a level. Its operations run on memory
   of the device; those that it lacks run on the processor */
void kernel_test_device (const QconvBackend *backend, gpointer device);
/* Asserts that each operation of the device was run, and prints how often */
void kernel_assert_all_tried (void);

/* Begins the function that adds the tests of one source: "KERNEL_TESTS (int8) { … }" */
#define KERNEL_TESTS(name)         \
  void kernel_tests_##name (void); \
  void kernel_tests_##name (void)

/* A matrix of weights, row after row */
typedef struct {
  QconvDType dtype;
  gconstpointer data;
  gsize rows, cols;
} KernelMatrix;
#define KERNEL_MATRIX(dtype, data, rows, cols) (&(const KernelMatrix) { dtype, data, rows, cols })

/* Returns the bytes of @m as a buffer. */
QconvBuffer kernel_matrix_buffer (const KernelMatrix *m);

/* Adds "/LEVEL@path" for every level that is tested; @test gets the level. One that the processor lacks is skipped */
void kernel_add_tests (const char *path, void (*test) (const QconvKernelLevel *level));

/* Returns the next number of a sequence that is the same on every machine */
guint32 kernel_random (guint64 *state);
/* Returns a normally distributed number, deviation 1 */
double kernel_normal (guint64 *state);

/* Kinds of weights */
typedef enum {
  KERNEL_NORMAL,     /* deviation 0.02 */
  KERNEL_WIDE,       /* any finite bits at all */
  KERNEL_SPECIAL,    /* zeros of both signs, subnormals, powers of two, the largest numbers */
  KERNEL_TIES,       /* multiples of a quarter up to 6, between which codes change */
  KERNEL_BOUNDARIES, /* blocks of 16 whose largest weight lies on or beside a step of the block scale */
  KERNEL_SPARSE,     /* few weights among zeros, or 16 equal ones */
  KERNEL_OUTLIERS,   /* KERNEL_NORMAL with single weights up to 10^6 times larger */
  KERNEL_N_KINDS
} KernelKind;
void kernel_fill (KernelKind kind, float *dst, gsize n, guint64 *state);

/* Returns: (transfer full): @n finite items of F32, F16 or BF16 nearest to @src, in a block of memory of just that
   size */
void *kernel_narrow (QconvDType dtype, const float *src, gsize n);

extern const QconvDType kernel_weight_dtypes[3];

/* Calls @check for each type of weights and @rows rows of 1 … 70 columns, which start one item into their memory */
typedef void (*KernelTail) (QconvDType dtype, gconstpointer weights, gsize cols, gconstpointer data);
void kernel_each_tail (guint rows, KernelTail check, gconstpointer data);
