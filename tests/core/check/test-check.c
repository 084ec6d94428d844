/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the errors that the check measures, and files that it cannot compare. */
#include <gio/gio.h>
#include <math.h>
#include <string.h>

#include "check/check-fixture.h"

/* ---- Measured errors ---- */

static const float *
floats (GBytes *b)
{
  return g_bytes_get_data (b, NULL);
}

static const char *const measured[] = { "half-toy", "whole-toy", "once-toy", "f16-toy", "plain-toy" };

/* Tests Σ(w−ŵ)²/Σw², which is the same for any memory and any number of threads */
static void
test_measure (gconstpointer data)
{
  const char *target = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *back = toy_path ("back.box");
  g_autoptr (GBytes) a = NULL, b = NULL;
  double sum = 0, all = 0, first = -1;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = target });
  toy_convert (out, back, &(QconvJob) { .target = "f32-toy" });
  a = toy_tensor (in, "b.weight");
  b = toy_tensor (back, "b.weight");
  for (guint i = 0; i < 640; i++)
    {
      sum += ((double) floats (a)[i] - floats (b)[i]) * ((double) floats (a)[i] - floats (b)[i]);
      all += (double) floats (a)[i] * floats (a)[i];
    }
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (QconvReport) r = check_verify (out, in, i < 2 ? 0 : 256 << 10, i % 2 == 0 ? 1 : 5);
      const QconvLayerError *e = check_find_layer (r, "b");

      g_assert_true (r->ok);
      if (sum > 0)
        g_assert_cmpfloat_with_epsilon (e->relmse, sum / all, 1e-6 * (sum / all));
      else
        g_assert_cmpfloat (e->relmse, ==, 0);
      if (sum > 0)
        g_assert_cmpfloat_with_epsilon (e->sqnr_db, -10 * log10 (e->relmse), 1e-9);
      else
        g_assert_true (isinf (e->sqnr_db));
      if (first >= 0)
        g_assert_cmpfloat (e->relmse, ==, first);
      first = e->relmse;
    }
}

/* Tests that the sums of a long layer do not depend on the number of chunks that are read at once */
static void
test_measure_chunks (void)
{
  static const ToyTensor long_model[] = { FLOATS ("a.weight", 4099, 256), { NULL } };
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  double first = -1;

  toy_reset ();
  toy_write (in, long_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (QconvReport) r = check_verify (out, in, i == 0 ? 0 : 128 << 10, i == 1 ? 1 : 8);

      g_assert_true (r->ok);
      g_assert_cmpfloat (check_find_layer (r, "a")->relmse, >, 0);
      if (first >= 0)
        g_assert_cmpfloat (check_find_layer (r, "a")->relmse, ==, first);
      first = check_find_layer (r, "a")->relmse;
    }
}

/* Tests that verify measures nothing without an original, and lists no kept weight */
static void
test_alone (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  r = check_verify (out, NULL, 0, 0);
  g_assert_true (r->ok);
  g_assert_cmpuint (r->layers->len, ==, 2);
  g_assert_cmpfloat (check_find_layer (r, "a")->relmse, <, 0);
  g_assert_cmpstr (check_find_layer (r, "a")->scheme, ==, "half");
}

/* ---- Another original ---- */

static float zeros[12 * 16], tiny[12 * 16], padded[12 * 16], filled[12 * 16], cut[12 * 16];

/* @made: the layers of the model, from which "a" in half is verified; @original: the layers of the original;
   @lost: (nullable): the layer that only the original has */
typedef struct {
  const char *title;
  ToyTensor made[2], original[2];
  const char *code, *layer, *lost;
} Pairing;

