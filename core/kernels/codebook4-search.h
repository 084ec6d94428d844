/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the factor of a block's largest magnitude that makes the squared error of its codes least: by the exact
   error of every factor. codebook4.c and codebook4-likely.h call it. */
#pragma once
#include "kernels/codebook4.h"
#include "kernels/items/codebook4.h"

/* A factor, its error, and the sums whose quotient is the factor that fits its codes */
typedef struct {
  float factor, error, products, squares;
} Trial;

/* A trial to complete, and the block it is for */
typedef struct {
  Trial *trial;
  const float *u;
} Task;

/**
 * Search: one block.
 *
 * @u: weights over their largest magnitude
 * @best, @factor: the least error so far, and the factor that gave it
 */
typedef struct {
  const Book *book;
  const float *u;
  gsize n;
  float best, factor;
} Search;

/* Sets the errors of @n factors, at most 4. Callers give a constant as @n: factors that share one pass over the weights
   do not wait for each other. */
static inline void
find_errors (const Search *s, const float *factors, guint n, float *errors)
{
  BookF sums[4][BOOK_PARTS] = { 0 };
  float inverses[4];

  for (guint f = 0; f < n; f++)
    inverses[f] = 1.0f / factors[f];
  for (gsize i = 0; i < s->n; i += BOOK_GROUP)
    for (guint k = 0; k < BOOK_PARTS; k++)
      {
        BookF u = book_load (s->u + i + k * BOOK_LANES);

        for (guint f = 0; f < n; f++)
          {
            BookF t = u * inverses[f], d = t - book_nearest (s->book, t);

            sums[f][k] += d * d;
          }
      }
  for (guint f = 0; f < n; f++)
    errors[f] = factors[f] * factors[f] * book_sum (sums[f]);
}

static void
find_four_errors (const Search *s, const float *factors, float *errors)
{
  find_errors (s, factors, 4, errors);
}

static void
find_two_errors (const Search *s, const float *factors, float *errors)
{
  find_errors (s, factors, 2, errors);
}

/* Completes the trials of @n tasks, at most 2, for blocks of @size weights. Callers give a constant as @n: tasks that
   share one pass do not wait for each other. */
static inline void
run_tasks (const Book *book, gsize size, const Task *tasks, guint n)
{
  BookF sums[2][3][BOOK_PARTS];
  float inverses[2];

  for (guint t = 0; t < n; t++)
    inverses[t] = 1.0f / tasks[t].trial->factor;
#pragma GCC unroll 4
  for (guint k = 0; k < BOOK_PARTS; k++)
    {
      BookF errors[2] = { { 0 } }, products[2] = { { 0 } }, squares[2] = { { 0 } };

      for (gsize i = k * BOOK_LANES; i < size; i += BOOK_GROUP)
#pragma GCC unroll 2
        for (guint t = 0; t < n; t++)
          {
            BookF u = book_load (tasks[t].u + i), v = u * inverses[t], level = book_nearest (book, v), d = v - level;

            errors[t] += d * d;
            products[t] += u * level;
            squares[t] += level * level;
          }
#pragma GCC unroll 2
      for (guint t = 0; t < n; t++)
        {
          sums[t][0][k] = errors[t];
          sums[t][1][k] = products[t];
          sums[t][2][k] = squares[t];
        }
    }
  for (guint t = 0; t < n; t++)
    {
      Trial *trial = tasks[t].trial;

      trial->error = trial->factor * trial->factor * book_sum (sums[t][0]);
      trial->products = book_sum (sums[t][1]);
      trial->squares = book_sum (sums[t][2]);
    }
}

static Trial
try_factor (const Search *s, float factor)
{
  Trial trial = { .factor = factor };

  run_tasks (s->book, s->n, &(Task) { &trial, s->u }, 1);
  return trial;
}

/* Keeps a factor if it is better. Returns whether it is. No branches: they could not be predicted. */
static inline gboolean
keep_better (Search *s, float factor, float error)
{
  gboolean better = error < s->best;

  s->factor = better ? factor : s->factor;
  s->best = better ? error : s->best;
  return better;
}

/* Tries 1 and smaller factors, until three in a row are no better: never fewer than four of them */
static void
search_down (Search *s)
{
  float factors[4] = { 1.0f, book_down[0], book_down[1], book_down[2] }, errors[4];
  guint misses = 0;

  find_four_errors (s, factors, errors);
  s->factor = factors[0];
  s->best = errors[0];
  for (guint i = 1; i < 4; i++)
    misses = keep_better (s, factors[i], errors[i]) ? 0 : misses + 1;
  for (guint i = 3; i < BOOK_N_DOWN && misses < 3; i += 2)
    {
      factors[0] = book_down[i];
      factors[1] = book_down[MIN (i + 1, BOOK_N_DOWN - 1)];
      find_two_errors (s, factors, errors);
      for (guint k = 0; k < 2 && misses < 3; k++)
        misses = keep_better (s, factors[k], errors[k]) ? 0 : misses + 1;
    }
}

static float
search_every_factor (Search *s)
{
  float errors[4], around[2], fit;
  Trial best;

  search_down (s);
  find_four_errors (s, book_up, errors);
  for (guint i = 0; i < BOOK_N_UP; i++)
    keep_better (s, book_up[i], errors[i]);
  around[0] = s->factor - BOOK_BESIDE;
  around[1] = s->factor + BOOK_BESIDE;
  find_two_errors (s, around, errors);
  for (guint i = 0; i < 2; i++)
    keep_better (s, around[i], errors[i]);
  best = try_factor (s, s->factor);
  fit = best.products / best.squares;
  if (fit > 0.0f && fit < 2.0f)
    keep_better (s, fit, try_factor (s, fit).error);
  return s->factor;
}
