/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests --input-scale with numbers, JSON files and models: reads the component in the output. */
#include <gio/gio.h>
#include <string.h>

#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

static const ToyTensor model[] = {
  FLOATS ("model.a.weight", 16, 16), FLOATS ("model.b.weight", 16, 16), FLOATS ("model.head.weight", 16, 16), { NULL }
};
static const float quarter = 0.25f, minus = -1;
/* Scales beside layers that stay plain */
static const ToyTensor loose[]
    = { FLOATS ("a.weight", 16, 16), { "a.input_scale", QCONV_BF16, { 1, { 1 } }, &quarter, NULL }, { NULL } };
static const ToyTensor loose_minus[] = { { "a.input_scale", QCONV_F32, { 0, { 0 } }, &minus, NULL }, { NULL } };
static const ToyTensor loose_many[] = { { "a.input_scale", QCONV_F32, { 1, { 2 } }, NULL, NULL }, { NULL } };
static const ToyTensor loose_integer[] = { { "a.input_scale", QCONV_I32, { 1, { 1 } }, NULL, NULL }, { NULL } };
static const ToyTensor loose_stranger[] = { { "z.input_scale", QCONV_F32, { 0, { 0 } }, &quarter, NULL }, { NULL } };
static const ToyTensor loose_none[] = { FLOATS ("a.weight", 16, 16), { NULL } };

/**
 * Case: the model becomes @target.
 * @source: (nullable): scale that a source in half has for all layers; NULL: the source is floats
 * @text: (nullable): the option; NULL: a file of @json or @file, or no option without these
 * @made: (nullable): target that @file is converted to, with the scale 0.5
 * @a, @b: scales afterwards; 0: none
 * @error: (nullable): with @code
 */
typedef struct {
  const char *title, *target, *source, *text, *json;
  const ToyTensor *file;
  const char *made;
  float a, b;
  const char *error;
  QconvError code;
  gboolean warns;
} Case;

#define OPTION(text) .error = text, .code = QCONV_ERROR_OPTION

static const Case cases[] = {
  { "no option", "half-toy" },
  { "none", "half-toy", .text = "none" },
  { "number", "half-toy", .text = "0.5", .a = 0.5f, .b = 0.5f },
  { "exponent", "half-toy", .text = "5e-1", .a = 0.5f, .b = 0.5f },
  { "zero", "half-toy", .text = "0", OPTION ("input scale 0 *") },
  { "below zero", "half-toy", .text = "-2", OPTION ("input scale -2 *") },
  { "infinite", "half-toy", .text = "inf", OPTION ("input scale inf *") },
  { "no number", "half-toy", .text = "nan", OPTION ("input scale nan *") },
  { "too large for F32", "half-toy", .text = "1e39", OPTION ("input scale 1e39 *") },
  { "too small for F32", "half-toy", .text = "1e-50", OPTION ("input scale 1e-50 *") },
  { "scheme without one", "whole-toy", .text = "0.5", .warns = TRUE },
  { "source has its own", "half-toy", .source = "2", .a = 2, .b = 2 },
  { "number and the source's own", "half-toy", .source = "2", .text = "0.5", .a = 2, .b = 2, .warns = TRUE },
  { "none and the source's own", "half-toy", .source = "2", .text = "none" },
  { "file and the source's own", "half-toy", .source = "2", .json = "{\"a\": 0.5}", .a = 0.5f, .b = 2 },
  { "own of another form", "half8-toy", .source = "2" },
  { "number for another form", "half8-toy", .source = "2", .text = "0.5", .a = 0.5f, .b = 0.5f },
  /* JSON */
  { "map", "half-toy", .json = "{\"a\": 0.5, \"b\": 3}", .a = 0.5f, .b = 3 },
  { "map with some", "half-toy", .json = "{\"b\": 3}", .b = 3 },
  { "map with suffix", "half-toy", .json = "{\"a.input_scale\": 0.5}", .a = 0.5f },
  { "map with prefix", "half-toy", .json = "{\"model.a\": 0.5, \"model.b.input_scale\": 3}", .a = 0.5f, .b = 3 },
  { "map with weight", "half-toy", .json = "{\"model.a.weight\": 0.5}", .a = 0.5f },
  { "map for a kept layer", "half-toy", .json = "{\"head\": 0.5}", .warns = TRUE },
  { "key that is no layer", "half-toy", .json = "{\"z\": 0.5}", OPTION ("*scales.*: *\"z\"*") },
  { "key twice", "half-toy", .json = "{\"a\": 0.5, \"model.a\": 1}", OPTION ("*\"a\" is there twice") },
  { "text", "half-toy", .json = "{\"a\": \"0.5\"}", OPTION ("*scales.json: \"a\" is not a number") },
  { "null", "half-toy", .json = "{\"a\": null}", OPTION ("*scales.json: \"a\" is not a number") },
  { "list", "half-toy", .json = "[0.5]", OPTION ("*scales.json: not a JSON object*") },
  { "zero in a map", "half-toy", .json = "{\"a\": 0}", OPTION ("*scales.json: *\"a\": 0 is not a positive*") },
  { "infinite in F32", "half-toy", .json = "{\"a\": 1e300}", OPTION ("*\"a\": 1e+300 is not a positive*") },
  { "no JSON", "half-toy", .json = "{", OPTION ("*scales.json: *") },
  /* Models */
  { "loose tensor", "half-toy", .file = loose, .a = 0.25f },
  { "loose tensor below zero", "half-toy", .file = loose_minus, OPTION ("*\"a.input_scale\": -1 is not a positive*") },
  { "loose tensor of two", "half-toy", .file = loose_many, OPTION ("*\"a.input_scale\" is not one float") },
  { "loose integer", "half-toy", .file = loose_integer, OPTION ("*\"a.input_scale\" is not one float") },
  { "loose tensor of no layer", "half-toy", .file = loose_stranger, OPTION ("*scales.*: *\"z\"*") },
  { "model without scales", "half-toy", .file = loose_none, OPTION ("*scales.box: holds no *.input_scale") },
  { "model of the same scheme", "half-toy", .file = model, .made = "half-toy", .a = 0.5f, .b = 0.5f },
};

