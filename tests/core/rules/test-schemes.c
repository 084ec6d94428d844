/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the schemes of a run and the options that reach each of them: reads the markers in the output. */
#include "rules/schemes.h"

#include <string.h>

#include "registry/target.h"
#include "registry/values.h"
#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

/* "x.mod" falls back to half if the target is whole */
static const ToyTensor model[]
    = { FLOATS ("a.weight", 16, 16), FLOATS ("b.weight", 16, 16), FLOATS ("x.mod.weight", 16, 16), { NULL } };

/**
 * Case: a conversion with options.
 * @tensor, @text: (nullable): the marker of a layer in the output, and how it begins
 * @warning: (nullable): one that the plan gives
 * @error: (nullable): of QCONV_ERROR_OPTION
 */
typedef struct {
  const char *title;
  QconvJob job;
  const char *options[4], *layers[3];
  const char *tensor, *text, *warning, *error;
} Case;

static const Case cases[] = {
  { "defaults", { .target = "half-toy" }, .tensor = "a", .text = "half|group=4,rounding=even|" },
  { "option", { .target = "half-toy" }, { "group=8" }, .tensor = "a", .text = "half|group=8,rounding=even|" },
  { "option with id", { .target = "half-toy" }, { "half.group=8" }, .tensor = "a", .text = "half|group=8," },
  { "several options",
    { .target = "half-toy" },
    { "group=2", "rounding=down" },
    .tensor = "a",
    .text = "half|group=2,rounding=down|" },
  { "the last one counts",
    { .target = "half-toy" },
    { "group=2", "group=16" },
    .tensor = "a",
    .text = "half|group=16," },
  { "auto is settled",
    { .target = "half-toy" },
    { "rounding=auto" },
    .tensor = "a",
    .text = "half|group=4,rounding=even|" },
  { "auto by its name alone",
    { .target = "half-toy" },
    { "rounding" },
    .tensor = "a",
    .text = "half|group=4,rounding=even|" },
  { "unknown option", { .target = "half-toy" }, { "grope=8" }, .error = "option \"grope=8\"*" },
  { "unknown id", { .target = "half-toy" }, { "hal.group=8" }, .error = "*hal*" },
  { "id that takes no part", { .target = "half-toy" }, { "twin.effort=rtn" }, .error = "*twin*" },
  { "out of range", { .target = "half-toy" }, { "group=65" }, .error = "*group*" },
  { "no number", { .target = "half-toy" }, { "group=x" }, .error = "*group*" },
  { "no choice", { .target = "half-toy" }, { "rounding=up" }, .error = "*rounding*" },
  { "a number needs a value", { .target = "half-toy" }, { "group" }, .error = "*group*" },
  { "of the writer", { .target = "half-toy" }, { "loud" }, .tensor = "a", .text = "half|group=4," },
  { "of the writer with id", { .target = "half-toy" }, { "toy.loud=on" }, .tensor = "a", .text = "half|" },
  { "of the writer, wrong", { .target = "half-toy" }, { "loud=2" }, .error = "*loud*" },
  /* Options that a target fixes */
  { "fixed", { .target = "half8-toy" }, .tensor = "a", .text = "half|group=8," },
  { "fixed and said again", { .target = "half8-toy" }, { "group=8" }, .tensor = "a", .text = "half|group=8," },
  { "fixed and said otherwise", { .target = "half8-toy" }, { "group=4" }, .error = "half8-toy is half with group=8*" },
  { "not fixed", { .target = "half8-toy" }, { "rounding=down" }, .tensor = "a", .text = "half|group=8,rounding=down|" },
  /* Schemes that a family brings along */
  { "implied", { .target = "whole-toy" }, .tensor = "x.mod", .text = "half|group=4," },
  { "implied, by its id", { .target = "whole-toy" }, { "half.group=8" }, .tensor = "x.mod", .text = "half|group=8," },
  { "implied, by its id, wrong", { .target = "whole-toy" }, { "half.group=x" }, .error = "*group*" },
  { "implied, without id", { .target = "whole-toy" }, { "group=8" }, .error = "*group*" },
  { "not implied", { .target = "whole-toy", .rules.fallback = "keep" }, { "half.group=8" }, .error = "*half*" },
  /* Schemes that the user brings along */
  { "of --layers", { .target = "whole-toy" }, { "group=8" }, { "half:^a$" }, "a", "half|group=8," },
  { "of --layers, and then implied no more",
    { .target = "whole-toy" },
    { "group=8" },
    { "half:^a$" },
    "x.mod",
    "half|group=8," },
  { "of --fallback",
    { .target = "whole-toy", .rules.fallback = "half" },
    { "group=8" },
    .tensor = "x.mod",
    .text = "half|group=8," },
  { "for one layer",
    { .target = "half-toy" },
    .layers = { "half,group=8,rounding=down:^a$" },
    .tensor = "a",
    .text = "half|group=8,rounding=down|" },
  { "not for others",
    { .target = "half-toy" },
    .layers = { "half,group=8:^a$" },
    .tensor = "b",
    .text = "half|group=4," },
  { "for one layer before -o", { .target = "half-toy" }, { "group=2" }, { "half,group=8:^a$" }, "a", "half|group=8," },
  { "-o for the rest of a layer",
    { .target = "half-toy" },
    { "rounding=down" },
    { "half,group=8:^a$" },
    "a",
    "half|group=8,rounding=down|" },
  { "wrong for one layer",
    { .target = "half-toy" },
    .layers = { "half,grope=8:^a$" },
    .error = "--layers half,grope=8:^a$: *grope*" },
  { "no value for one layer",
    { .target = "half-toy" },
    .layers = { "half,group=99:^a$" },
    .error = "--layers half,group=99:^a$: *group*" },
  { "options of what is kept",
    { .target = "half-toy" },
    .layers = { "keep,group=8:^a$" },
    .error = "--layers keep,group=8:^a$: *" },
  /* A key of two schemes */
  { "ambiguous", { .target = "half-toy" }, { "effort=rtn" }, { "twin:^a$" }, .error = "*effort*" },
  { "not ambiguous", { .target = "half-toy" }, { "half.effort=rtn" }, { "twin:^a$" }, "a", "twin||" },
  /* --effort */
  { "effort", { .target = "half-toy", .effort = "rtn" }, .tensor = "a", .text = "half|" },
  { "effort of two schemes",
    { .target = "half-toy", .effort = "rtn" },
    .layers = { "twin:^a$" },
    .tensor = "a",
    .text = "twin|" },
  { "effort that does not reach",
    { .target = "once-toy", .rules.fallback = "keep", .effort = "rtn" },
    .tensor = "a",
    .text = "once|",
    .warning = "--effort*" },
  { "effort of an implied scheme", { .target = "whole-toy", .effort = "rtn" }, .tensor = "x.mod", .text = "half|" },
  { "no effort", { .target = "half-toy", .effort = "best" }, .error = "*effort*" },
  /* Plain targets */
  { "option of no scheme", { .target = "f32-toy" }, { "group=8" }, .error = "*group*" },
};