static const Pairing pairings[] = {
  { "same", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("a.weight", 12, 16) } },
  { "behind a prefix", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("model.a.weight", 12, 16) }, "error-bound", "a" },
  { "missing", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("b.weight", 12, 16) }, "extra", "a", "b" },
  { "too few rows", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("a.weight", 16, 16) }, "shape", "a" },
  { "too few columns", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("a.weight", 12, 24) }, "shape", "a" },
  { "padded rows",
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, padded } },
    { { "a.weight", QCONV_F32, { 2, { 11, 16 } }, padded } } },
  { "padded columns",
    { { "a.weight", QCONV_F32, { 2, { 8, 16 } }, padded } },
    { { "a.weight", QCONV_F32, { 2, { 8, 12 } }, cut } } },
  { "padding is not zero, rows",
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, filled } },
    { { "a.weight", QCONV_F32, { 2, { 11, 16 } }, filled } },
    "padding",
    "a" },
  { "padding is not zero, columns",
    { { "a.weight", QCONV_F32, { 2, { 8, 16 } }, filled } },
    { { "a.weight", QCONV_F32, { 2, { 8, 12 } }, cut } },
    "padding",
    "a" },
  { "zeros",
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, zeros } },
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, zeros } } },
  { "vanishing",
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, zeros } },
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, tiny } } },
  { "of zeros",
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, filled } },
    { { "a.weight", QCONV_F32, { 2, { 12, 16 } }, zeros } },
    "error-bound",
    "a" },
};

static void
fill_numbers (void)
{
  for (guint i = 0; i < 12 * 16; i++)
    {
      tiny[i] = 5e-8f;
      filled[i] = (float) (i % 9) - 3.5f;
      padded[i] = i % 16 < 12 && i < 11 * 16 ? filled[i] : 0;
    }
  for (guint i = 0; i < 8 * 12; i++)
    cut[i] = filled[i / 12 * 16 + i % 12];
}

