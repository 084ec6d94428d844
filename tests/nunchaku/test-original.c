/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests nunchaku's files beside the model that they were made from: computed biases may differ as much as the format
   rounds, and no more. */
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

#define FC2 "transformer_blocks.0.mlp_fc2"
#define MOD "transformer_blocks.0.norm1.linear"

/* Adds a tensor of @n equal items of 16 bits */
static void
add_halves (Builder *b, const char *layer, const char *member, const char *dtype, const char *shape, gsize n,
            guint16 item)
{
  g_autofree char *name = g_strconcat (layer, member, NULL);
  g_autofree guint16 *items = g_new (guint16, n);

  for (gsize i = 0; i < n; i++)
    items[i] = GUINT16_TO_LE (item);
  builder_add (b, name, dtype, shape, items, n * sizeof *items);
}

/* Adds an INT4 layer of 128 × 128: codes 1, scales 0.5, smoothing factors 2, biases 1, and the product 2⁻⁴ */
static void
add_svdq (Builder *b, const char *layer)
{
  add_halves (b, layer, ".qweight", "I8", "[128, 64]", 4096, 0x1111);
  add_halves (b, layer, ".wscales", "BF16", "[2, 128]", 256, 0x3f00);
  add_halves (b, layer, ".smooth", "BF16", "[128]", 128, 0x4000);
  add_halves (b, layer, ".smooth_orig", "BF16", "[128]", 128, 0x3f80);
  add_halves (b, layer, ".lora_down", "BF16", "[128, 16]", 2048, 0x3f80);
  add_halves (b, layer, ".lora_up", "BF16", "[128, 16]", 2048, 0x3b80);
  add_halves (b, layer, ".bias", "BF16", "[128]", 128, 0x3f80);
}

/* Adds a modulation layer of 24 × 64 in six vectors, whose biases are all 1.5 in the file */
static void
add_awq (Builder *b, const char *layer)
{
  add_halves (b, layer, ".qweight", "I32", "[6, 32]", 384, 0x3333);
  add_halves (b, layer, ".wscales", "BF16", "[1, 24]", 24, 0x3f80);
  add_halves (b, layer, ".wzeros", "BF16", "[1, 24]", 24, 0xc000);
  add_halves (b, layer, ".bias", "BF16", "[24]", 24, 0x3fc0);
}

/* Returns the problems of @path, which @original is compared with, as lines "code layer". The files of this test are
   parts of a model without metadata, which are problems of their own */
static char *
problems_against (const char *path, const char *original)
{
  g_autoptr (QconvModel) m = open_model (path, NULL), o = open_model (original, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) r = qconv_model_verify (m, &(QconvVerifyOptions) { .n_threads = 1, .original = o }, &error);
  GString *lines = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < r->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (r->problems, i);

      if (strcmp (p->code, "metadata") != 0 && strcmp (p->code, "rank") != 0 && strcmp (p->code, "missing") != 0)
        g_string_append_printf (lines, "%s %s\n", p->code, p->layer != NULL ? p->layer : "-");
    }
  return g_string_free (lines, FALSE);
}

/* ---- Biases ---- */

/* Writes the model in F32: its weights, and biases that differ from the computed ones as stated */
static char *
write_original (float shifted, float plain_chunk, float raised_chunk)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *weights = g_new0 (float, 128 * 128), *decoded = g_new0 (float, 128 * 128);
  float fc2[128], mod[24];

  for (guint i = 0; i < 128 * 128; i++)
    {
      weights[i] = 1.0f;
      decoded[i] = 0.3125f;
    }
  for (guint i = 0; i < 128; i++)
    fc2[i] = i % 2 == 0 ? 6.5f : 6.5f + shifted;
  for (guint i = 0; i < 24; i++)
    mod[i] = i / 4 % 3 == 1 ? 0.5f + raised_chunk : 1.5f + plain_chunk;
  builder_add (b, FC2 ".weight", "F32", "[128, 128]", decoded, sizeof (float) * 128 * 128);
  builder_add (b, FC2 ".bias", "F32", "[128]", fc2, sizeof fc2);
  builder_add (b, MOD ".weight", "F32", "[24, 64]", weights, sizeof (float) * 24 * 64);
  builder_add (b, MOD ".bias", "F32", "[24]", mod, sizeof mod);
  return builder_write (b, "original.safetensors");
}

