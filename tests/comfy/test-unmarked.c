/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests layers whose markers are missing, blank or ignored, and scales that belong to nothing. */
#include "fixture.h"

#include <string.h>

static const float one = 1.0f;

/* One tensor of @n bytes of zeros; ends with { NULL } */
typedef struct {
  const char *name, *dtype, *shape;
  gsize n;
} Zeros;

static void
add_zeros (Builder *b, const Zeros *tensors)
{
  for (const Zeros *t = tensors; t->name != NULL; t++)
    builder_add (b, t->name, t->dtype, t->shape, NULL, t->n);
}

/* Returns: (transfer full): "scheme: first warning" of layer "l" */
static char *
reading_of (const char *path, const char *const *options)
{
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GArray) weights = NULL;

  if (options == NULL)
    m = open_model (path, warnings);
  else
    m = qconv_model_open (path, &(QconvOpenOptions) { .options = options }, NULL);
  g_assert_nonnull (m);
  weights = qconv_model_weights (m);
  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, "l") == 0)
      return g_strdup_printf ("%s: %s", g_array_index (weights, QconvWeightInfo, i).scheme,
                              warnings->len > 0 ? strstr (g_ptr_array_index (warnings, 0), ": ") + 2 : "");
  g_error ("there is no layer l");
}

static void
assert_says (const char *text, const char *part)
{
  if (strstr (text, part) == NULL)
    g_error ("\"%s\" does not say \"%s\"", text, part);
}

static const struct {
  const char *about;
  Zeros tensors[6];
  const char *says, *problems;
} unmarked[] = {
  { "fp8",
    { { "l.weight", "F8_E4M3", "[16,64]", 1024 }, { "l.weight_scale", "F32", "[]", 4 } },
    "fp8: l: the marker is missing",
    "no-marker l\n" },
  { "int8",
    { { "l.weight", "I8", "[16,64]", 1024 }, { "l.weight_scale", "F32", "[16,1]", 64 } },
    "by its scale the layer is int8, read as not rotated, which no tensor shows; -o unmarked-convrot=GROUP changes "
    "that",
    "no-marker l\n" },
  { "mxfp8",
    { { "l.weight", "F8_E4M3", "[32,64]", 2048 }, { "l.weight_scale", "U8", "[128,4]", 512 } },
    "unknown-scaled: ",
    "no-marker l\n" },
  { "w4a8",
    { { "l.weight", "I8", "[4,128]", 512 },
      { "l.weight_s_rel", "F8_E4M3", "[4,16]", 64 },
      { "l.weight_s_channel", "F32", "[4]", 16 } },
    "w4a8: l: the marker is missing; its tensors look like asym_w4a8_int8, read as rotated in groups of 256, which",
    "no-marker l\nno-marker l\n" },
  { "w4a8 of fewer columns than the usual rotation has",
    { { "l.weight", "I8", "[4,32]", 128 },
      { "l.weight_s_rel", "F8_E4M3", "[4,4]", 16 },
      { "l.weight_s_channel", "F32", "[4]", 16 },
      { "l.weight_codebook", "F32", "[16]", 64 } },
    "unknown-scaled: l: the marker is missing; it is not asym_w4a8_int8",
    "no-marker l\nno-marker l\n" },
  { "a part of w4a8",
    { { "l.weight", "I8", "[4,32]", 128 }, { "l.weight_s_channel", "F32", "[4]", 16 } },
    "unknown-scaled: ",
    "no-marker l\n" },
  { "awq",
    { { "l.weight", "I8", "[4,64]", 256 },
      { "l.weight_scale", "BF16", "[2,4]", 16 },
      { "l.weight_zeros", "BF16", "[2,4]", 16 } },
    "awq: l: the marker is missing; its tensors look like awq_w4a16",
    "no-marker l\n" },
  { "bnb_nf4",
    { { "l.weight", "U8", "[512]", 512 }, { "l.absmax", "F32", "[16]", 64 } },
    "unknown-scaled: ",
    "no-marker l\n" },
};

static void
test_unmarked (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL, *reading = NULL, *problems = NULL;

  add_zeros (b, unmarked[i].tensors);
  path = builder_write (b, "unmarked.safetensors");
  reading = reading_of (path, NULL);
  assert_says (reading, unmarked[i].says);
  problems = problems_of (path);
  g_assert_cmpstr (problems, ==, unmarked[i].problems);
}

/* Tests that the option reads a rotated layer whose marker got lost as the marker would. */
static void
test_rotation (void)
{
  static const char *const rotation[] = { "convrot=64", NULL }, *const told[] = { "unmarked-convrot=64", NULL };
  static const char *const short_of[] = { "unmarked-convrot=256", NULL };
  g_autofree char *rotated = scratch_path ("rotated.safetensors"), *want = scratch_path ("want.safetensors");
  g_autofree char *got = scratch_path ("got.safetensors"), *input = NULL, *reading = NULL;
  g_autofree float *w = noise (16 * 64, 3);
  g_autoptr (Builder) plain = builder_new ();
  g_autoptr (QconvModel) marked = NULL, a = NULL;
  g_autoptr (GBytes) codes = NULL, scales = NULL, x = NULL;

  builder_add (plain, "l.weight", "F32", "[16,64]", w, 16 * 64 * sizeof *w);
  input = builder_write (plain, "plain.safetensors");
  convert (input, rotated, "int8-comfy", rotation);
  convert (rotated, want, "f32-safetensors", NULL);
  a = open_model (want, NULL);
  x = tensor_bytes (a, "l.weight");
  marked = open_model (rotated, NULL);
  codes = tensor_bytes (marked, "l.weight");
  scales = tensor_bytes (marked, "l.weight_scale");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (GBytes) y = NULL;
      g_autofree char *path = NULL;

      builder_add (b, "l.weight", "I8", "[16,64]", g_bytes_get_data (codes, NULL), 1024);
      builder_add (b, "l.weight_scale", "F32", "[16,1]", g_bytes_get_data (scales, NULL), 64);
      if (i == 1)
        builder_add (b, "l.comfy_quant", "U8", "[8]", NULL, 8);
      path = builder_write (b, "lost.safetensors");
      g_free (g_steal_pointer (&reading));
      reading = reading_of (path, NULL);
      assert_says (reading, "read as not rotated, which no tensor shows");
      convert (path, got, "f32-safetensors", told);
      m = open_model (got, NULL);
      y = tensor_bytes (m, "l.weight");
      g_assert_true (g_bytes_equal (x, y));
      convert (path, got, "f32-safetensors", short_of); /* which does not divide 64 columns */
    }
}