static void
test_pairing (gconstpointer data)
{
  const Pairing *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *original = toy_path ("original.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  fill_numbers ();
  toy_write (in, k->made, NULL);
  toy_write (original, k->original, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy", .rules.only = QCONV_LIST ("^a$") });
  r = check_verify (out, original, 0, 0);
  g_assert_cmpint (r->ok, ==, k->code == NULL);
  if (k->code != NULL)
    g_assert_true (toy_reported (r, k->layer, k->code));
  if (k->lost != NULL)
    g_assert_true (toy_reported (r, k->lost, "missing"));
  g_assert_cmpuint (r->problems->len, ==, (k->code != NULL) + (k->lost != NULL));
}

/* Tests that weights which were decoded from codes may differ from the original, because the file says so, in the
   second file and in a third one that was made of it */
static void
test_decoded (void)
{
  static const char *const targets[] = { "half-toy", "f32-toy", "f16-toy" };
  g_autofree char *in = toy_path ("in.box"), *from = g_strdup (in);

  toy_reset ();
  toy_write (in, check_model, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autofree char *name = g_strdup_printf ("out-%u.box", i), *out = toy_path (name);
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (QconvReport) r = NULL;
      GVariant *note;

      toy_convert (from, out, &(QconvJob) { .target = targets[i] });
      m = qconv_model_open (out, NULL, NULL);
      note = qconv_directory_metadata (qconv_model_directory (m), "qconv_source");
      g_assert_true ((note != NULL) == (i > 0));
      if (note != NULL)
        g_assert_nonnull (strstr (g_variant_get_string (note, NULL), "\"scheme\":[\"half\"]"));
      r = check_verify (out, in, 0, 0);
      g_assert_true (r->ok);
      g_assert_true (i == 0 || check_find_layer (r, "a")->relmse > 0);
      g_free (from);
      from = g_steal_pointer (&out);
    }
}

/* ---- Files that no reader can read ---- */

static const struct {
  const char *title, *marker, *scale;
  const char *code;
} broken[] = {
  { "marker", "half|group=4|12|16|F3|", "a.scale", "unreadable" },
  { "component", "half|group=4|12|16|F32", "a.other", "unreadable" },
  { "rows", "half|group=4|13|16|F32", "a.scale", "unreadable" },
  { "negative scale", "half|group=4|13|16|F32", "a.scale", "bad-scale" },
};

static void
test_broken (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  static const float minus[] = { 1, -1, 1 }, plus[] = { 1, 1, 1 };
  g_autofree char *path = toy_path ("in.box");
  const ToyTensor tensors[]
      = { { .name = "a.weight", .dtype = QCONV_I8, .shape = { 2, { 12, 16 } } },
          { .name = broken[i].scale,
            .dtype = QCONV_F32,
            .shape = { 1, { 3 } },
            .values = strcmp (broken[i].code, "bad-scale") == 0 ? minus : plus },
          { .name = "a.scheme", .dtype = QCONV_U8, .shape = { 1, { 40 } }, .text = broken[i].marker },
          { NULL } };
  g_autoptr (QconvReport) r = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (path, tensors, NULL);
  g_assert_null (qconv_model_open (path, NULL, &error));
  g_assert_cmpint (qconv_error_exit_status (error), ==, 3);
  r = check_verify (path, NULL, 0, 0);
  g_assert_false (r->ok);
  g_assert_true (toy_reported (r, NULL, broken[i].code));
  g_assert_true (toy_reported (r, NULL, "unreadable")); /* the rows are wrong, too */
  g_assert_cmpuint (r->problems->len, ==, strcmp (broken[i].code, "unreadable") == 0 ? 1 : 2);
}

/* Tests that the structure is checked even without the numeric part */
static void
test_no_verify (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvReport) r = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  m = toy_open (in);
  toy_reset ();
  g_assert_true (toy_run (m, &(QconvJob) { .target = "half-toy", .output = out, .run.no_verify = TRUE }, &r, &error));
  g_assert_true (r->ok);
  g_assert_cmpuint (r->layers->len, ==, 0);
  g_assert_cmpint (toy.calls[TOY_DECODE], ==, 0);
  g_assert_cmpint (toy.calls[TOY_CLAIM], ==, 1);
}

static void
test_limit (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL, original = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  m = toy_open (out);
  original = toy_open (in);
  g_assert_null (
      qconv_model_verify (m, &(QconvVerifyOptions) { .original = original, .memory = 1, .n_threads = 1 }, &error));
  toy_assert_error (error, QCONV_ERROR_LIMIT, "layer \"*\" needs *--memory*");
}

/* Tests that a scheme without decoder can be written, and has no measured error */
static void
test_encode_only (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvReport) r = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  m = toy_open (in);
  toy_run (m, &(QconvJob) { .target = "dark-toy", .output = out }, &r, &error);
  g_assert_no_error (error);
  g_assert_true (r->ok);
  g_clear_pointer (&r, qconv_report_free);
  r = check_verify (out, in, 0, 0);
  g_assert_true (r->ok);
  g_assert_cmpfloat (check_find_layer (r, "a")->relmse, <, 0);
}

#define ADD(prefix, table, title, data, func)                                       \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                  \
    {                                                                               \
      g_autofree char *path = g_strconcat ("/core/check/" prefix "/", title, NULL); \
      g_test_add_data_func (path, data, func);                                      \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("measure", measured, measured[i], measured[i], test_measure)
  ADD ("pairing", pairings, pairings[i].title, &pairings[i], test_pairing)
  ADD ("broken", broken, broken[i].title, GUINT_TO_POINTER (i), test_broken)
  g_test_add_func ("/core/check/measure/chunks", test_measure_chunks);
  g_test_add_func ("/core/check/alone", test_alone);
  g_test_add_func ("/core/check/decoded", test_decoded);
  g_test_add_func ("/core/check/no-verify", test_no_verify);
  g_test_add_func ("/core/check/limit", test_limit);
  g_test_add_func ("/core/check/encode-only", test_encode_only);
  return g_test_run ();
}
