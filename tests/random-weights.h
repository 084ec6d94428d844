/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random matrices of the distributions for which the specification states each scheme's error. */
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

/* Returns: (transfer full): [rows, cols] with a deviation of 0.02, before RANDOM_COLUMNS enlarges some columns. Every
   machine gets the same numbers */
float *random_weights (RandomKind kind, guint64 rows, guint64 cols, guint64 seed);
