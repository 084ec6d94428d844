/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the check: the damage that verify and the check after a run find, and the errors that they measure. */
#include <gio/gio.h>
#include <math.h>
#include <string.h>

#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

static const ToyTensor model[] = {
  FLOATS ("a.weight", 12, 16),
  FLOATS ("b.weight", 40, 16),
  FLOATS ("first.weight", 12, 20),
  { NULL },
};

/* ---- Damage that verify finds ---- */

/**
 * Damage: one byte of a converted file is changed.
 * @code: (nullable): of the problem; NULL if verify finds none
 * @alone: verify finds it without the original; @source: (nullable): target that the model is converted to before
 */
typedef struct {
  const char *title, *target, *tensor;
  guint64 offset;
  guint8 bits;
  const char *code, *layer;
  gboolean alone;
  const char *source;
} Damage;

static const Damage damages[] = {
  { "nothing", "half-toy", "a.weight", 0, 0 },
  { "first code", "half-toy", "a.weight", 0, 0x40, "error-bound", "a" },
  { "last code", "half-toy", "a.weight", 191, 0x40, "error-bound", "a" },
  { "sign of a code", "whole-toy", "b.weight", 300, 0x80, "error-bound", "b" },
  { "code of a whole tile", "once-toy", "b.weight", 5, 0x20, "error-bound", "b" },
  { "exponent of a scale", "half-toy", "b.scale", 7, 0x01, "error-bound", "b" },
  { "sign of a scale", "half-toy", "b.scale", 39, 0x80, "bad-scale", "b", TRUE },
  { "sign of a scale, by numbers", "half-toy", "b.scale", 39, 0x80, "error-bound", "b" },
  { "scale of the layer", "whole-toy", "a.all", 3, 0x01, "error-bound", "a" },
  { "mean of the layer", "whole-toy", "a.mean", 3, 0x02, "error-bound", "a" },
  { "number of a kept weight", "half-toy", "first.weight", 3, 0x01, NULL, "first" },
};

/* Returns the number of problems of other layers than @layer */
static guint
others (const QconvReport *r, const char *layer)
{
  guint n = 0;

  for (guint i = 0; i < r->problems->len; i++)
    n += g_strcmp0 (((const QconvProblem *) g_ptr_array_index (r->problems, i))->layer, layer) != 0;
  return n;
}

static const QconvLayerError *
find_layer (const QconvReport *r, const char *name)
{
  for (guint i = 0; i < r->layers->len; i++)
    if (strcmp (((const QconvLayerError *) g_ptr_array_index (r->layers, i))->name, name) == 0)
      return g_ptr_array_index (r->layers, i);
  return NULL;
}

static QconvReport *
verify (const char *path, const char *original, guint64 memory, guint n_threads)
{
  g_autoptr (QconvModel) m = qconv_model_open (path, &(QconvOpenOptions) { .for_verify = TRUE }, NULL);
  g_autoptr (QconvModel) o = original != NULL ? toy_open (original) : NULL;
  g_autoptr (GError) error = NULL;
  QconvReport *r = qconv_model_verify (
      m, &(QconvVerifyOptions) { .original = o, .memory = memory, .n_threads = n_threads }, &error);

  g_assert_no_error (error);
  return r;
}

static void
test_damage (gconstpointer data)
{
  const Damage *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL, alone = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = k->target, .run.no_checksums = TRUE });
  toy_flip (out, k->tensor, k->offset, k->bits);
  r = verify (out, in, 0, 0);
  alone = verify (out, NULL, 0, 0);
  g_assert_cmpint (r->ok, ==, r->problems->len == 0);
  g_assert_cmpuint (others (r, k->layer), ==, 0);
  g_assert_cmpint (r->ok, ==, k->code == NULL);
  g_assert_cmpint (alone->ok, ==, k->code == NULL || strcmp (k->tensor, "b.scale") != 0 || k->bits != 0x80);
  if (k->code != NULL)
    g_assert_true (toy_reported (r, k->layer, k->code));
  if (k->alone)
    g_assert_true (toy_reported (alone, k->layer, k->code));
  /* a kept weight has no bound, but its error is reported */
  if (k->bits != 0)
    g_assert_cmpfloat (find_layer (r, k->layer)->relmse, >, 0);
}

/* Tests that the checksums in the metadata show any damage, without the original, in the damaged tensor alone */
static void
test_checksums (gconstpointer data)
{
  const Damage *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;
  guint n = 0;

  toy_reset ();
  toy_write (in, model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = k->target });
  toy_flip (out, k->tensor, k->offset, k->bits);
  r = verify (out, NULL, 0, 0);
  for (guint i = 0; i < r->problems->len; i++)
    n += strcmp (((const QconvProblem *) g_ptr_array_index (r->problems, i))->code, "checksum") == 0;
  g_assert_cmpuint (n, ==, k->bits != 0);
  if (k->bits != 0)
    g_assert_true (toy_reported (r, k->tensor, "checksum"));
}

