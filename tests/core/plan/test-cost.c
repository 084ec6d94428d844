/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the tiles of layers: the memory that a task gets against the memory that it takes, and the least memory of a
   plan against the memory that its run needs. */
#include <string.h>

#include "layer/tile.h"
#include "plan/plan.h"
#include "small.h"
#include "toy.h"

/**
 * Case: a layer of @rows × @cols.
 * @source: (nullable): target that it is converted to first
 * @factor: a task gets at most this many times the bytes that it takes, beside TILE_SLACK for each thread: layers that
 *   are decoded get room for a decoder's scratch, which the toys do not use
 */
typedef struct {
  const char *title, *source, *target;
  QconvDType dtype;
  guint64 rows, cols;
  double factor;
} Case;

static const Case cases[] = {
  { "half", NULL, "half-toy", QCONV_F32, 3001, 96, 1.01 },
  { "half of bf16", NULL, "half-toy", QCONV_BF16, 3001, 96, 1.01 },
  { "half of eight", NULL, "half8-toy", QCONV_F16, 3001, 96, 1.01 },
  { "half of long rows", NULL, "half-toy", QCONV_F32, 9, 32768, 1.1 },
  { "half of few rows", NULL, "half-toy", QCONV_F32, 3, 96, 1.2 },
  { "whole", NULL, "whole-toy", QCONV_F32, 3001, 96, 1.01 },
  { "whole of bf16", NULL, "whole-toy", QCONV_BF16, 3001, 96, 1.01 },
  { "whole of long rows", NULL, "whole-toy", QCONV_F32, 9, 32768, 1.1 },
  { "once", NULL, "once-toy", QCONV_F32, 1000, 96, 1.01 },
  { "half to whole", "half-toy", "whole-toy", QCONV_F32, 3001, 96, 2 },
  { "half of eight to whole", "half8-toy", "whole-toy", QCONV_F32, 3001, 96, 2 },
  { "half to once", "half-toy", "once-toy", QCONV_F32, 1000, 96, 2 },
  { "once to half", "once-toy", "half-toy", QCONV_F32, 1000, 96, 2 },
  { "whole to half", "whole-toy", "half-toy", QCONV_F32, 3001, 96, 2 },
};
/* Plans in which the toys record no tile */
static const Case unseen[] = {
  { "cast", NULL, "f16-toy", QCONV_F32, 3001, 96 },
  { "widening", NULL, "f32-toy", QCONV_BF16, 3001, 96 },
  { "cast of long rows", NULL, "f16-toy", QCONV_F32, 9, 32768 },
  { "widening of long rows", NULL, "f32-toy", QCONV_F16, 9, 32768 },
  { "half to long floats", "half-toy", "f32-toy", QCONV_F32, 9, 32768 },
  { "half of long rows is moved", "half-toy", "half-toy", QCONV_F32, 9, 32768 },
  { "half to long twin", "half-toy", "twin-toy", QCONV_F32, 9, 32768 },
  { "copy", NULL, "copy-toy", QCONV_F32, 3001, 96 },
  { "dark", NULL, "dark-toy", QCONV_F32, 1000, 96 },
  { "half is moved", "half-toy", "half-toy", QCONV_F32, 3001, 96 },
  { "once is moved", "once-toy", "once-toy", QCONV_F32, 1000, 96 },
  { "half to floats", "half-toy", "f32-toy", QCONV_F32, 3001, 96 },
  { "once to narrow floats", "once-toy", "f16-toy", QCONV_F32, 1000, 96 },
  { "half to twin", "half-toy", "twin-toy", QCONV_F32, 3001, 96 },
};

static const PlannedLayer *
planned_layer (const QconvPlan *p)
{
  return g_ptr_array_index (p->output.layers, 0);
}

/* Returns: (transfer full): the model of @k, converted to its source */
static QconvModel *
make_model (const Case *k)
{
  const ToyTensor tensors[] = { { "a.weight", k->dtype, { 2, { k->rows, k->cols } }, NULL, NULL }, { NULL } };
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box");

  toy_reset ();
  toy_write (in, tensors, NULL);
  if (k->source != NULL)
    toy_convert (in, source, &(QconvJob) { .target = k->source, .rules.only = QCONV_LIST ("^a$") });
  return toy_open (k->source != NULL ? source : in);
}

/* Plans the job @job with the settings of @k. Writes to @out */
static QconvPlan *
make_plan (QconvModel *m, const Case *k, QconvJob job, const char *out, GError **error)
{
  job.target = k->target;
  job.rules.only = strstr ("f16-toy f32-toy copy-toy", k->target) == NULL ? QCONV_LIST ("^a$") : NULL;
  job.output = out;
  job.run.force = TRUE;
  return qconv_plan_new (m, &job, error);
}