/* Tests what may differ. Modulation: 2⁻⁸ of 1.5 in the vectors to which 1 is added, nothing in the others. Shifted:
   six standard deviations of 128 errors of 0.25 / √12, times 11/64, which are 0.842, and the rounding of 1 and of
   1 − 11/64 · 128 · 2⁻⁴, which is 0.0054 */
static void
test_biases (void)
{
  static const struct {
    float shifted, plain_chunk, raised_chunk;
    const char *problems;
  } cases[] = {
    { 0, 0, 0, "" },
    { 0.84f, 0, 0.0058f, "" },
    { -0.84f, 0, -0.0058f, "" },
    { 0.86f, 0, 0, "differs " FC2 ".bias\n" },
    { -0.86f, 0, 0, "differs " FC2 ".bias\n" },
    { -13.0f, 0, 0, "differs " FC2 ".bias\n" },
    { 0, 0.001f, 0, "differs " MOD ".bias\n" },
    { 0, 0, 0.0060f, "differs " MOD ".bias\n" },
    { 0, 0, -0.5f, "differs " MOD ".bias\n" },
    { 0, 0, 1.0f, "differs " MOD ".bias\n" },
  };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL;

  add_svdq (b, FC2);
  add_awq (b, MOD);
  path = builder_write (b, "case.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *original = write_original (cases[i].shifted, cases[i].plain_chunk, cases[i].raised_chunk);
      g_autofree char *problems = problems_against (path, original);

      g_assert_cmpstr (problems, ==, cases[i].problems);
    }
}

/* ---- Two halves ---- */

#define BLOCK "single_transformer_blocks.0"

/* Tests that a bias of the first half, which the format has as zeros, is added to that of the second: 1 + 6.5 */
static void
test_halves (void)
{
  static const char *const first[] = { BLOCK ".out_proj", BLOCK ".attn.to_out" };

  for (guint i = 0; i < G_N_ELEMENTS (first); i++)
    {
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *path = NULL, *out = scratch_path ("out.safetensors"), *name = NULL;
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (GBytes) bytes = NULL;
      gboolean told = FALSE;

      add_svdq (b, first[i]);
      add_svdq (b, BLOCK ".mlp_fc2");
      path = builder_write (b, "case.safetensors");
      qconv_model_free (open_model (path, warnings));
      for (guint k = 0; k < warnings->len; k++)
        told |= strstr (g_ptr_array_index (warnings, k), "it is added to that of mlp_fc2") != NULL;
      g_assert_true (told);
      convert (path, out, "f32-safetensors", NULL);
      m = open_model (out, NULL);
      bytes = tensor_bytes (m, BLOCK ".mlp_fc2.bias");
      for (guint k = 0; k < 128; k++)
        g_assert_cmpfloat (((const float *) g_bytes_get_data (bytes, NULL))[k], ==, 7.5f);
      name = g_strconcat (first[i], ".bias", NULL);
      g_assert_null (qconv_directory_find (qconv_model_directory (m), name));
    }
}

/* ---- Golden files ---- */

/* Tests that deepcompressor's files are those of their source, which has diffusers' names. Skips if the complete files
   are not there: they are too large for this repository */
static void
test_golden (void)
{
  static const char *const names[]
      = { "nunchaku/flux-tiny-int4-r32.safetensors", "nunchaku/flux-tiny-fp4-r32.safetensors" };
  g_autofree char *source = golden_path ("nunchaku/flux-tiny-source.safetensors");

  if (!g_file_test (source, G_FILE_TEST_EXISTS))
    {
      g_test_skip ("this repository lacks the complete files: QCONV_TEST_GOLDEN names a folder with them");
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = golden_path (names[i]), *problems = problems_against (path, source);

      g_assert_cmpstr (problems, ==, "");
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/nunchaku/original/biases", test_biases);
  g_test_add_func ("/nunchaku/original/halves", test_halves);
  g_test_add_func ("/nunchaku/original/golden", test_golden);
  result = g_test_run ();
  scratch_end ();
  return result;
}
