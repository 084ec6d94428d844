/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests runs of small plans: the bytes that they write, and the numbers that they refuse. */
#include <math.h>
#include <string.h>

#include "toy.h"

/* ---- The same bytes in every way ---- */

typedef struct {
  const char *title, *source, *target;
} Path;

static const Path paths[] = {
  { "half", NULL, "half-toy" },
  { "half of eight", NULL, "half8-toy" },
  { "whole", NULL, "whole-toy" },
  { "once", NULL, "once-toy" },
  { "twin", NULL, "twin-toy" },
  { "dark", NULL, "dark-toy" },
  { "cast", NULL, "f32-toy" },
  { "copy", NULL, "copy-toy" },
  { "half is moved", "half-toy", "half-toy" },
  { "half to half of eight", "half-toy", "half8-toy" },
  { "half to whole", "half-toy", "whole-toy" },
  { "half of eight to whole", "half8-toy", "whole-toy" },
  { "half to once", "half-toy", "once-toy" },
  { "half to twin", "half-toy", "twin-toy" },
  { "half to floats", "half-toy", "f32-toy" },
  { "whole to half", "whole-toy", "half-toy" },
  { "whole is moved", "whole-toy", "whole-toy" },
  { "whole to narrow floats", "whole-toy", "f16-toy" },
  { "once to whole", "once-toy", "whole-toy" },
  { "once is moved", "once-toy", "once-toy" },
  { "half copied verbatim", "half-toy", "copy-toy" },
};

static void
test_same (gconstpointer data)
{
  static const struct {
    guint64 memory;
    guint n_threads;
  } budgets[] = { { 0, 1 }, { 0, 7 }, { 4 << 20, 2 }, { 1100 << 10, 1 }, { 1100 << 10, 7 } };
  const Path *k = data;
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box");
  g_autoptr (GBytes) first = NULL;

  toy_reset ();
  toy_write (in, toy_mixed, NULL);
  if (k->source != NULL)
    toy_convert (in, source, &(QconvJob) { .target = k->source, .run.n_threads = 1 });
  for (guint i = 0; i < G_N_ELEMENTS (budgets); i++)
    {
      g_autofree char *out = toy_path ("out.box");
      g_autoptr (GBytes) bytes = NULL;

      toy_convert (
          k->source != NULL ? source : in, out,
          &(QconvJob) { .target = k->target, .run.memory = budgets[i].memory, .run.n_threads = budgets[i].n_threads });
      bytes = toy_file (out);
      if (first == NULL)
        first = g_bytes_ref (bytes);
      g_assert_true (g_bytes_equal (first, bytes));
    }
}

/* ---- The right bytes ---- */

enum { ROWS = 11, COLS = 8, BIAS = 40 };
static float numbers[ROWS * COLS];
static const ToyTensor counted[]
    = { { .name = "a.weight", .dtype = QCONV_F32, .shape = { 2, { ROWS, COLS } }, .values = numbers },
        { .name = "a.bias", .dtype = QCONV_F32, .shape = { 1, { ROWS } }, .values = numbers + BIAS },
        { NULL } };

static void
count (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    numbers[i] = (float) ((i * 37) % 101) - 50;
}

static void
assert_codes (const char *path, const gint8 *want)
{
  g_autoptr (GBytes) got = toy_tensor (path, "a.weight");
  const guint8 *codes = g_bytes_get_data (got, NULL);

  g_assert_cmpuint (g_bytes_get_size (got), ==, ROWS * COLS);
  for (guint i = 0; i < ROWS * COLS; i++)
    g_assert_cmpint ((gint8) (guint8) ~codes[i], ==, want[i]);
}

static float
most_of (const float *x, guint n, float mean)
{
  float most = 0;

  for (guint i = 0; i < n; i++)
    most = fmaxf (most, fabsf (x[i] - mean));
  return most;
}

