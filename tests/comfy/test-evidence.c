/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests how NVFP4 layers without markers are read whose scales may lie in tiles and in plain rows: by their numbers, by
   the shapes of other layers, or by the word of the user if nothing contradicts it. */
#include <math.h>
#include <string.h>

#include "fixture.h"

/* A weight. @spread: logarithm of how much larger some rows are than others; 0: noise alone */
typedef struct {
  guint rows, cols;
  double spread;
} Weight;

static const Weight clear = { 256, 512, 0.3 }, blurred = { 256, 512, 0 }, small = { 128, 128, 0.5 };

static const char *const auto_word[] = { "comfy.scale-layout=auto", NULL };
static const char *const tiles_word[] = { "comfy.scale-layout=swizzled", NULL };
static const char *const plain_word[] = { "comfy.scale-layout=plain", NULL };

/* Returns: (transfer full): path of a marked file with the layer "l" */
static char *
write_marked (const Weight *w)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *x = noise ((gsize) w->rows * w->cols, 5);
  g_autofree char *shape = g_strdup_printf ("[%u,%u]", w->rows, w->cols), *input = NULL;
  char *path = scratch_path ("marked.safetensors");

  for (guint i = 0; i < w->rows * w->cols; i++)
    x[i] *= (float) exp (w->spread * (i / w->cols * 7 % 11 - 5.0) / 3);
  builder_add (b, "l.weight", "F32", shape, x, (gsize) w->rows * w->cols * sizeof *x);
  input = builder_write (b, "input.safetensors");
  convert (input, path, "nvfp4-comfy", NULL);
  return path;
}

/* Adds the tensors of the marked layer "l" as @layer without marker: in tiles, or as ModelOpt has them */
static void
add_unmarked (Builder *b, const char *layer, const QconvModel *marked, const Weight *w, gboolean tiles)
{
  g_autoptr (GBytes) codes = tensor_bytes (marked, "l.weight"), scales = tensor_bytes (marked, "l.weight_scale");
  g_autoptr (GBytes) whole = tensor_bytes (marked, "l.weight_scale_2");
  guint cols = w->cols / 16;
  gsize n = g_bytes_get_size (codes), n_scales = g_bytes_get_size (scales);
  g_autofree guint8 *c = g_memdup2 (g_bytes_get_data (codes, NULL), n), *s = g_malloc (n_scales);
  const guint8 *from = g_bytes_get_data (scales, NULL);
  g_autofree char *weight = g_strconcat (layer, ".weight", NULL), *scale = g_strconcat (weight, "_scale", NULL);
  g_autofree char *second = g_strconcat (scale, "_2", NULL), *shape = g_strdup_printf ("[%u,%u]", w->rows, w->cols / 2);
  g_autofree char *scale_shape = g_strdup_printf ("[%u,%u]", w->rows, cols);

  for (gsize i = 0; i < n && !tiles; i++)
    c[i] = (guint8) (c[i] << 4 | c[i] >> 4);
  /* cuBLAS: 1D block scaling factors layout */
  for (gsize i = 0; i < n_scales; i++)
    {
      gsize r = i / cols, k = i % cols;

      s[i] = tiles ? from[i] : from[(r / 128 * (cols / 4) + k / 4) * 512 + r % 32 * 16 + r % 128 / 32 * 4 + k % 4];
    }
  builder_add (b, weight, "U8", shape, c, n);
  builder_add (b, scale, "F8_E4M3", scale_shape, s, n_scales);
  builder_add (b, second, "F32", "[]", g_bytes_get_data (whole, NULL), sizeof (float));
}

/* Returns: (transfer full): path of the file with "l" alone */
static char *
write_unmarked (const char *marked_path, const Weight *w, gboolean tiles)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) marked = open_model (marked_path, NULL);

  add_unmarked (b, "l", marked, w, tiles);
  return builder_write (b, "unmarked.safetensors");
}

/* Returns: (transfer full): the weight as floats */
static GBytes *
decode (const char *path, const char *const *options)
{
  g_autofree char *output = scratch_path ("decoded.safetensors");
  g_autoptr (QconvModel) m = NULL;

  convert (path, output, "f32-safetensors", options);
  m = open_model (output, NULL);
  return tensor_bytes (m, "l.weight");
}

static void
collect (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

/* Opens the file with the options and asserts that there is one warning that holds @text, or none if that is NULL, and
   that the scheme of "l" is @scheme */
static void
assert_read (const char *path, const char *const *word, const char *text, const char *scheme)
{
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (
      path, &(QconvOpenOptions) { .options = word, .warn = collect, .warn_data = warnings }, &error);
  g_autoptr (GArray) weights = NULL;

  g_assert_no_error (error);
  g_assert_cmpuint (warnings->len, ==, text != NULL ? 1 : 0);
  if (text != NULL && strstr (g_ptr_array_index (warnings, 0), text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", (char *) g_ptr_array_index (warnings, 0), text);
  weights = qconv_model_weights (m);
  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, "l") == 0)
      g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, i).scheme, ==, scheme);
}