static void
add_warning (const char *message, gpointer data)
{
  *(gboolean *) data |= g_str_has_prefix (message, "--input-scale ");
}

static void
assert_scale (const char *path, const char *name, float want)
{
  g_autoptr (GBytes) b = toy_tensor (path, name);

  g_assert_cmpint (b != NULL, ==, want != 0);
  if (b != NULL)
    g_assert_cmpmem (g_bytes_get_data (b, NULL), g_bytes_get_size (b), &want, sizeof want);
}

/* Returns: (transfer full) (nullable): the file of @k */
static char *
make_file (const Case *k)
{
  g_autofree char *json = toy_path ("scales.json"), *box = toy_path ("scales.box"), *floats = toy_path ("floats.box");

  if (k->json != NULL)
    toy_write_text (json, k->json);
  if (k->file != NULL)
    toy_write (k->made != NULL ? floats : box, k->file, NULL);
  if (k->made != NULL)
    toy_convert (floats, box, &(QconvJob) { .target = k->made, .input_scale = "0.5" });
  return k->json != NULL ? g_steal_pointer (&json) : k->file != NULL ? g_steal_pointer (&box) : NULL;
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *out = toy_path ("out.box");
  g_autofree char *file = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;
  gboolean warned = FALSE, ok;

  toy_reset ();
  toy_write (in, model, NULL);
  if (k->source != NULL)
    toy_convert (in, source, &(QconvJob) { .target = "half-toy", .input_scale = k->source });
  file = make_file (k);
  m = toy_open (k->source != NULL ? source : in);
  ok = toy_run (m,
                &(QconvJob) { .target = k->target,
                              .output = out,
                              .input_scale = k->text != NULL ? k->text : file,
                              .warn = add_warning,
                              .warn_data = &warned },
                NULL, &error);
  if (k->error != NULL)
    {
      g_assert_false (ok);
      toy_assert_error (error, (gint) k->code, k->error);
      return;
    }
  g_assert_no_error (error);
  assert_scale (out, "model.a.input_scale", k->a);
  assert_scale (out, "model.b.input_scale", k->b);
  assert_scale (out, "model.head.input_scale", 0);
  g_assert_cmpint (warned, ==, k->warns);
}

/* Tests that a missing file is an error of GIO, not of the option */
static void
test_missing (void)
{
  g_autofree char *in = toy_path ("in.box"), *file = toy_path ("scales.json"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  m = toy_open (in);
  g_assert_null (qconv_plan_new (m, &(QconvJob) { .target = "half-toy", .output = out, .input_scale = file }, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, file));
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/input-scale/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/core/input-scale/missing", test_missing);
  return g_test_run ();
}