static void
test_half_bytes (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (GBytes) scales = NULL, bias = NULL;
  float scale[3];
  gint8 codes[ROWS * COLS];
  guint16 narrow[ROWS];

  toy_reset ();
  count ();
  for (guint i = 0; i < 3; i++)
    scale[i] = most_of (numbers + i * 4 * COLS, MIN (4, ROWS - i * 4) * COLS, 0) / 127;
  for (guint i = 0; i < ROWS * COLS; i++)
    codes[i] = (gint8) rintf (numbers[i] / scale[i / COLS / 4]);
  for (guint i = 0; i < ROWS; i++)
    narrow[i] = (guint16) (((union {
                             float f;
                             guint32 u;
                           }) { numbers[BIAS + i] })
                               .u
                           >> 16); /* small integers fit BF16 */
  toy_write (in, counted, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  assert_codes (out, codes);
  scales = toy_tensor (out, "a.scale");
  g_assert_cmpmem (g_bytes_get_data (scales, NULL), g_bytes_get_size (scales), scale, sizeof scale);
  bias = toy_tensor (out, "a.bias");
  g_assert_cmpmem (g_bytes_get_data (bias, NULL), g_bytes_get_size (bias), narrow, sizeof narrow);
}

/* Tests that partial results are merged in the order of the chunks, which have five rows */
static void
test_whole_bytes (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (GBytes) all = NULL, mean = NULL;
  float sum = 0, scale;
  gint8 codes[ROWS * COLS];

  toy_reset ();
  count ();
  for (guint i = 0; i < ROWS; i += 5)
    {
      float chunk = 0;

      for (guint j = i * COLS; j < MIN (i + 5, ROWS) * COLS; j++)
        chunk += numbers[j];
      sum += chunk;
    }
  sum /= ROWS * COLS;
  scale = most_of (numbers, ROWS * COLS, sum) / 127;
  for (guint i = 0; i < ROWS * COLS; i++)
    codes[i] = (gint8) rintf ((numbers[i] - sum) / scale);
  toy_write (in, counted, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "whole-toy" });
  assert_codes (out, codes);
  mean = toy_tensor (out, "a.mean");
  g_assert_cmpmem (g_bytes_get_data (mean, NULL), g_bytes_get_size (mean), &sum, sizeof sum);
  all = toy_tensor (out, "a.all");
  g_assert_cmpmem (g_bytes_get_data (all, NULL), g_bytes_get_size (all), &scale, sizeof scale);
}

/* Tests that moved components are the source's, bit for bit, and are not decoded */
static void
test_moved_bytes (void)
{
  static const char *const tensors[] = { "a.weight", "a.scale", "a.scheme", "b.weight", "long.scale", "a.bias" };
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *out = toy_path ("out.box");

  toy_reset ();
  toy_write (in, toy_mixed, NULL);
  toy_convert (in, source, &(QconvJob) { .target = "half-toy" });
  toy_reset ();
  toy_convert (source, out, &(QconvJob) { .target = "half-toy", .run.no_verify = TRUE });
  g_assert_cmpint (toy.calls[TOY_DECODE] + toy.calls[TOY_ENCODE], ==, 0);
  g_assert_cmpint (toy.calls[TOY_VALIDATE], >, 0);
  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    {
      g_autoptr (GBytes) a = toy_tensor (source, tensors[i]), b = toy_tensor (out, tensors[i]);

      g_assert_true (g_bytes_equal (a, b));
    }
}

/* Tests adoption: "twin" lacks the code -127, so a layer with that code goes through floats, with the same sizes */
static void
test_adopted (gconstpointer data)
{
  gboolean exact = GPOINTER_TO_INT (data);
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *floats = toy_path ("floats.box");
  g_autofree char *out = toy_path ("out.box"), *again = toy_path ("again.box");
  g_autoptr (GBytes) codes = NULL, got = NULL, want = NULL;

  toy_reset ();
  count ();
  for (guint i = 0; i < ROWS * COLS; i++)
    numbers[i] = exact ? fabsf (numbers[i]) : -fabsf (numbers[i]);
  toy_write (in, counted, NULL);
  toy_convert (in, source, &(QconvJob) { .target = "half-toy" });
  toy_convert (source, floats, &(QconvJob) { .target = "f32-toy" });
  toy_convert (floats, again, &(QconvJob) { .target = "twin-toy" });
  toy_convert (source, out, &(QconvJob) { .target = "twin-toy" });
  codes = toy_tensor (source, "a.weight");
  got = toy_tensor (out, "a.weight");
  want = toy_tensor (again, "a.weight");
  g_assert_cmpint (g_bytes_equal (codes, got), ==, exact);
  g_assert_cmpint (g_bytes_equal (want, got), ==, !exact);
}