/* Tests layers of the older form that have markers: ComfyUI converts them, and overwrites the markers. */
static void
test_both_forms (void)
{
  static const char *const markers[] = { "comfy.truth=markers", NULL };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (QconvModel) m = NULL, made = NULL, never = NULL;
  g_autofree char *path = NULL, *output = scratch_path ("both-out.safetensors"), *problems = NULL;
  const QconvOpenOptions options = { .options = markers };
  g_autoptr (GError) error = NULL;

  builder_add (b, "l.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "l.scale_weight", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}");
  builder_add (b, "k.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "k.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "k.comfy_quant", "{\"format\": \"float8_e4m3fn\"}");
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  path = builder_write (b, "both.safetensors");
  m = open_model (path, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  assert_says (g_ptr_array_index (warnings, 0), "l: the marker is ignored, as in ComfyUI, because scaled_fp8");
  problems = problems_of (path);
  assert_says (problems, "old-marker l\n");
  convert (path, output, "f32-safetensors", NULL);
  made = open_model (output, NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 2);
  never = qconv_model_open (path, &options, &error);
  g_assert_null (never);
  assert_says (error->message, "l.weight_scale is missing");
}

/* ---- Scales that belong to nothing ---- */

static void
test_orphans (void)
{
  static const Zeros layers[]
      = { { "l.weight", "F8_E4M3", "[16,64]", 1024 }, { "p.weight", "BF16", "[8]", 16 }, { NULL } };
  static const char *const dropped[]
      = { "l.weight_scale_2",   "l.scale_weight",    "p.input_scale",     "ghost.weight_scale",
          "ghost.scale_weight", "ghost.input_scale", "ghost.scale_input", "ghost.weight_scale_2" };
  static const Zeros kept[]
      = { { "vector.input_scale", "F32", "[8]", 32 }, { "packed.weight_packed", "F32", "[4,4]", 64 },
          { "packed.weight_scale", "F32", "[1]", 4 }, { "old.qweight", "F32", "[4,4]", 64 },
          { "old.input_scale", "F32", "[1]", 4 },     { NULL } };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (QconvModel) m = NULL;
  g_autofree char *path = NULL, *output = scratch_path ("orphans-out.safetensors"), *problems = NULL;

  add_zeros (b, layers);
  builder_add (b, "l.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"float8_e4m3fn\"}");
  for (guint i = 0; i < G_N_ELEMENTS (dropped); i++)
    builder_add (b, dropped[i], "F32", "[]", &one, sizeof one);
  add_zeros (b, kept);
  path = builder_write (b, "orphans.safetensors");
  m = open_model (path, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  assert_says (g_ptr_array_index (warnings, 0),
               "l, p, ghost (3 in all): weight_scale_2 is dropped: format float8_e4m3fn has none");
  g_clear_pointer (&m, qconv_model_free);
  convert (path, output, "fp8-comfy", NULL);
  m = open_model (output, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (dropped); i++)
    g_assert_null (qconv_directory_find (qconv_model_directory (m), dropped[i]));
  for (const Zeros *t = kept; t->name != NULL; t++)
    g_assert_nonnull (qconv_directory_find (qconv_model_directory (m), t->name));
  problems = problems_of (output);
  g_assert_cmpstr (problems, ==, "");
}

/* Tests parameters with names of scales: a file without markers and scaled codes may have them. */
static void
test_parameters (void)
{
  static const Zeros tensors[] = { { "a.weight", "BF16", "[8]", 16 }, { "b.input_scale", "F32", "[]", 4 }, { NULL } };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autofree char *path = NULL, *output = scratch_path ("parameters-out.safetensors");

  add_zeros (b, tensors);
  path = builder_write (b, "parameters.safetensors");
  convert (path, output, "f32-safetensors", NULL);
  m = open_model (output, NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (m)), ==, 2);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (unmarked); i++)
    {
      g_autofree char *name = g_strdup_printf ("/comfy/unmarked/%s", unmarked[i].about);

      g_test_add_data_func (name, GUINT_TO_POINTER (i), test_unmarked);
    }
  g_test_add_func ("/comfy/unmarked/rotation", test_rotation);
  g_test_add_func ("/comfy/unmarked/both-forms", test_both_forms);
  g_test_add_func ("/comfy/unmarked/orphans", test_orphans);
  g_test_add_func ("/comfy/unmarked/parameters", test_parameters);
  status = g_test_run ();
  scratch_end ();
  return status;
}