/* Tests that verify names tensors that came or went since the file was written, and damaged checksums */
static void
test_changed_checksums (void)
{
  static const ToyTensor changed[] = { FLOATS ("a.weight", 12, 16), FLOATS ("new.weight", 2, 2), { NULL } };
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (QconvReport) r = NULL, damaged = NULL;

  toy_reset ();
  toy_write (path, changed,
             QCONV_LIST ("qconv_checksums={\"a.weight\":\"crc32:00000001\",\"old.weight\":\"crc32:00000000\"}"));
  r = verify (path, NULL, 0, 0);
  g_assert_true (toy_reported (r, "a.weight", "checksum"));
  g_assert_true (toy_reported (r, "new.weight", "checksum"));
  g_assert_true (toy_reported (r, "old.weight", "checksum"));
  g_assert_cmpuint (r->problems->len, ==, 3);
  toy_write (path, changed, QCONV_LIST ("qconv_checksums=[]"));
  damaged = verify (path, NULL, 0, 0);
  g_assert_true (toy_reported (damaged, NULL, "checksum"));
  g_assert_cmpuint (damaged->problems->len, ==, 1);
}

/* Tests that all layers are checked, even if the first one is damaged */
static void
test_all_problems (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy", .run.no_checksums = TRUE });
  toy_flip (out, "a.weight", 7, 0x40);
  toy_flip (out, "b.weight", 7, 0x40);
  toy_flip (out, "b.scale", 3, 0x80);
  r = verify (out, in, 0, 0);
  g_assert_true (toy_reported (r, "a", "error-bound"));
  g_assert_true (toy_reported (r, "b", "error-bound"));
  g_assert_true (toy_reported (r, "b", "bad-scale"));
  g_assert_cmpuint (r->problems->len, ==, 3);
  g_assert_cmpuint (r->layers->len, ==, 3);
}

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
  toy_write (in, model, NULL);
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
      g_autoptr (QconvReport) r = verify (out, in, i < 2 ? 0 : 256 << 10, i % 2 == 0 ? 1 : 5);
      const QconvLayerError *e = find_layer (r, "b");

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
      g_autoptr (QconvReport) r = verify (out, in, i == 0 ? 0 : 128 << 10, i == 1 ? 1 : 8);

      g_assert_true (r->ok);
      g_assert_cmpfloat (find_layer (r, "a")->relmse, >, 0);
      if (first >= 0)
        g_assert_cmpfloat (find_layer (r, "a")->relmse, ==, first);
      first = find_layer (r, "a")->relmse;
    }
}

/* Tests that verify measures nothing without an original, and lists no kept weight */
static void
test_alone (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  r = verify (out, NULL, 0, 0);
  g_assert_true (r->ok);
  g_assert_cmpuint (r->layers->len, ==, 2);
  g_assert_cmpfloat (find_layer (r, "a")->relmse, <, 0);
  g_assert_cmpstr (find_layer (r, "a")->scheme, ==, "half");
}

/* ---- Another original ---- */

static float zeros[12 * 16], tiny[12 * 16], padded[12 * 16], filled[12 * 16], cut[12 * 16];

/* @made: the layers of the model, from which "a" in half is verified; @original: the layers of the original */
typedef struct {
  const char *title;
  ToyTensor made[2], original[2];
  const char *code, *layer;
} Pairing;

static const Pairing pairings[] = {
  { "same", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("a.weight", 12, 16) } },
  { "behind a prefix", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("model.a.weight", 12, 16) }, "error-bound", "a" },
  { "missing", { FLOATS ("a.weight", 12, 16) }, { FLOATS ("b.weight", 12, 16) }, "missing", "a" },
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
  r = verify (out, original, 0, 0);
  g_assert_cmpint (r->ok, ==, k->code == NULL);
  if (k->code != NULL)
    g_assert_true (toy_reported (r, k->layer, k->code));
  g_assert_cmpuint (r->problems->len, ==, k->code != NULL);
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
  r = verify (path, NULL, 0, 0);
  g_assert_false (r->ok);
  g_assert_true (toy_reported (r, NULL, broken[i].code));
  g_assert_cmpuint (r->problems->len, ==, 1);
}

/* ---- After a run ---- */

typedef struct {
  const char *folder;
  const Damage *damage;
  gint n;
} Watch;