/* ---- Shapes at the edge ---- */

static const struct {
  const char *title, *target;
  guint64 rows, cols;
} edges[] = {
  { "no rows, half", "half-toy", 0, 16 },
  { "no rows, whole", "whole-toy", 0, 16 },
  { "no columns, whole", "whole-toy", 16, 0 },
  { "no rows, floats", "f16-toy", 0, 16 },
  { "no rows, verbatim", "copy-toy", 0, 16 },
  { "one row, half", "half-toy", 1, 8 },
  { "one row, whole", "whole-toy", 1, 8 },
  { "one row, once", "once-toy", 1, 8 },
  { "one item, whole", "whole-toy", 1, 1 },
  { "one chunk, whole", "whole-toy", 5, 4 },
  { "one group, half", "half-toy", 4, 8 },
  { "a chunk and a row, whole", "whole-toy", 6, 4 },
  { "a row more than a group, half", "half-toy", 5, 8 },
};

static void
test_edge (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *back = toy_path ("back.box");
  ToyTensor tensors[] = { TOY_FLOATS ("a.weight", QCONV_F32, edges[i].rows, edges[i].cols),
                          TOY_FLOATS ("z.weight", QCONV_F32, 8, 8),
                          { NULL } };
  static const char *const only[] = { "^a$", NULL };
  QconvJob job = { .target = edges[i].target };
  g_autoptr (GBytes) a = NULL, b = NULL;

  toy_reset ();
  if (strcmp (job.target, "f16-toy") != 0 && strcmp (job.target, "copy-toy") != 0 && edges[i].rows * edges[i].cols > 0)
    job.rules.only = only;
  toy_write (in, tensors, NULL);
  toy_convert (in, out, &job);
  toy_convert (out, back, &(QconvJob) { .target = "f32-toy" });
  a = toy_tensor (in, "a.weight");
  b = toy_tensor (back, "a.weight");
  g_assert_cmpuint (g_bytes_get_size (a), ==, g_bytes_get_size (b));
  for (gsize j = 0; j < g_bytes_get_size (a) / sizeof (float); j++)
    g_assert_cmpfloat_with_epsilon (((const float *) g_bytes_get_data (a, NULL))[j],
                                    ((const float *) g_bytes_get_data (b, NULL))[j], 0.05);
}

/* ---- Inf and NaN ---- */

/**
 * Odd: a value at @at of the weight [ROWS, COLS].
 * @source: (nullable): target that the layer is converted to before; then the first scale becomes NaN
 * @error: (nullable): NULL: it is written
 */
typedef struct {
  const char *title, *source;
  QconvJob job;
  guint at;
  float value;
  const char *error;
} Odd;

