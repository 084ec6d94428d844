/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests runs that stop in the middle: the message of the error, and the files that are left. */
#include <gio/gio.h>
#include <string.h>

#include "toy.h"

static const ToyTensor small[] = { TOY_FLOATS ("a.weight", QCONV_F32, 11, 8), { NULL } };

/* ---- Failures of a plugin ---- */

/**
 * Fault: @hook fails after @spare calls.
 * @anonymous: the hook is not called for a layer; in all other cases the message names the layer once
 */
typedef struct {
  const char *title, *source, *target;
  ToyHook hook;
  gint spare;
  gboolean anonymous;
} Fault;

static const Fault faults[] = {
  { "encode", NULL, "half-toy", TOY_ENCODE },
  { "encode behind passes", NULL, "whole-toy", TOY_ENCODE },
  { "accumulate", NULL, "whole-toy", TOY_ACCUMULATE },
  { "accumulate in a later chunk", NULL, "whole-toy", TOY_ACCUMULATE, 2 },
  { "accumulate in a second pass", NULL, "whole-toy", TOY_ACCUMULATE, 3 },
  { "finish", NULL, "whole-toy", TOY_FINISH },
  { "finish second pass", NULL, "whole-toy", TOY_FINISH, 1 },
  { "accumulate codes", "half-toy", "twin-toy", TOY_ACCUMULATE },
  { "finish codes", "half-toy", "twin-toy", TOY_FINISH },
  { "encode codes", "half-toy", "twin-toy", TOY_ENCODE },
  { "decode", "half-toy", "whole-toy", TOY_DECODE },
  { "decode to floats", "half-toy", "f32-toy", TOY_DECODE },
  { "load", "half-toy", "whole-toy", TOY_LOAD },
  { "load to move", "half-toy", "half-toy", TOY_LOAD },
  { "validate", "half-toy", "half-toy", TOY_VALIDATE },
  { "pack", NULL, "half-toy", TOY_PACK },
  { "pack later", NULL, "once-toy", TOY_PACK, 0 },
  { "layer", NULL, "half-toy", TOY_LAYER, 0, TRUE },
  { "keep", NULL, "f16-toy", TOY_KEEP, 0, TRUE },
  { "end", NULL, "half-toy", TOY_END, 0, TRUE },
  { "lay out", NULL, "half-toy", TOY_LAY_OUT, 0, TRUE },
};
/* Codes that plugins use; each must arrive */
static const QconvError codes[] = { QCONV_ERROR_UNSUPPORTED, QCONV_ERROR_BUG, QCONV_ERROR_INPUT };

static void
test_fault (gconstpointer data)
{
  const Fault *k = data;

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *out = toy_path ("out.box");
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (GStrv) words = NULL;
      guint n_files;

      toy_reset ();
      toy_write (in, small, NULL);
      if (k->source != NULL)
        toy_convert (in, source, &(QconvJob) { .target = k->source });
      m = toy_open (k->source != NULL ? source : in);
      n_files = toy_n_files (in);
      toy_reset ();
      toy.fail = k->hook;
      toy.spare = k->spare;
      toy.code = codes[i];
      g_assert_false (
          toy_run (m, &(QconvJob) { .target = k->target, .output = out, .run.n_threads = 2 }, NULL, &error));
      toy_assert_error (error, (gint) codes[i], "*the toy broke");
      words = g_strsplit (error->message, "layer \"a\": ", -1);
      g_assert_cmpuint (g_strv_length (words), ==, k->anonymous ? 1 : 2);
      g_assert_cmpuint (toy_n_files (in), ==, n_files);
    }
}

/* ---- Cancelling ---- */

typedef struct {
  const char *title, *source, *target;
  ToyHook hook;
  gint after;
} Stop;

static const Stop stops[] = {
  { "first encode", NULL, "half-toy", TOY_ENCODE, 1 },   { "later encode", NULL, "half-toy", TOY_ENCODE, 5 },
  { "in a pass", NULL, "whole-toy", TOY_ACCUMULATE, 3 }, { "between passes", NULL, "whole-toy", TOY_FINISH, 1 },
  { "while packing", NULL, "whole-toy", TOY_PACK, 2 },   { "while decoding", "half-toy", "f32-toy", TOY_DECODE, 2 },
  { "while checking", NULL, "half-toy", TOY_DECODE, 2 }, { "while moving", "half-toy", "half-toy", TOY_VALIDATE, 2 },
};

typedef struct {
  GCancellable *cancellable;
  const Stop *stop;
} Watch;

static void
watch (ToyHook hook, gpointer data)
{
  const Watch *w = data;

  if (hook == w->stop->hook && g_atomic_int_get (&toy.calls[hook]) >= w->stop->after)
    g_cancellable_cancel (w->cancellable);
}

/* Tests that cancelling leaves no new file, and that a file to be overwritten is as it was */
static void
test_cancelled (gconstpointer data)
{
  const Stop *k = data;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Watch w = { cancellable, k };
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *out = toy_path ("out.box");
  g_autofree char *old = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;
  guint n_files;

  toy_reset ();
  toy_write (in, toy_mixed, NULL);
  toy_write_text (out, "precious");
  if (k->source != NULL)
    toy_convert (in, source, &(QconvJob) { .target = k->source });
  m = toy_open (k->source != NULL ? source : in);
  n_files = toy_n_files (in);
  p = qconv_plan_new (
      m,
      &(QconvJob) {
          .target = k->target, .output = out, .run.force = TRUE, .run.n_threads = 2, .run.memory = 700 << 10 },
      &error);
  g_assert_no_error (error);
  toy_reset ();
  toy.watch = watch;
  toy.watch_data = &w;
  g_assert_false (qconv_plan_run (p, NULL, NULL, cancellable, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (toy_n_files (in), ==, n_files);
  g_assert_true (g_file_get_contents (out, &old, NULL, NULL));
  g_assert_cmpstr (old, ==, "precious");
}

#define ADD(prefix, table, func)                                                             \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                           \
    {                                                                                        \
      g_autofree char *path = g_strconcat ("/core/stops/" prefix "/", table[i].title, NULL); \
                                                                                             \
      g_test_add_data_func (path, &table[i], func);                                          \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("fault", faults, test_fault)
  ADD ("cancelled", stops, test_cancelled)
  return g_test_run ();
}