/* Damages the temporary file before the check opens it again */
static void
damage_temporary (ToyHook hook, gpointer data)
{
  Watch *w = data;
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (hook != TOY_OPEN || g_atomic_int_add (&w->n, 1) != 0)
    return;
  dir = g_dir_open (w->folder, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (strstr (name, "out.box") != NULL)
      {
        g_autofree char *path = g_build_filename (w->folder, name, NULL);

        toy_flip (path, w->damage->tensor, w->damage->offset, w->damage->bits);
      }
}

/* Weights above zero, whose codes the scheme twin adopts */
static float rising[12 * 16];
static const ToyTensor adoptable[]
    = { { .name = "b.weight", .dtype = QCONV_F32, .shape = { 2, { 12, 16 } }, .values = rising }, { NULL } };

static const Damage written[] = {
  { "nothing", "half-toy", "a.weight", 0, 0 },
  { "code", "half-toy", "a.weight", 0, 0x40, "error-bound", "a" },
  { "scale", "half-toy", "b.scale", 7, 0x01, "error-bound", "b" },
  { "sign of a scale", "half-toy", "b.scale", 39, 0x80, "bad-scale", "b" },
  { "marker", "half-toy", "b.scheme", 0, 0x20, "scheme", "b" },
  { "kept weight", "half-toy", "first.weight", 3, 0x01, "checksum", "first.weight" },
  { "plain weight", "plain-toy", "b.weight", 0, 0x01, "checksum", "b.weight" },
  { "least change of an encoded layer", "half-toy", "b.scale", 4, 0x01, "checksum", "b.scale" },
  { "least change of a moved layer", "half-toy", "b.scale", 4, 0x01, "error-bound", "b", .source = "half-toy" },
  { "least change of an adopted layer", "twin-toy", "b.scale", 4, 0x01, "error-bound", "b", .source = "half-toy" },
};

static void
test_written (gconstpointer data)
{
  const Damage *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *folder = g_path_get_dirname (in);
  g_autofree char *coded = toy_path ("coded.box");
  Watch w = { folder, k, 0 };
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvReport) r = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;
  guint n_files;

  toy_reset ();
  for (guint i = 0; i < G_N_ELEMENTS (rising); i++)
    rising[i] = (float) (i % 23 + 1) / 16;
  toy_write (in, k->source != NULL ? adoptable : model, NULL);
  toy_convert (in, coded, &(QconvJob) { .target = k->source != NULL ? k->source : "plain-toy" });
  m = toy_open (coded);
  n_files = toy_n_files (in);
  toy.watch = damage_temporary;
  toy.watch_data = &w;
  ok = toy_run (m, &(QconvJob) { .target = k->target, .output = out }, &r, &error);
  g_assert_cmpint (w.n, >, 0);
  g_assert_cmpint (ok, ==, k->code == NULL);
  g_assert_cmpuint (toy_n_files (in), ==, n_files + ok);
  if (ok)
    return;
  toy_assert_error (error, QCONV_ERROR_CHECK, "*out.box: *");
  g_assert_cmpint (qconv_error_exit_status (error), ==, 4);
  if (k->layer != NULL)
    {
      g_assert_true (toy_reported (r, k->layer, k->code));
      g_assert_nonnull (strstr (error->message, k->layer));
    }
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
  toy_write (in, model, NULL);
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
  toy_write (in, model, NULL);
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
  toy_write (in, model, NULL);
  m = toy_open (in);
  toy_run (m, &(QconvJob) { .target = "dark-toy", .output = out }, &r, &error);
  g_assert_no_error (error);
  g_assert_true (r->ok);
  g_clear_pointer (&r, qconv_report_free);
  r = verify (out, in, 0, 0);
  g_assert_true (r->ok);
  g_assert_cmpfloat (find_layer (r, "a")->relmse, <, 0);
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
  ADD ("damage", damages, damages[i].title, &damages[i], test_damage)
  ADD ("checksums", damages, damages[i].title, &damages[i], test_checksums)
  ADD ("measure", measured, measured[i], measured[i], test_measure)
  ADD ("pairing", pairings, pairings[i].title, &pairings[i], test_pairing)
  ADD ("broken", broken, broken[i].title, GUINT_TO_POINTER (i), test_broken)
  ADD ("written", written, written[i].title, &written[i], test_written)
  g_test_add_func ("/core/check/changed-checksums", test_changed_checksums);
  g_test_add_func ("/core/check/all-problems", test_all_problems);
  g_test_add_func ("/core/check/measure/chunks", test_measure_chunks);
  g_test_add_func ("/core/check/alone", test_alone);
  g_test_add_func ("/core/check/no-verify", test_no_verify);
  g_test_add_func ("/core/check/limit", test_limit);
  g_test_add_func ("/core/check/encode-only", test_encode_only);
  return g_test_run ();
}
