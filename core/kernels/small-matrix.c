/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Factors small symmetric matrices: Cholesky, and eigenvectors by Householder reflections to tridiagonal form and
   implicit QL steps (Golub and Van Loan, Matrix Computations, 8.3). low-rank.c calls it. */
#include "kernels/small-matrix.h"

#include <math.h>
#include <string.h>

/* A column of length 1 whose distance from the space of the others has at most this square is dependent: F32 numbers
   have an error of that size */
#define DEPENDENT 1e-13

static double
dot (const double *a, const double *b, guint n)
{
  double sum = 0;

  for (guint i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

/* Adds @factor times @b to @a */
static void
add_scaled (double *a, double factor, const double *b, guint n)
{
  for (guint i = 0; i < n; i++)
    a[i] += factor * b[i];
}

/* Replaces the lower triangle of @a by L. A dependent column of L is 0 */
static void
factor_cholesky (double *a, guint n)
{
  for (guint j = 0; j < n; j++)
    {
      double *row = a + (gsize) j * n, rest;

      for (guint i = 0; i < j; i++)
        {
          const double *other = a + (gsize) i * n;

          row[i] = other[i] > 0 ? (row[i] - dot (row, other, i)) / other[i] : 0;
        }
      rest = row[j] - dot (row, row, j);
      row[j] = rest > DEPENDENT ? sqrt (rest) : 0;
    }
}

void
qconv_small_invert_cholesky (double *a, guint n, double *work)
{
  factor_cholesky (a, n);
  for (guint j = 0; j < n; j++)
    {
      double *row = a + (gsize) j * n, pivot = row[j];

      memcpy (work, row, j * sizeof *row);
      memset (row, 0, n * sizeof *row);
      if (pivot == 0)
        continue;
      for (guint k = 0; k < j; k++)
        add_scaled (row, -work[k] / pivot, a + (gsize) k * n, k + 1);
      row[j] = 1 / pivot;
    }
}

/* Makes @v, which has @n numbers, the vector of length √2 for which (I − v·vᵀ) leaves only the first number of
   the old @v. Returns that number. A @v that has nothing behind its first number becomes 0 */
static double
make_reflection (double *v, guint n)
{
  double rest = dot (v + 1, v + 1, n - 1), first = v[0], length, scale;

  if (rest == 0)
    {
      v[0] = 0;
      return first;
    }
  length = sqrt (first * first + rest);
  /* the sign that does not cancel */
  if (first < 0)
    length = -length;
  v[0] = first + length;
  scale = sqrt (2 / (v[0] * v[0] + rest));
  for (guint i = 0; i < n; i++)
    v[i] *= scale;
  return -length;
}

/* Replaces the block [n, n] at @a by H·a·H with H = I − v·vᵀ. Rows are @stride apart. @p: [n] */
static void
reflect_both_sides (double *a, gsize stride, const double *v, guint n, double *p)
{
  double half;

  memset (p, 0, n * sizeof *p);
  for (guint i = 0; i < n; i++)
    add_scaled (p, v[i], a + i * stride, n);
  half = dot (p, v, n) / 2;
  add_scaled (p, -half, v, n);
  for (guint i = 0; i < n; i++)
    {
      add_scaled (a + i * stride, -v[i], p, n);
      add_scaled (a + i * stride, -p[i], v, n);
    }
}

/* Replaces @a by Qᵀ and sets the diagonals of the tridiagonal matrix Qᵀ·a·Q. @beside: [n], the last is 0 */
static void
make_tridiagonal (double *a, guint n, double *diagonal, double *beside)
{
  beside[n - 1] = 0;
  for (guint k = 0; k + 1 < n; k++)
    {
      double *v = a + (gsize) k * n + k + 1;

      beside[k] = make_reflection (v, n - k - 1);
      reflect_both_sides (a + (gsize) (k + 1) * n + k + 1, n, v, n - k - 1, diagonal);
    }
  for (guint k = 0; k < n; k++)
    diagonal[k] = a[(gsize) k * n + k];
  /* the reflections, last one first; each fills its row and column */
  for (guint k = n; k-- > 0;)
    {
      double *row = a + (gsize) k * n;

      for (guint r = k + 1; r < n; r++)
        {
          double *other = a + (gsize) r * n;

          add_scaled (other + k + 1, -dot (other + k + 1, row + k + 1, n - k - 1), row + k + 1, n - k - 1);
          other[k] = 0;
        }
      memset (row + k, 0, (n - k) * sizeof *row);
      row[k] = 1;
    }
}

/* Turns rows @x and @y, as the plane that they span */
static void
turn_rows (double *x, double *y, double cosine, double sine, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      double old = x[i];

      x[i] = cosine * old + sine * y[i];
      y[i] = cosine * y[i] - sine * old;
    }
}

/* One implicit QR step with Wilkinson's shift on rows @low to @high of a tridiagonal matrix. @v: [n, n], turned
   along */
static void
step_tridiagonal (double *d, double *e, guint low, guint high, double *v, guint n)
{
  double middle = (d[high - 1] - d[high]) / 2, last = e[high - 1];
  double root = sqrt (middle * middle + last * last);
  double shift = d[high] - last * (last / (middle < 0 ? middle - root : middle + root));
  double x = d[low] - shift, z = e[low];

  for (guint k = low; k < high; k++)
    {
      double r = sqrt (x * x + z * z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
      double a = d[k], b = e[k], f = d[k + 1];

      if (k > low)
        e[k - 1] = r;
      d[k] = c * c * a + 2 * c * s * b + s * s * f;
      d[k + 1] = s * s * a - 2 * c * s * b + c * c * f;
      e[k] = c * s * (f - a) + (c * c - s * s) * b;
      if (k + 1 < high)
        {
          x = e[k];
          z = s * e[k + 1];
          e[k + 1] *= c;
        }
      turn_rows (v + (gsize) k * n, v + (gsize) (k + 1) * n, c, s, n);
    }
}

/* Finds the eigenvalues of a tridiagonal matrix. @v: [n, n], turned along */
static void
diagonalize (double *d, double *e, double *v, guint n)
{
  double small = 0;
  guint high = n - 1;

  for (guint i = 0; i < n; i++)
    small = MAX (small, fabs (d[i]) + fabs (e[i]));
  small *= 0x1p-52;
  /* 2 to 3 steps an eigenvalue are usual. The limit only ends the work on numbers that are not finite */
  for (guint steps = 0; high > 0 && steps < 30 * n;)
    {
      guint low = high;

      while (low > 0 && fabs (e[low - 1]) > small)
        low--;
      if (low == high)
        high--;
      else
        {
          step_tridiagonal (d, e, low, high, v, n);
          steps++;
        }
    }
}

void
qconv_small_eigen (double *a, guint n, double *values, double *work)
{
  make_tridiagonal (a, n, values, work);
  diagonalize (values, work, a, n);
  for (guint i = 0; i < n; i++)
    {
      guint top = i;
      double value = values[i];

      for (guint j = i + 1; j < n; j++)
        if (values[j] > values[top])
          top = j;
      if (top == i)
        continue;
      values[i] = values[top];
      values[top] = value;
      /* exchanges the rows: a turn by a right angle, which also changes a sign, as eigenvectors may */
      turn_rows (a + (gsize) i * n, a + (gsize) top * n, 0, 1, n);
    }
}
