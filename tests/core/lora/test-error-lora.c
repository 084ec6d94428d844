/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that merging an error LoRA lowers the error of a quantized layer as its singular values say, that the LoRA of a
   rank beyond the layer is the whole error, and that a run that is cancelled leaves neither file. */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "lora-fixture.h"

#define NAME "layers.0.weight"
#define RANK 8
enum { ROWS = 256, COLS = 64 };

/* The files of one conversion with an error LoRA */
typedef struct {
  char *model, *output, *lora;
} Files;

static void
files_clear (Files *f)
{
  g_free (f->model);
  g_free (f->output);
  g_free (f->lora);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Files, files_clear)

/* Cancels the run as soon as it writes the LoRA */
static void
cancel_late (const QconvProgress *p, gpointer cancellable)
{
  if (strcmp (p->phase, "approximating") == 0)
    g_cancellable_cancel (cancellable);
}

/* Encodes a model of one layer. @rank: as the option takes it; @cancellable: (nullable): cancelled in the last phase */
static Files
encode (const char *rank, GCancellable *cancellable, QconvReport **report, GError **error)
{
  Files f = { lora_model ("--layers 1 --rows 256 --cols 64 --type f32"), scratch_path ("out.safetensors"),
              scratch_path ("mend.safetensors") };
  g_autofree char *option = g_strconcat (f.lora, ":", rank, NULL);
  QconvJob job = { .target = "nvfp4-comfy",
                   .output = f.output,
                   .rules.only = QCONV_LIST (""),
                   .lora.error = option,
                   .run.n_threads = 2,
                   .effort = "rtn" };
  g_autoptr (QconvModel) m = open_model (f.model, NULL);
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, error);

  g_assert_no_error (*error);
  qconv_plan_run (plan, cancellable != NULL ? cancel_late : NULL, cancellable, cancellable, report, error);
  return f;
}

/* Returns: (transfer full): the weight of @f minus the decoded one, with the LoRA merged or without it */
static Matrix *
error_of (const Files *f, gboolean merged)
{
  g_autoptr (QconvModel) source = open_model (f->model, NULL), got = NULL;
  Matrix *w = lora_tensor (source, NAME);
  g_autoptr (Matrix) decoded = NULL;

  got = lora_bake (f->output, "f32-safetensors", NULL, merged ? QCONV_LIST (f->lora) : NULL);
  decoded = lora_tensor (got, NAME);
  for (gsize i = 0; i < w->rows * w->cols; i++)
    w->items[i] -= decoded->items[i];
  return w;
}

static double
sum_of_squares (const Matrix *m)
{
  double sum = 0;

  for (gsize i = 0; i < m->rows * m->cols; i++)
    sum += (double) m->items[i] * (double) m->items[i];
  return sum;
}

static int
compare_ascending (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Turns two columns so that they become orthogonal: one step of the one-sided Jacobi method */
static void
turn (double *a, guint p, guint q)
{
  double pp = 0, qq = 0, pq = 0, zeta, t, c;

  for (guint i = 0; i < ROWS; i++)
    {
      pp += a[i * COLS + p] * a[i * COLS + p];
      qq += a[i * COLS + q] * a[i * COLS + q];
      pq += a[i * COLS + p] * a[i * COLS + q];
    }
  if (fabs (pq) <= 1e-14 * sqrt (pp * qq))
    return;
  zeta = (qq - pp) / (2 * pq);
  t = (zeta < 0 ? -1 : 1) / (fabs (zeta) + sqrt (1 + zeta * zeta));
  c = 1 / sqrt (1 + t * t);
  for (guint i = 0; i < ROWS; i++)
    {
      double x = a[i * COLS + p], y = a[i * COLS + q];

      a[i * COLS + p] = c * (x - t * y);
      a[i * COLS + q] = c * (t * x + y);
    }
}

/* Returns the least sum of squares that a product of rank RANK leaves of @m */
static double
least_error (const Matrix *m)
{
  g_autofree double *a = g_new (double, ROWS *COLS);
  double values[COLS] = { 0 }, sum = 0;

  for (guint i = 0; i < ROWS * COLS; i++)
    a[i] = (double) m->items[i];
  for (guint sweep = 0; sweep < 12; sweep++)
    for (guint p = 0; p < COLS; p++)
      for (guint q = p + 1; q < COLS; q++)
        turn (a, p, q);
  for (guint j = 0; j < COLS; j++)
    for (guint i = 0; i < ROWS; i++)
      values[j] += a[i * COLS + j] * a[i * COLS + j];
  qsort (values, COLS, sizeof *values, compare_ascending);
  for (guint j = 0; j < COLS - RANK; j++)
    sum += values[j];
  return sum;
}

static void
test_singular_values (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report = NULL;
  g_auto (Files) f = encode (G_STRINGIFY (RANK), NULL, &report, &error);
  g_autoptr (Matrix) before = error_of (&f, FALSE), after = error_of (&f, TRUE);
  g_autoptr (QconvModel) source = open_model (f.model, NULL);
  g_autoptr (Matrix) w = lora_tensor (source, NAME);
  double least = least_error (before), got = sum_of_squares (after), weights = sum_of_squares (w);

  g_assert_no_error (error);
  g_test_message ("without %g, least %g, with %g", sum_of_squares (before), least, got);
  g_assert_cmpfloat (least, <, 0.85 * sum_of_squares (before));
  g_assert_cmpfloat (got, <, 1.01 * least);
  g_assert_cmpfloat (got, >, 0.9999 * least);
  g_assert_cmpfloat_with_epsilon (report->lora_before * weights / sum_of_squares (before), 1, 1e-6);
  g_assert_cmpfloat_with_epsilon (report->lora_after * weights / got, 1, 1e-4);
  g_remove (f.output);
  g_remove (f.lora);
}

static void
test_full_rank (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report = NULL;
  g_auto (Files) f = encode ("1000", NULL, &report, &error);
  g_autoptr (Matrix) before = error_of (&f, FALSE), after = error_of (&f, TRUE);
  g_autoptr (QconvModel) lora = open_model (f.lora, NULL);
  const QconvTensor *up
      = qconv_directory_find (qconv_model_directory (lora), "diffusion_model.layers.0.lora_up.weight");

  g_assert_no_error (error);
  g_assert_nonnull (up);
  g_assert_cmpuint (up->shape.dim[1], ==, COLS);
  /* BF16 rounds both factors by 2^-9 at most */
  g_assert_cmpfloat (sum_of_squares (after), <, 1e-4 * sum_of_squares (before));
  g_remove (f.output);
  g_remove (f.lora);
}

static void
test_cancelled (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Files) f = encode ("8", cancellable, NULL, &error);

  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (g_file_test (f.output, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (f.lora, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/error-lora/singular-values", test_singular_values);
  g_test_add_func ("/error-lora/full-rank", test_full_rank);
  g_test_add_func ("/error-lora/cancelled", test_cancelled);
  status = g_test_run ();
  scratch_end ();
  return status;
}