static void
run_plan (QconvPlan *p)
{
  g_autoptr (GError) error = NULL;

  qconv_plan_run (p, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

/* Tests that tiles are cut where runs start and fit the budget, and that no task takes more than it gets, or much
   less */
static void
test_tiles (gconstpointer data)
{
  static const struct {
    guint64 memory;
    guint n_threads;
  } budgets[] = { { 0, 1 }, { 8 << 20, 3 }, { 2 << 20, 1 }, { 2 << 20, 16 } };
  const Case *k = data;
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (k);

  for (guint i = test_is_small () ? 2 : 0; i < G_N_ELEMENTS (budgets); i++)
    {
      guint64 budget = budgets[i].memory > 0 ? budgets[i].memory : QCONV_DEFAULT_MEMORY;
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) p = make_plan (
          m, k, (QconvJob) { .run.memory = budgets[i].memory, .run.n_threads = budgets[i].n_threads }, out, &error);
      const PlannedLayer *l;
      gsize share;

      g_assert_no_error (error);
      l = planned_layer (p);
      share = (gsize) ((budget - l->tiling.kept_cost) / budgets[i].n_threads);
      g_assert_cmpuint (l->tiling.kept_cost + l->tiling.task_cost, <=, budget);
      g_assert_true (l->tiling.rows % l->tiling.align == 0 || l->tiling.rows == k->rows);
      if (l->tiling.rows > l->tiling.align)
        g_assert_cmpuint (l->tiling.task_cost, <=, MIN (share, TILE_TARGET));
      g_assert_cmpuint (qconv_plan_peak_memory (p), <=, budget);
      g_assert_cmpuint (qconv_plan_peak_memory (p), >=, l->tiling.kept_cost + l->tiling.task_cost);
      g_assert_cmpuint (qconv_plan_peak_memory (p), >=, MIN (budget, l->tiling.check_least));
      toy_reset ();
      run_plan (p);
      g_assert_cmpuint (toy.most_used, <=, l->tiling.task_cost);
      g_assert_cmpfloat ((double) (l->tiling.task_cost - TILE_SLACK * l->tiling.n_threads), <=,
                         k->factor * (double) toy.most_used);
    }
}

/* Tests that a tile is as high as possible: one of twice the height would not fit */
static void
test_as_high_as_fits (void)
{
  static const Case k = { "", NULL, "half-toy", QCONV_F32, 1 << 14, 64, 0 };
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (&k);
  guint64 last = 0;

  for (guint64 memory = 256 << 10; memory <= 16 << 20; memory *= 2)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) p = make_plan (m, &k, (QconvJob) { .run.memory = memory, .run.n_threads = 1 }, out, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (planned_layer (p)->tiling.rows, >=, last);
      last = planned_layer (p)->tiling.rows;
      if (planned_layer (p)->tiling.task_cost < TILE_TARGET / 2)
        g_assert_cmpuint (planned_layer (p)->tiling.task_cost, >, (memory - planned_layer (p)->tiling.kept_cost) / 3);
    }
}

/* Returns the least memory that a plan accepts */
static guint64
least_memory (QconvModel *m, const Case *k, gboolean no_verify, const char *out)
{
  guint64 low = 0, high = 64 << 20;

  while (high - low > 1)
    {
      guint64 middle = low + (high - low) / 2;
      g_autoptr (QconvPlan) p = make_plan (
          m, k, (QconvJob) { .run.memory = middle, .run.n_threads = 1, .run.no_verify = no_verify }, out, NULL);

      *(p != NULL ? &high : &low) = middle;
    }
  return high;
}

/* Tests that the least memory is enough for the run and for the check behind it, with any number of threads */
static void
test_least (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (k);

  for (guint i = 0; i < 2; i++)
    {
      QconvJob job = { .run.memory = least_memory (m, k, i == 0, out),
                       .run.n_threads = i == 0 ? 1 : 8,
                       .run.no_verify = i == 0 };
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) p = make_plan (m, k, job, out, &error);

      g_assert_no_error (error);
      run_plan (p);
    }
}

/* Tests that the error of a plan that does not fit names enough memory, and that a MiB less is not enough */
static void
test_limit (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (k);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) p = make_plan (m, k, (QconvJob) { .run.memory = 1024, .run.n_threads = 1 }, out, &error);
  const char *said;
  guint64 mib;

  if (p != NULL) /* a copy takes all memory that it gets */
    {
      g_assert_true (planned_layer (p)->copies);
      run_plan (p);
      return;
    }
  toy_assert_error (error, QCONV_ERROR_LIMIT, "layer \"a*\" needs * MiB*--memory *M*");
  said = strstr (error->message, "--memory ");
  mib = g_ascii_strtoull (said + strlen ("--memory "), NULL, 10);
  g_clear_error (&error);
  p = make_plan (m, k, (QconvJob) { .run.memory = mib << 20, .run.n_threads = 1 }, out, &error);
  g_assert_no_error (error);
  run_plan (p);
  g_clear_pointer (&p, qconv_plan_free);
  if (mib > 1)
    p = make_plan (m, k, (QconvJob) { .run.memory = (mib - 1) << 20, .run.n_threads = 1 }, out, &error);
  g_assert_null (p);
}

/* Tests the reader's minimum of rows: all of them if the memory allows, else the largest half, quarter … that fits.
   All row components are held instead if the reader wants every row, or a pass reads them before the encoder, and they
   fit half of the memory */
