/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what the readers gptq and awq make of generated layers: all packings, the worked example of the field, names of
   experts, and layers of both formats in files of any other. */
#include <string.h>

#include "packer.h"

static const char *
scheme_of (const QconvModel *m, const char *layer)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, layer) == 0)
      return g_array_index (weights, QconvWeightInfo, i).scheme;
  return NULL;
}

static const char *
format_of (const GptqRecipe *r)
{
  return r->planar ? "gptq_p" : r->stored_less == 0 ? "gptq_v2" : "gptq";
}

/* Writes a layer with the JSON that describes it, and compares its values. */
static void
check_recipe (const GptqRecipe *r)
{
  g_autoptr (GptqSample) s = gptq_sample_new (r, r->bits * 100 + r->word + r->cols);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *json = g_strdup_printf (
      "{\"bits\": %u, \"group_size\": %d, \"sym\": %s, \"desc_act\": %s, \"checkpoint_format\": \"%s\"}", r->bits,
      r->group == 0 ? -1 : (int) r->group, r->symmetric ? "true" : "false", r->shuffled ? "true" : "false",
      format_of (r));
  g_autofree char *path = NULL;

  gptq_sample_add (s, b, "model.layers.0.up");
  path = builder_write (b, "recipe.safetensors");
  gptq_write_config (json);
  gptq_assert_decodes (path, "model.layers.0.up", s, NULL);
  gptq_write_config (NULL);
}

/* Tests every width with both versions, symmetric or not, and with one group, several, or shuffled ones. */
static void
test_matrix (void)
{
  guint n = 0;

  for (guint bits = 2; bits <= 8; bits++)
    for (guint kind = 0; kind < 24; kind++)
      {
        gboolean only_planar = bits > 4 && bits < 8, planar = kind >= 12;
        GptqRecipe r = { .bits = bits,
                         .rows = 96,
                         .cols = 160,
                         .word = 32,
                         .planar = planar,
                         .symmetric = kind % 2 == 1,
                         .group = kind / 2 % 3 == 0 ? 0 : 32,
                         .shuffled = kind / 2 % 3 == 2,
                         .stored_less = planar ? 0 : kind / 6 % 2 };

        if (only_planar ? !planar || kind / 6 % 2 == 1 : planar && bits != 3)
          continue;
        check_recipe (&r);
        n++;
      }
  g_assert_cmpuint (n, ==, 4 * 12 + 12 + 3 * 6);
}

/* Tests words of other sizes, and sizes that do not fill them. */
static void
test_words (void)
{
  static const guint words[] = { 8, 16, 32, 64 }, bits[] = { 2, 3, 4, 8 };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint k = 0; k < G_N_ELEMENTS (bits); k++)
      {
        GptqRecipe r = { .bits = bits[k], .rows = 128, .cols = 192, .group = 64, .word = words[i], .stored_less = 1 };

        check_recipe (&r);
        r.cols = 200;
        r.rows = 44;
        check_recipe (&r);
        r.shuffled = TRUE;
        r.cols = 65;
        check_recipe (&r);
      }
}

/* Tests old files, which have no g_idx and no description of the group that fits. */
static void
test_no_index (void)
{
  for (guint bits = 2; bits <= 8; bits++)
    {
      GptqRecipe r = { .bits = bits,
                       .rows = 64,
                       .cols = 256,
                       .group = 64,
                       .word = 32,
                       .no_index = TRUE,
                       .planar = bits > 4 && bits < 8,
                       .symmetric = TRUE,
                       .stored_less = bits <= 4 || bits == 8 };
      g_autoptr (GptqSample) s = gptq_sample_new (&r, bits);
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *path = NULL;

      gptq_sample_add (s, b, "h.0.mlp");
      path = builder_write (b, "old.safetensors");
      gptq_assert_decodes (path, "h.0.mlp", s, NULL);
    }
}

/* ---- The field's worked example ---- */

/* Tests 16 columns and 8 rows with the bytes of the files: codes (3k + 5n) mod 16, groups of 8 columns; zero points 8
   and 1 … 8; scales 1/2 and 1/4, 1/2, 1, 2 in turn. */