static const Odd odds[] = {
  { "inf for half", NULL, { .target = "half-toy" }, 0, INFINITY, "*in.box: layer \"a\"*" },
  { "nan in the last row", NULL, { .target = "half-toy" }, ROWS *COLS - 1, NAN, "*in.box: layer \"a\"*" },
  { "nan in a pass", NULL, { .target = "whole-toy" }, 0, NAN, "*in.box: layer \"a\"*" },
  { "nan in the last chunk", NULL, { .target = "whole-toy" }, ROWS *COLS - 1, -INFINITY, "*in.box: layer \"a\"*" },
  { "nan in one tile", NULL, { .target = "once-toy" }, 20, NAN, "*in.box: layer \"a\"*" },
  { "nan is copied", NULL, { .target = "f32-toy" }, 0, NAN, "*in.box: layer \"a\"*Inf or NaN" },
  { "nan is copied at the end", NULL, { .target = "f32-toy" }, ROWS *COLS - 1, NAN, "*in.box: layer \"a\"*" },
  { "nan is copied, but allowed", NULL, { .target = "f32-toy", .run.allow_nonfinite = TRUE }, 0, NAN, NULL },
  { "inf is cast", NULL, { .target = "f16-toy" }, 0, INFINITY, "*in.box: layer \"a\"*Inf or NaN" },
  { "inf is cast, but allowed", NULL, { .target = "f16-toy", .run.allow_nonfinite = TRUE }, 0, INFINITY, NULL },
  { "nan is kept",
    NULL,
    { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$") },
    0,
    NAN,
    "*in.box: layer \"a\"*Inf or NaN" },
  { "too large for a cast", NULL, { .target = "f16-toy" }, 0, 70000, "*in.box: layer \"a\"*1 values*F16*" },
  { "too large, but allowed", NULL, { .target = "f16-toy", .run.allow_nonfinite = TRUE }, 0, 70000, NULL },
  { "nan for half, verbatim", NULL, { .target = "copy-toy" }, 5, NAN, NULL },
  { "scale is moved", "half-toy", { .target = "half-toy" }, 0, 1, "*layer \"a\": a scale is no number" },
  { "scale is decoded", "half-toy", { .target = "f32-toy" }, 0, 1, "*layer \"a\"*" },
  { "scale is encoded", "half-toy", { .target = "whole-toy" }, 0, 1, "*layer \"a\"*" },
  { "scale is allowed", "half-toy", { .target = "f32-toy", .run.allow_nonfinite = TRUE }, 0, 1, NULL },
};

static void
test_odd (gconstpointer data)
{
  const Odd *k = data;
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("coded-in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;
  QconvJob job = k->job;
  guint n_files;

  toy_reset ();
  count ();
  numbers[k->at] = k->value;
  toy_write (in, counted, NULL);
  if (k->source != NULL)
    {
      toy_convert (in, source, &(QconvJob) { .target = k->source });
      toy_flip (source, "a.scale", 3, 0x3e ^ 0x7f); /* 0.39… becomes NaN */
    }
  n_files = toy_n_files (in);
  m = toy_open (k->source != NULL ? source : in);
  job.output = out;
  if (k->error == NULL)
    {
      g_assert_true (toy_run (m, &job, NULL, &error));
      return;
    }
  g_assert_false (toy_run (m, &job, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_NON_FINITE, k->error);
  g_assert_cmpuint (toy_n_files (in), ==, n_files);
}

/* Tests a weight and a bias of which a cast to F16 leaves nothing */
static void
test_vanishing (gconstpointer data)
{
  const gboolean allowed = GPOINTER_TO_INT (data);
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  QconvJob job = { .target = "f16-toy", .output = out, .run.allow_nonfinite = allowed, .run.no_verify = TRUE };
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    numbers[i] = i % 2 == 0 ? 1e-9f : -1e-12f;
  toy_write (in, counted, NULL);
  m = toy_open (in);
  g_assert_cmpint (toy_run (m, &job, NULL, &error), ==, allowed);
  if (!allowed)
    toy_assert_error (error, QCONV_ERROR_NON_FINITE, "*in.box: layer \"a\"*too small for F16*");
  numbers[ROWS * COLS - 1] = 1; /* one value stays, so the layer does */
  toy_write (in, counted, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "f16-toy", .run.force = TRUE });
}

/* ---- Progress ---- */

typedef struct {
  guint64 done[2], total[2];
  gboolean ordered;
} Seen;

static void
see (const QconvProgress *progress, gpointer data)
{
  Seen *s = data;
  guint phase = strcmp (progress->phase, "checking") == 0;

  s->ordered &= progress->done_bytes >= s->done[phase] && progress->done_bytes <= progress->total_bytes;
  s->done[phase] = progress->done_bytes;
  s->total[phase] = progress->total_bytes;
}

static void
test_progress (gconstpointer data)
{
  const Path *k = data;
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;
  Seen seen = { .ordered = TRUE };

  toy_reset ();
  toy_write (in, toy_mixed, NULL);
  if (k->source != NULL)
    toy_convert (in, source, &(QconvJob) { .target = k->source });
  m = toy_open (k->source != NULL ? source : in);
  p = qconv_plan_new (m, &(QconvJob) { .target = k->target, .output = out, .run.memory = 1 << 20 }, &error);
  g_assert_no_error (error);
  g_assert_true (qconv_plan_run (p, see, &seen, NULL, NULL, &error));
  g_assert_true (seen.ordered);
  g_assert_cmpuint (seen.total[0], >, 0);
  g_assert_cmpuint (seen.done[0], ==, seen.total[0]);
  g_assert_cmpuint (seen.done[1], ==, seen.total[1]);
}

/* @steps: different numbers of bytes between none and all that were reported while the layer was converted */
typedef struct {
  guint64 last;
  guint steps;
  gboolean ordered;
} Steps;

static void
count_steps (const QconvProgress *progress, gpointer data)
{
  Steps *s = data;

  if (strcmp (progress->phase, "converting") != 0)
    return;
  s->ordered &= progress->done_bytes >= s->last;
  s->steps += progress->done_bytes > s->last && progress->done_bytes < progress->total_bytes;
  s->last = progress->done_bytes;
}

static void
delay (ToyHook hook, gpointer data)
{
  g_usleep (hook == TOY_ENCODE ? 30000 : 0);
}

/* Tests that progress moves while one layer is encoded: it takes long enough for three reports */
static void
test_progress_within (void)
{
  static const ToyTensor one[] = { TOY_FLOATS ("a.weight", QCONV_F32, 105, 24), { NULL } };
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;
  Steps steps = { .ordered = TRUE };

  toy_reset ();
  toy.watch = delay;
  toy_write (in, one, NULL);
  m = toy_open (in);
  p = qconv_plan_new (m, &(QconvJob) { .target = "dark-toy", .output = out, .run.n_threads = 1 }, &error);
  g_assert_no_error (error);
  g_assert_true (qconv_plan_run (p, count_steps, &steps, NULL, NULL, &error));
  g_assert_true (steps.ordered);
  g_assert_cmpuint (steps.steps, >=, 3);
}

#define ADD(prefix, table, func)                                                               \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                             \
    {                                                                                          \
      g_autofree char *path = g_strconcat ("/core/convert/" prefix "/", table[i].title, NULL); \
                                                                                               \
      g_test_add_data_func (path, &table[i], func);                                            \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("same", paths, test_same)
  ADD ("non-finite", odds, test_odd)
  g_test_add_data_func ("/core/convert/vanishing", GINT_TO_POINTER (FALSE), test_vanishing);
  g_test_add_data_func ("/core/convert/vanishing, but allowed", GINT_TO_POINTER (TRUE), test_vanishing);
  ADD ("progress", paths, test_progress)
  g_test_add_func ("/core/convert/progress/within a layer", test_progress_within);
  for (guint i = 0; i < G_N_ELEMENTS (edges); i++)
    {
      g_autofree char *path = g_strconcat ("/core/convert/edge/", edges[i].title, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_edge);
    }
  g_test_add_func ("/core/convert/bytes/half", test_half_bytes);
  g_test_add_func ("/core/convert/bytes/whole", test_whole_bytes);
  g_test_add_func ("/core/convert/bytes/moved", test_moved_bytes);
  g_test_add_data_func ("/core/convert/bytes/adopted", GINT_TO_POINTER (TRUE), test_adopted);
  g_test_add_data_func ("/core/convert/bytes/not-adopted", GINT_TO_POINTER (FALSE), test_adopted);
  return g_test_run ();
}