/* Asserts that the file is refused, and that verify has the refusal as a problem */
static void
assert_refused (const char *path, const char *const *word, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &(QconvOpenOptions) { .options = word }, &error);
  g_autoptr (QconvModel) verified = NULL;
  g_autoptr (QconvReport) report = NULL;
  const QconvProblem *p;

  g_assert_null (m);
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, text);
  verified = qconv_model_open (path, &(QconvOpenOptions) { .options = word, .for_verify = TRUE }, NULL);
  g_assert_nonnull (verified);
  report = qconv_model_verify (verified, NULL, NULL);
  g_assert_false (report->ok);
  p = g_ptr_array_index (report->problems, report->problems->len - 1);
  g_assert_cmpstr (p->code, ==, "unreadable");
  g_assert_nonnull (strstr (p->message, text));
}

/* Tests that clear numbers decide, that a right word is believed and a wrong one is not */
static void
test_clear (void)
{
  g_autofree char *marked = write_marked (&clear);
  g_autoptr (GBytes) wanted = decode (marked, NULL);

  for (gint tiles = 0; tiles < 2; tiles++)
    {
      const char *const *right = tiles ? tiles_word : plain_word, *const *wrong = tiles ? plain_word : tiles_word;
      g_autofree char *path = write_unmarked (marked, &clear, tiles);
      g_autoptr (GBytes) found = decode (path, auto_word), told = decode (path, right);

      g_assert_true (g_bytes_equal (found, wanted));
      g_assert_true (g_bytes_equal (told, wanted));
      assert_read (path, right, NULL, "nvfp4");
      assert_read (path, auto_word,
                   tiles ? "l: the block scales are read as tiles, as their numbers show"
                         : "l: the block scales are read as plain rows, as their numbers show",
                   "nvfp4");
      assert_refused (path, wrong,
                      tiles ? "l: -o comfy.scale-layout=plain contradicts the block scales: they lie in tiles"
                            : "l: -o comfy.scale-layout=swizzled contradicts the block scales: they lie in plain rows");
    }
}

/* Tests that noise, and layers with few scales, leave the decision to the user */
static void
test_undecided (gconstpointer data)
{
  const Weight *w = data;
  g_autofree char *marked = write_marked (w);

  for (gint tiles = 0; tiles < 2; tiles++)
    {
      g_autofree char *path = write_unmarked (marked, w, tiles);

      assert_read (path, auto_word, "it is not known how the block scales lie", "unknown-scaled");
      assert_read (path, tiles_word, "-o comfy.scale-layout=swizzled is believed", "nvfp4");
      assert_read (path, plain_word, "-o comfy.scale-layout=plain is believed", "nvfp4");
    }
}

/* Tests that a layer whose shape allows one layout decides for noise beside it */
static void
test_neighbour (void)
{
  g_autofree char *marked = write_marked (&blurred), *path = NULL;
  g_autoptr (QconvModel) m = open_model (marked, NULL);
  g_autoptr (Builder) b = builder_new ();
  const float one = 1;

  add_unmarked (b, "l", m, &blurred, FALSE);
  builder_add (b, "k.weight", "U8", "[64,256]", NULL, 64 * 256);
  builder_add (b, "k.weight_scale", "F8_E4M3", "[64,32]", NULL, 64 * 32);
  builder_add (b, "k.weight_scale_2", "F32", "[]", &one, sizeof one);
  path = builder_write (b, "neighbour.safetensors");
  assert_read (path, auto_word, "l: the block scales are read as plain rows, because those of k can only lie so",
               "nvfp4");
}

/* Tests that plain rows are not believed of a marked layer whose numbers show tiles, or nothing */
static void
test_marked (void)
{
  g_autofree char *marked = write_marked (&clear), *noisy = NULL;

  assert_read (marked, tiles_word, NULL, "nvfp4");
  assert_refused (marked, plain_word, "l: -o comfy.scale-layout=plain contradicts the block scales");
  noisy = write_marked (&blurred);
  assert_read (noisy, tiles_word, NULL, "nvfp4");
  assert_refused (noisy, plain_word, "l: -o comfy.scale-layout=plain contradicts the marker");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/evidence/clear", test_clear);
  g_test_add_data_func ("/comfy/evidence/noise", &blurred, test_undecided);
  g_test_add_data_func ("/comfy/evidence/small", &small, test_undecided);
  g_test_add_func ("/comfy/evidence/neighbour", test_neighbour);
  g_test_add_func ("/comfy/evidence/marked", test_marked);
  status = g_test_run ();
  scratch_end ();
  return status;
}