static void
test_example (void)
{
  static const guint32 qweight[]
      = { 0x52fc9630, 0xa741eb85, 0xfc9630da, 0x41eb852f, 0x9630da74, 0xeb852fc9, 0x30da741e, 0x852fc963,
          0xda741eb8, 0x2fc9630d, 0x741eb852, 0xc9630da7, 0x1eb852fc, 0x630da741, 0xb852fc96, 0x0da741eb };
  static const guint16 scales[] = { 0x3800, 0x3800, 0x3800, 0x3800, 0x3800, 0x3800, 0x3800, 0x3800,
                                    0x3400, 0x3800, 0x3c00, 0x4000, 0x3400, 0x3800, 0x3c00, 0x4000 };
  static const guint32 qzeros[][2] = { { 0x77777777, 0x76543210 }, { 0x88888888, 0x87654321 } };
  static const gint32 shuffled[] = { 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1 };
  static const float row0[] = { -4, -2.5, -1, .5, 2, 3.5, -3, -1.5, 1.75, 2.5, 3.25, 0, .75, 1.5, 2.25, 3 };
  static const float row1[] = { -1.5, 0, 1.5, 3, -3.5, -2, -.5, 1, 5.5, -1, .5, 2, 3.5, 5, 6.5, 0 };
  static const float row7[] = { -2.5, -1, .5, 2, 3.5, -3, -1.5, 0, 6, 12, -14, -8, -2, 4, 10, -16 };
  static const float row1_shuffled[] = { 1.5, 0, 1.5, 6, -.5, -2, 2.5, 1, 2.5, -1, .5, -1, .5, 5, 3.5, 0 };

  for (guint kind = 0; kind < 3; kind++)
    {
      g_autofree char *out = scratch_path ("example-out.safetensors"), *path = NULL;
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (QconvModel) made = NULL;
      g_autoptr (GBytes) bytes = NULL;
      const float *x;

      builder_add (b, "m.qweight", "I32", "[2,8]", qweight, sizeof qweight);
      builder_add (b, "m.qzeros", "I32", "[2,1]", qzeros[kind == 1], 8);
      builder_add (b, "m.scales", "F16", "[2,8]", scales, sizeof scales);
      if (kind == 2)
        builder_add (b, "m.g_idx", "I32", "[16]", shuffled, sizeof shuffled);
      path = builder_write (b, "example.safetensors");
      gptq_write_config (kind == 1 ? "{\"bits\": 4, \"group_size\": 8, \"sym\": false, \"format\": \"gptq_v2\"}"
                                   : "{\"bits\": 4, \"group_size\": 8, \"sym\": false}");
      convert (path, out, "f32-safetensors", NULL);
      gptq_write_config (NULL);
      made = open_model (out, NULL);
      bytes = tensor_bytes (made, "m.weight");
      g_assert_cmpuint (g_bytes_get_size (bytes), ==, 8 * 16 * sizeof *x);
      x = g_bytes_get_data (bytes, NULL);
      g_assert_cmpmem (x + 16, sizeof row1, kind == 2 ? row1_shuffled : row1, sizeof row1);
      if (kind == 2)
        continue;
      g_assert_cmpmem (x, sizeof row0, row0, sizeof row0);
      g_assert_cmpmem (x + 7 * 16, sizeof row7, row7, sizeof row7);
    }
}

/* Tests the shapes that converters get wrong: qweight [256, 768], qzeros [16, 96] and scales [16, 768] are a weight
   [768, 2048], and its values are neither zeros nor in another order. */
static void
test_expert (void)
{
  static const char name[] = "model.layers.3.mlp.experts.17.gate_proj";
  GptqRecipe r
      = { .bits = 4, .rows = 768, .cols = 2048, .group = 128, .word = 32, .symmetric = TRUE, .stored_less = 1 };
  g_autoptr (GptqSample) s = gptq_sample_new (&r, 3);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, made = NULL;
  g_autofree char *path = NULL, *out = scratch_path ("decoded.safetensors"), *shape = NULL;

  gptq_sample_add (s, b, name);
  builder_add (b, "model.layers.3.mlp.gate.weight", "F16", "[128,2048]", NULL, 128 * 2048 * 2);
  builder_add (b, "model.layers.3.mlp.experts.17.gate_proj.bias", "F16", "[768]", NULL, 768 * 2);
  path = builder_write (b, "expert.safetensors");
  m = open_model (path, NULL);
  shape = qconv_shape_to_string (
      &qconv_directory_find (qconv_model_directory (m), "model.layers.3.mlp.experts.17.gate_proj.qzeros")->shape);
  g_assert_cmpstr (shape, ==, "[16, 96]");
  g_assert_cmpstr (scheme_of (m, name), ==, "gptq");
  g_assert_cmpstr (scheme_of (m, "model.layers.3.mlp.gate"), ==, "plain");
  gptq_assert_decodes (path, name, s, NULL);
  made = open_model (out, NULL);
  g_clear_pointer (&shape, g_free);
  shape = qconv_shape_to_string (
      &qconv_directory_find (qconv_model_directory (made), "model.layers.3.mlp.experts.17.gate_proj.weight")->shape);
  g_assert_cmpstr (shape, ==, "[768, 2048]");
  g_assert_nonnull (
      qconv_directory_find (qconv_model_directory (made), "model.layers.3.mlp.experts.17.gate_proj.bias"));
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 3);
}

