/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The toy scheme dark: signs that no plugin decodes, made from all rows at once by several threads. toy-quantizers.c
   lists it. */
#include <string.h>

#include "toy.h"

/* Bytes: more than the slack that core gives to every thread */
enum { SCRATCH = 20000 };

static void
dark_work (const QconvQuantizer *self, const QconvLayer *l, QconvWork *work)
{
  work->whole = TRUE;
  work->scratch_per_thread = SCRATCH;
}

/* The rows of one task, and its tasks */
enum { DARK_ROWS = 7 };

/* @scratch: of each thread; @done: tasks */
typedef struct {
  const QconvTile *t;
  QconvBuffer **scratch;
  gint done;
} Dark;

static gboolean
dark_task (gpointer data, guint task, guint worker, GError **error)
{
  Dark *d = data;
  guint64 cols = d->t->layer->cols, first = (guint64) task * DARK_ROWS, end = MIN (first + DARK_ROWS, d->t->n_rows);
  const float *x = qconv_buffer_data (d->t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (d->t, "codes"));

  g_assert_cmpuint (worker, <, d->t->n_threads);
  memset (qconv_buffer_data (d->scratch[worker]), (int) task, SCRATCH);
  for (guint64 i = first * cols; i < end * cols; i++)
    codes[i] = x[i] < 0 ? -1 : 1;
  qconv_tile_progress (d->t, (guint64) g_atomic_int_add (&d->done, 1) + 1, (d->t->n_rows + DARK_ROWS - 1) / DARK_ROWS);
  return toy_call (TOY_ENCODE, error);
}

static gboolean
dark_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  g_autofree QconvBuffer **scratch = g_new (QconvBuffer *, t->n_threads);
  Dark d = { t, scratch, 0 };

  g_assert_cmpuint (t->n_rows, ==, t->layer->rows);
  for (guint i = 0; i < t->n_threads; i++)
    if ((scratch[i] = qconv_tile_scratch (t, SCRATCH, error)) == NULL)
      return FALSE;
  return qconv_stream_parallel (t->stream, (guint) ((t->n_rows + DARK_ROWS - 1) / DARK_ROWS), dark_task, &d, error);
}

static const QconvEncoder dark_encoder = { .work = dark_work, .encode = dark_encode };

const QconvQuantizer toy_dark = { .id = "dark",
                                  .summary = "signs",
                                  .components = toy_codes_components,
                                  .encoders = (const QconvEncoder *const[]) { &dark_encoder, NULL } };
