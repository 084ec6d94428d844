/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that verify and the check after a run find damage, by numbers and by checksums. */
#include <gio/gio.h>
#include <string.h>

#include "check/check-fixture.h"

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
  { "number of a kept weight", "half-toy", "first.weight", 3, 0x01, "differs", "first" },
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

static void
test_damage (gconstpointer data)
{
  const Damage *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL, alone = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = k->target, .run.no_checksums = TRUE });
  toy_flip (out, k->tensor, k->offset, k->bits);
  r = check_verify (out, in, 0, 0);
  alone = check_verify (out, NULL, 0, 0);
  g_assert_cmpint (r->ok, ==, r->problems->len == 0);
  g_assert_cmpuint (others (r, k->layer), ==, 0);
  g_assert_cmpint (r->ok, ==, k->code == NULL);
  g_assert_cmpint (alone->ok, ==, k->code == NULL || strcmp (k->tensor, "b.scale") != 0 || k->bits != 0x80);
  if (k->code != NULL)
    g_assert_true (toy_reported (r, k->layer, k->code));
  if (k->alone)
    g_assert_true (toy_reported (alone, k->layer, k->code));
  if (k->bits != 0)
    g_assert_cmpfloat (check_find_layer (r, k->layer)->relmse, >, 0);
}

/* Tests that verify needs no original to find a scale with which the weights overflow */
static void
test_not_finite (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy", .run.no_checksums = TRUE });
  toy_flip (out, "b.scale", 7, 0x40);
  r = check_verify (out, NULL, 0, 0);
  g_assert_true (toy_reported (r, "b", "non-finite"));
  g_assert_cmpuint (r->problems->len, ==, 1);
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
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = k->target });
  toy_flip (out, k->tensor, k->offset, k->bits);
  r = check_verify (out, NULL, 0, 0);
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
  r = check_verify (path, NULL, 0, 0);
  g_assert_true (toy_reported (r, "a.weight", "checksum"));
  g_assert_true (toy_reported (r, "new.weight", "checksum"));
  g_assert_true (toy_reported (r, "old.weight", "checksum"));
  g_assert_cmpuint (r->problems->len, ==, 3);
  toy_write (path, changed, QCONV_LIST ("qconv_checksums=[]"));
  damaged = check_verify (path, NULL, 0, 0);
  g_assert_true (toy_reported (damaged, NULL, "checksum"));
  g_assert_cmpuint (damaged->problems->len, ==, 1);
}

/* Tests that damage does not get a new checksum when a tensor is copied into another file */
static void
test_copied (void)
{
  static const char *const targets[] = { "half-toy", NULL /* an edit */ };
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *again = toy_path ("again.box");

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy" });
  toy_flip (out, "first.weight", 3, 0x01);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autoptr (QconvModel) m = toy_open (out);
      g_autoptr (QconvReport) r = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_false (toy_run (m, &(QconvJob) { .target = targets[i], .output = again }, &r, &error));
      toy_assert_error (error, QCONV_ERROR_INPUT, "*\"first.weight\" is damaged*");
      g_assert_false (g_file_test (again, G_FILE_TEST_EXISTS));
    }
}

/* Tests that all layers are checked, even if the first one is damaged */
static void
test_all_problems (void)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvReport) r = NULL;

  toy_reset ();
  toy_write (in, check_model, NULL);
  toy_convert (in, out, &(QconvJob) { .target = "half-toy", .run.no_checksums = TRUE });
  toy_flip (out, "a.weight", 7, 0x40);
  toy_flip (out, "b.weight", 7, 0x40);
  toy_flip (out, "b.scale", 3, 0x80);
  r = check_verify (out, in, 0, 0);
  g_assert_true (toy_reported (r, "a", "error-bound"));
  g_assert_true (toy_reported (r, "b", "error-bound"));
  g_assert_true (toy_reported (r, "b", "bad-scale"));
  g_assert_cmpuint (r->problems->len, ==, 3);
  g_assert_cmpuint (r->layers->len, ==, 3);
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
  toy_write (in, k->source != NULL ? adoptable : check_model, NULL);
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

#define ADD(prefix, table, title, data, func)                                        \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                   \
    {                                                                                \
      g_autofree char *path = g_strconcat ("/core/damage/" prefix "/", title, NULL); \
      g_test_add_data_func (path, data, func);                                       \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("found", damages, damages[i].title, &damages[i], test_damage)
  ADD ("checksums", damages, damages[i].title, &damages[i], test_checksums)
  ADD ("written", written, written[i].title, &written[i], test_written)
  g_test_add_func ("/core/damage/not-finite", test_not_finite);
  g_test_add_func ("/core/damage/changed-checksums", test_changed_checksums);
  g_test_add_func ("/core/damage/copied", test_copied);
  g_test_add_func ("/core/damage/all-problems", test_all_problems);
  return g_test_run ();
}