/* ---- AutoAWQ, and which is which ---- */

static void
check_awq (const GptqRecipe *r, gboolean gemm, const char *json)
{
  g_autoptr (GptqSample) s = gptq_sample_new (r, r->cols);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL;

  (gemm ? gptq_sample_add_gemm : gptq_sample_add_gemv) (s, b, "m.q_proj");
  path = builder_write (b, "awq.safetensors");
  gptq_write_config (json);
  gptq_assert_decodes (path, "m.q_proj", s, NULL);
  gptq_write_config (NULL);
}

static void
test_awq (void)
{
  static const guint shapes[][3]
      = { { 64, 256, 128 }, { 8, 100, 20 }, { 72, 63, 63 }, { 1032, 320, 64 }, { 40, 384, 0 }, { 136, 8, 1 } };
  static const guint gemv[][3] = { { 64, 256, 128 }, { 33, 320, 32 }, { 12, 512, 64 }, { 5, 1024, 256 } };

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    check_awq (
        &(GptqRecipe) { .bits = 4, .word = 32, .rows = shapes[i][0], .cols = shapes[i][1], .group = shapes[i][2] },
        TRUE, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (gemv); i++)
    {
      g_autofree char *json
          = g_strdup_printf ("{\"quant_method\": \"awq\", \"version\": \"gemv\", \"q_group_size\": %u}", gemv[i][2]);

      check_awq (&(GptqRecipe) { .bits = 4, .word = 32, .rows = gemv[i][0], .cols = gemv[i][1], .group = gemv[i][2] },
                 FALSE, json);
    }
}

/* Tests layers of all packings in one file without a description: only their shapes tell them apart. */
static void
test_mixed (void)
{
  GptqRecipe r = {
    .bits = 4, .rows = 64, .cols = 384, .group = 128, .word = 32, .symmetric = TRUE, .stored_less = 1, .no_index = TRUE
  };
  g_autoptr (GptqSample) s = gptq_sample_new (&r, 1);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autofree char *path = NULL;

  gptq_sample_add (s, b, "a");
  gptq_sample_add_gemm (s, b, "b");
  gptq_sample_add_gemv (s, b, "c");
  path = builder_write (b, "mixed.safetensors");
  m = open_model (path, NULL);
  for (const char *name = "abc"; *name != '\0'; name++)
    {
      char layer[2] = { *name, '\0' };

      g_assert_cmpstr (scheme_of (m, layer), ==, "gptq");
      gptq_assert_decodes (path, layer, s, NULL);
    }
}

/* Tests shapes that fit GPTQ with groups of 8 and GEMV with groups of 32: the description decides; without it GEMV is
   likelier. */
static void
test_ambiguous (void)
{
  GptqRecipe r = { .bits = 4, .rows = 32, .cols = 256, .group = 32, .word = 32 };

  check_awq (&r, FALSE, "{\"quant_method\": \"awq\", \"version\": \"gemv\", \"bits\": 4, \"group_size\": 32}");
  check_awq (&r, FALSE, NULL);
  r = (GptqRecipe) { .bits = 4, .rows = 32, .cols = 256, .group = 8, .word = 32, .no_index = TRUE };
  check_recipe (&r);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/gptq/reader/matrix", test_matrix);
  g_test_add_func ("/gptq/reader/words", test_words);
  g_test_add_func ("/gptq/reader/no-index", test_no_index);
  g_test_add_func ("/gptq/reader/example", test_example);
  g_test_add_func ("/gptq/reader/expert", test_expert);
  g_test_add_func ("/gptq/reader/awq", test_awq);
  g_test_add_func ("/gptq/reader/mixed", test_mixed);
  g_test_add_func ("/gptq/reader/ambiguous", test_ambiguous);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
