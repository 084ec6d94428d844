/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests every target: the written size is the planned size, the bytes do not depend on threads or memory, and the
 * program reads back what it wrote. */
#include <glib/gstdio.h>
#include <string.h>

#include "sample.h"

/* The settings of a conversion besides its target */
typedef struct {
  const char *name;
  guint n_threads;
  guint64 memory;
  const char *option;
} Way;

static char *source;

static QconvModel *
open_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *model = qconv_model_open (path, NULL, &error);

  g_assert_no_error (error);
  return model;
}

static QconvPlan *
make_plan (QconvModel *model, const char *target, const char *output, const Way *way, GError **error)
{
  const char *options[] = { way->option, NULL };
  QconvJob job = { .target = target,
                   .output = output,
                   .options = options,
                   .run.memory = way->memory,
                   .run.n_threads = way->n_threads,
                   .run.force = TRUE };

  return qconv_plan_new (model, &job, error);
}

/* Checks that every weight of the plan is in the file, encoded as planned */
static void
check_weights (QconvPlan *plan, const char *path)
{
  g_autoptr (QconvModel) model = open_model (path);
  g_autoptr (GArray) planned = qconv_plan_weights (plan), found = qconv_model_weights (model);

  g_assert_cmpuint (planned->len, >, 0);
  g_assert_cmpuint (planned->len, ==, found->len);
  for (guint i = 0; i < planned->len; i++)
    {
      const QconvPlannedInfo *want = &g_array_index (planned, QconvPlannedInfo, i);
      gboolean seen = FALSE;

      for (guint k = 0; k < found->len; k++)
        {
          const QconvWeightInfo *got = &g_array_index (found, QconvWeightInfo, k);

          if (!g_str_equal (got->name, want->name))
            continue;
          seen = TRUE;
          g_assert_cmpstr (got->scheme, ==, want->scheme);
          /* the plan counts all tensors of the layer, markers too */
          g_assert_cmpuint (got->bytes, >, 0);
          g_assert_cmpuint (got->bytes, <=, want->bytes);
        }
      if (!seen)
        g_test_message ("%s: planned, but missing in the written file", want->name);
      g_assert_true (seen);
    }
}

/* Returns: (transfer full): the bytes of the written file */
static GBytes *
convert (const char *input, const char *target, const Way *way)
{
  g_autofree char *name = g_strconcat (way->name, ".out", NULL);
  g_autofree char *path = g_build_filename (sample_folder (), name, NULL);
  g_autoptr (QconvModel) model = open_model (input);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = make_plan (model, target, path, way, &error);
  g_autoptr (QconvReport) report = NULL;
  GBytes *bytes;

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, &report, &error);
  g_assert_no_error (error);
  g_assert_true (report->ok);
  g_assert_cmpuint (report->problems->len, ==, 0);
  bytes = sample_read (path);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, qconv_plan_output_bytes (plan));
  check_weights (plan, path);
  return bytes;
}

/* Returns the least memory, a power of two, that a plan accepts */
static guint64
least_memory (const char *target)
{
  g_autoptr (QconvModel) model = open_model (source);

  for (guint64 memory = 64 << 10; memory <= (guint64) 1 << 32; memory *= 2)
    {
      const Way way = { "memory", 1, memory, NULL };
      g_autofree char *path = g_build_filename (sample_folder (), "memory.out", NULL);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) plan = make_plan (model, target, path, &way, &error);

      g_assert_true ((plan == NULL) == (error != NULL));
      if (plan != NULL)
        return memory;
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
    }
  g_assert_not_reached ();
}

static void
test_same_bytes (gconstpointer data)
{
  const char *target = data;
  const guint64 least = least_memory (target);
  const Way first = { "first", 1, 0, NULL };
  const Way others[] = { { "threads", 5, 0, NULL }, { "small", 1, least, NULL }, { "both", 3, 2 * least, NULL } };
  g_autoptr (GBytes) want = convert (source, target, &first);

  g_test_message ("least memory %" G_GUINT64_FORMAT, least);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (GBytes) got = convert (source, target, &others[i]);

      g_test_message ("%s", others[i].name);
      g_assert_true (g_bytes_equal (got, want));
    }
}

/* Tests that converting an output to its own target again moves its bytes */
static void
test_again (gconstpointer data)
{
  const char *target = data;
  const Way first = { "once", 2, 0, NULL }, second = { "twice", 2, 0, NULL };
  g_autofree char *once = g_build_filename (sample_folder (), "once.out", NULL);
  g_autoptr (GBytes) want = convert (source, target, &first);
  g_autoptr (GBytes) got = convert (once, target, &second);

  g_assert_true (g_bytes_equal (got, want));
}