static void
add_warning (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

static gboolean
warned (const GPtrArray *warnings, const char *text)
{
  for (guint i = 0; i < warnings->len; i++)
    if (g_pattern_match_simple (text, g_ptr_array_index (warnings, i)))
      return TRUE;
  return FALSE;
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autofree char *name = g_strconcat (k->tensor != NULL ? k->tensor : "", ".scheme", NULL);
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GBytes) marker = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;
  QconvJob job = k->job;
  gboolean ok;

  toy_reset ();
  toy_write (in, model, NULL);
  m = toy_open (in);
  job.output = out;
  job.options = k->options[0] != NULL ? k->options : NULL;
  job.rules.layers = k->layers[0] != NULL ? k->layers : NULL;
  job.warn = add_warning;
  job.warn_data = warnings;
  ok = toy_run (m, &job, NULL, &error);
  if (k->error != NULL)
    {
      g_assert_false (ok);
      toy_assert_error (error, QCONV_ERROR_OPTION, k->error);
      return;
    }
  g_assert_no_error (error);
  marker = toy_tensor (out, name);
  g_assert_cmpmem (g_bytes_get_data (marker, NULL), MIN (g_bytes_get_size (marker), strlen (k->text)), k->text,
                   strlen (k->text));
  g_assert_cmpint (warned (warnings, "--effort*"), ==, k->warning != NULL);
}

/* Tests that --effort and -o effort=… give the same bytes, and other bytes than the default */
static void
test_effort_bytes (void)
{
  const QconvJob jobs[] = { { .target = "half-toy", .effort = "rtn" },
                            { .target = "half-toy", .options = (const char *const[]) { "effort=rtn", NULL } },
                            { .target = "half-toy" } };
  g_autofree char *in = toy_path ("in.box");
  GBytes *files[G_N_ELEMENTS (jobs)];

  toy_reset ();
  toy_write (in, model, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++)
    {
      g_autofree char *out = toy_path ("out.box");

      toy_convert (in, out, &jobs[i]);
      files[i] = toy_file (out);
    }
  g_assert_true (g_bytes_equal (files[0], files[1]));
  g_assert_false (g_bytes_equal (files[0], files[2]));
  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++)
    g_bytes_unref (files[i]);
}

/* Tests that the target's own scheme is the first, that each scheme takes part once, and that a scheme is not implied
   after the user named it */
static void
test_list (void)
{
  const QconvTargetInfo *target = qconv_target_find ("whole-toy", NULL);
  g_autoptr (GError) error = NULL;
  const Scheme *half;
  Schemes s;

  toy_reset ();
  qconv_schemes_init (&s, target);
  g_assert_cmpstr (qconv_schemes_main (&s)->quantizer->id, ==, "whole");
  g_assert_null (qconv_schemes_find (&s, "half"));
  half = qconv_schemes_imply (&s, "half");
  g_assert_true (half->implied);
  g_assert_true (qconv_schemes_imply (&s, "half") == half);
  g_assert_true (qconv_schemes_find (&s, "half") == half);
  g_assert_true (qconv_schemes_add (&s, "half", "--layers", &error) == half);
  g_assert_false (half->implied);
  g_assert_true (qconv_schemes_imply (&s, "whole") == qconv_schemes_main (&s));
  g_assert_false (qconv_schemes_main (&s)->implied);
  g_assert_cmpuint (s.list->len, ==, 2);
  g_assert_null (qconv_schemes_imply (&s, "light"));
  g_assert_null (qconv_schemes_imply (&s, "none"));
  g_assert_null (qconv_schemes_add (&s, "whol", "--fallback", &error));
  toy_assert_error (error, QCONV_ERROR_OPTION,
                    "--fallback: whole-toy cannot hold the scheme \"whol\"*keep*did you mean whole*");
  qconv_schemes_clear (&s);
}

static void
test_plain (void)
{
  Schemes s;

  toy_reset ();
  qconv_schemes_init (&s, qconv_target_find ("f32-toy", NULL));
  g_assert_null (qconv_schemes_main (&s));
  g_assert_cmpuint (s.list->len, ==, 0);
  qconv_schemes_clear (&s);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/schemes/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/core/schemes/effort-bytes", test_effort_bytes);
  g_test_add_func ("/core/schemes/list", test_list);
  g_test_add_func ("/core/schemes/plain", test_plain);
  return g_test_run ();
}