static void
test_worth (void)
{
  static const struct {
    const char *target;
    guint64 memory, min_rows;
    gboolean kept, holds;
  } rows[] = { { "f32-toy", 0, 3000, TRUE, FALSE },        { "f32-toy", 0, 6, TRUE, FALSE },
               { "whole-toy", 0, 3000, FALSE, TRUE },      { "f32-toy", 0, 100000, FALSE, TRUE },
               { "f32-toy", 1 << 20, 3000, FALSE, FALSE }, { "f32-toy", 1 << 20, 100000, FALSE, TRUE },
               { "whole-toy", 1 << 20, 6, FALSE, TRUE },   { "whole-toy", 400 << 10, 1000, FALSE, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
      g_autofree char *marker
          = g_strdup_printf ("half|group=4|4000|64|F32|min_rows=%" G_GUINT64_FORMAT, rows[i].min_rows);
      const ToyTensor tensors[] = { { "a.weight", QCONV_I8, { 2, { 4000, 64 } }, NULL, NULL },
                                    { "a.scale", QCONV_F32, { 1, { 1000 } }, NULL, NULL },
                                    { "a.scheme", QCONV_U8, { 1, { 60 } }, NULL, marker },
                                    { NULL } };
      const Case k = { "", NULL, rows[i].target, QCONV_F32, 4000, 64, 0 };
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (QconvPlan) p = NULL;
      g_autoptr (GError) error = NULL;

      toy_reset ();
      toy_write (in, tensors, NULL);
      m = toy_open (in);
      p = make_plan (m, &k, (QconvJob) { .run.memory = rows[i].memory, .run.n_threads = 1 }, out, &error);
      g_assert_no_error (error);
      g_assert_cmpint (planned_layer (p)->tiling.holds, ==, rows[i].holds);
      if (rows[i].holds)
        g_assert_cmpuint (planned_layer (p)->tiling.kept_cost, >=, 4000 * 64);
      else if (rows[i].kept)
        g_assert_cmpuint (planned_layer (p)->tiling.rows, >=, MIN (rows[i].min_rows, 4000));
      else
        {
          guint64 align = planned_layer (p)->tiling.align;

          g_assert_cmpuint (planned_layer (p)->tiling.rows, <, rows[i].min_rows);
          g_assert_cmpuint (planned_layer (p)->tiling.rows, >=, rows[i].min_rows / 8 / align * align);
        }
      g_assert_cmpuint (planned_layer (p)->tiling.rows % planned_layer (p)->tiling.align, ==, 0);
    }
}

/* Each kind of run in a layer: tiles may be cut at its edges */
static const struct {
  const char *title, *source, *target;
  guint64 align;
} edges[] = {
  { "half", NULL, "half-toy", 4 },
  { "half of eight", NULL, "half8-toy", 8 },
  { "whole", NULL, "whole-toy", 1 },
  { "once", NULL, "once-toy", 100 },
  { "dark", NULL, "dark-toy", 100 },
  { "half to whole", "half-toy", "whole-toy", 4 },
  { "half to half of eight", "half-toy", "half8-toy", 8 },
  { "once to half", "once-toy", "half-toy", 100 },
  { "cast", NULL, "f16-toy", 1 },
};

static void
test_edge (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  const Case k = { "", edges[i].source, edges[i].target, QCONV_F32, 100, 96, 0 };
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (&k);
  g_autoptr (QconvPlan) p = make_plan (m, &k, (QconvJob) { .run.n_threads = 1 }, out, NULL);

  g_assert_nonnull (p);
  g_assert_cmpuint (planned_layer (p)->tiling.align, ==, edges[i].align);
}

/* Tests that the file is as long as was planned */
static void
test_output_bytes (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = make_model (k);
  g_autoptr (QconvPlan) p = make_plan (m, k, (QconvJob) { 0 }, out, NULL);
  g_autoptr (GBytes) bytes = NULL;

  run_plan (p);
  bytes = toy_file (out);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, qconv_plan_output_bytes (p));
}

#define ADD(prefix, table, data, func)                                                      \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                          \
    {                                                                                       \
      g_autofree char *path = g_strconcat ("/core/cost/" prefix "/", table[i].title, NULL); \
                                                                                            \
      g_test_add_data_func (path, data, func);                                              \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("tiles", cases, &cases[i], test_tiles)
  ADD ("least", cases, &cases[i], test_least)
  ADD ("least", unseen, &unseen[i], test_least)
  ADD ("limit", cases, &cases[i], test_limit)
  ADD ("limit", unseen, &unseen[i], test_limit)
  ADD ("bytes", cases, &cases[i], test_output_bytes)
  ADD ("bytes", unseen, &unseen[i], test_output_bytes)
  ADD ("edge", edges, GUINT_TO_POINTER (i), test_edge)
  g_test_add_func ("/core/cost/as-high-as-fits", test_as_high_as_fits);
  g_test_add_func ("/core/cost/worth", test_worth);
  return g_test_run ();
}
