/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Factors small symmetric matrices in FP64, for low-rank.c. Everything here uses only + - * / and square roots in a
   fixed order, so the results are the same on every machine. Matrices are [n, n], row after row. */
#pragma once
#include <glib.h>

/* Replaces the positive semidefinite matrix @a, whose diagonal is 1, by the inverse of its Cholesky factor L (a =
   L·Lᵀ). L and its inverse are lower triangles; the upper one is set to 0. If a column depends on those before it,
   the row of the inverse is 0. @work: [n] */
void qconv_small_invert_cholesky (double *a, guint n, double *work);

/* Replaces the symmetric matrix @a by its eigenvectors: row j belongs to values[j]. Values are in descending order.
   @work: [n] */
void qconv_small_eigen (double *a, guint n, double *values, double *work);
