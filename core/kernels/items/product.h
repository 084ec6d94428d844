/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sums of the operations "add-scaled", "add-product", "thin-product…" and "gram": what they multiply, and one
   step of a sum. */
#pragma once
#include <math.h>

#include "kernels/items/item.h"

/* @w += @scale·@x, @n items */
typedef struct {
  float *w;
  const float *x;
  gsize n;
  float scale;
} QconvScaledJob;

/* @w += @scale·@left·@right: @left has rows × rank items, @right rank × cols */
typedef struct {
  float *w;
  const float *left, *right;
  gsize rows, cols, rank;
  float scale;
} QconvProductJob;

/**
 * QconvThinJob: the product of a matrix and a thin one.
 *
 * @matrix: item (row, k) is at row + k·@stride if @transposed, else at row·@depth + k
 * @depth: length of the sums
 * @rows, @width: shape of the product
 */
typedef struct {
  const float *matrix, *factor;
  float *product;
  gsize rows, depth, width, stride;
  gboolean transposed;
} QconvThinJob;

typedef struct {
  const float *matrix;
  double *gram;
  gsize rows, width;
} QconvGramJob;

QCONV_ITEM void
scaled_unit (const QconvScaledJob *job, gsize i)
{
  job->w[i] += job->scale * job->x[i];
}

/* @left: scaled */
QCONV_ITEM float
product_step (float sum, float left, float right)
{
  return sum + left * right;
}

/* Rounds once */
QCONV_ITEM float
thin_step (float sum, float left, float right)
{
  return fmaf (left, right, sum);
}

/* Products of two F32 are exact in FP64 */
QCONV_ITEM double
gram_step (double sum, float left, float right)
{
  return sum + (double) left * (double) right;
}