static void
expect_option (const char *target, const char *option, gboolean good)
{
  const Way way = { "option", 1, 0, option };
  g_autoptr (QconvModel) model = open_model (source);
  g_autofree char *path = g_build_filename (sample_folder (), "option.out", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = make_plan (model, target, path, &way, &error);

  g_test_message ("%s with -o %s", target, option);
  g_assert_true ((plan == NULL) == (error != NULL));
  if (good)
    g_assert_no_error (error);
  else
    g_assert_cmpint (qconv_error_exit_status (error), ==, 2);
}

static void
check_table (const char *target, const char *owner, const QconvOption *table)
{
  for (const QconvOption *o = table; o != NULL && o->name != NULL; o++)
    {
      g_autofree char *usual = g_strdup_printf ("%s.%s=%s", owner, o->name, o->value);
      g_autofree char *junk = g_strdup_printf ("%s.%s=?!", owner, o->name);
      g_autofree char *misspelt = g_strdup_printf ("%s.%s-x=%s", owner, o->name, o->value);

      if (o->value != NULL)
        expect_option (target, usual, TRUE);
      if (o->type != QCONV_STRING && o->type != QCONV_FILE)
        expect_option (target, junk, FALSE);
      expect_option (target, misspelt, FALSE);
    }
}

static void
test_options (gconstpointer data)
{
  const QconvTargetInfo *t = data;

  check_table (t->name, t->writer->id, t->writer->options);
  if (t->quantizer != NULL)
    check_table (t->name, t->quantizer->id, t->quantizer->options);
  expect_option (t->name, "no-such-option=1", FALSE);
}

/* Returns: (transfer full): path of the source with other numbers in the place of all its weights */
static char *
source_of (guint32 bits, gboolean only_last, const char *name)
{
  g_autoptr (GBytes) whole = sample_read (source), changed = NULL;
  gsize n = g_bytes_get_size (whole);
  g_autofree guint8 *bytes = g_memdup2 (g_bytes_get_data (whole, NULL), n);
  guint64 header = 0;

  memcpy (&header, bytes, sizeof header);
  for (gsize at = only_last ? n - 4 : sizeof header + (gsize) GUINT64_FROM_LE (header); at + 4 <= n; at += 4)
    memcpy (bytes + at, &(guint32) { GUINT32_TO_LE (bits) }, 4);
  changed = g_bytes_new (bytes, n);
  return sample_write (changed, n, name);
}

/* Tests that one weight that is NaN or infinite fails the run and leaves no file */
static void
test_not_finite (gconstpointer data)
{
  static const guint32 wrong[] = { 0x7fc00000, 0x7f800000, 0xff800000 };
  const Way way = { "wrong", 2, 0, NULL };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autofree char *input = source_of (wrong[i], TRUE, "wrong.safetensors");
      g_autofree char *path = g_build_filename (sample_folder (), "wrong.out", NULL);
      g_autoptr (QconvModel) model = open_model (input);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) plan = make_plan (model, data, path, &way, &error);

      g_assert_no_error (error);
      g_assert_false (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
}

/* Tests that zeros of both signs come back as zeros, and tiny numbers as finite numbers of 1e-30 at most */
static void
test_vanishing (gconstpointer data)
{
  static const guint32 numbers[] = { 0, 0x80000000, 1, 0x00400000, 0x03800000 };
  const Way way = { "vanishing", 2, 0, NULL }, back = { "back", 2, 0, NULL };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autofree char *input = source_of (numbers[i], FALSE, "vanishing.safetensors");
      g_autofree char *path = g_build_filename (sample_folder (), "vanishing.out", NULL);
      g_autoptr (GBytes) encoded = convert (input, data, &way), decoded = convert (path, "f32-safetensors", &back);
      const guint8 *bytes = g_bytes_get_data (decoded, NULL);
      guint64 header = 0;

      g_assert_cmpuint (g_bytes_get_size (encoded), >, 0);
      memcpy (&header, bytes, sizeof header);
      for (gsize at = 8 + (gsize) GUINT64_FROM_LE (header); at + 4 <= g_bytes_get_size (decoded); at += 4)
        {
          float x;

          memcpy (&x, bytes + at, sizeof x);
          g_assert_cmpfloat (x, >=, 0);
          g_assert_cmpfloat (x, <=, i < 2 ? 0 : 1e-30);
        }
    }
}

static void
add_test (const QconvTargetInfo *t, const char *what, gconstpointer data, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/targets/%s/%s", t->name, what);

  g_test_add_data_func (path, data, func);
}

int
main (int argc, char **argv)
{
  GPtrArray *targets;
  int rc;

  g_test_init (&argc, &argv, NULL);
  source = sample_generate ("--layers 3 --rows 640 --cols 512 --type f32", "source.safetensors");
  targets = qconv_registry_targets ();
  g_assert_cmpuint (targets->len, >, 0);
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      add_test (t, "same bytes", t->name, test_same_bytes);
      add_test (t, "again", t->name, test_again);
      add_test (t, "options", t, test_options);
      if (t->quantizer != NULL)
        {
          add_test (t, "not finite", t->name, test_not_finite);
          add_test (t, "vanishing", t->name, test_vanishing);
        }
    }
  rc = g_test_run ();
  g_free (source);
  sample_finish ();
  return rc;
}
