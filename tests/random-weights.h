/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random matrices for the tests of quality: for these distributions the error of each scheme is known. */
#pragma once
#include <glib.h>

typedef enum {
  RANDOM_GAUSSIAN,
  RANDOM_LAPLACE,
  RANDOM_STUDENT, /* t with 5 degrees of freedom */
  RANDOM_COLUMNS, /* Gaussian with one column of 100 eight times as large */
  RANDOM_N_KINDS
} RandomKind;

extern const char *const random_kind_names[RANDOM_N_KINDS];

/* Returns the side of a square matrix whose error is measured: 1024; 256 if test_is_small() */
guint64 random_side (void);
/* Returns: (transfer full): [rows, cols], deviation 0.02 before single weights or columns are made larger; the same on
   every machine */
float *random_weights (RandomKind kind, guint64 rows, guint64 cols, guint64 seed);
