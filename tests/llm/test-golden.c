/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that files of compressed-tensors, ModelOpt and transformers decode to the bits that these libraries compute,
   that each is read by the scheme that suits it, and that none warns. */
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

/* @signs: of zeros count, too */
typedef struct {
  const char *folder, *scheme;
  gboolean signs;
} Case;

static const Case cases[] = {
  { "compressed-tensors/fp8-block", "fp8_group", TRUE },
  { "compressed-tensors/fp8-block-ragged", "fp8_group", TRUE },
  { "compressed-tensors/fp8-channel", "fp8_row", TRUE },
  { "compressed-tensors/fp8-tensor", "fp8", TRUE },
  { "compressed-tensors/int8-channel", "int8", TRUE },
  { "compressed-tensors/int8-channel-asym", "gptq", TRUE },
  { "compressed-tensors/int8-tensor", "int8", TRUE },
  { "compressed-tensors/mxfp4", "mxfp4", TRUE },
  { "compressed-tensors/mxfp6", "mxfp8", TRUE },
  { "compressed-tensors/mxfp8", "mxfp8", TRUE },
  { "compressed-tensors/naive-fp8-channel", "fp8_row", TRUE },
  { "compressed-tensors/naive-int8-tensor", "int8", TRUE },
  { "compressed-tensors/nvfp4", "nvfp4_divided", TRUE },
  { "compressed-tensors/nvfp4-input", "nvfp4_divided", TRUE },
  { "compressed-tensors/pack-int2-g64", "gptq", TRUE },
  { "compressed-tensors/pack-int3-g64", "gptq", TRUE },
  { "compressed-tensors/pack-int3-odd-asym", "gptq", TRUE },
  { "compressed-tensors/pack-int4-channel", "gptq", TRUE },
  { "compressed-tensors/pack-int4-channel-asym", "gptq", TRUE },
  { "compressed-tensors/pack-int4-f16-scales", "gptq", TRUE },
  { "compressed-tensors/pack-int4-f32-scales", "gptq", TRUE },
  { "compressed-tensors/pack-int4-g128", "gptq", TRUE },
  { "compressed-tensors/pack-int4-g32-asym", "gptq", TRUE },
  { "compressed-tensors/pack-int4-g64-actorder", "gptq", TRUE },
  { "compressed-tensors/pack-int4-odd-asym", "gptq", TRUE },
  { "compressed-tensors/pack-int4-odd-k", "gptq", TRUE },
  { "compressed-tensors/pack-int5-g64", "gptq", TRUE },
  { "compressed-tensors/pack-int6-g64", "gptq", TRUE },
  { "compressed-tensors/pack-int7-g64", "gptq", TRUE },
  { "compressed-tensors/pack-int8-channel-asym", "gptq", TRUE },
  { "compressed-tensors/pack-int8-g128", "gptq", TRUE },
  { "modelopt/fp8", "fp8", TRUE },
  { "modelopt/fp8-block", "fp8_block", TRUE },
  { "modelopt/int4-awq", "gptq", FALSE },
  { "modelopt/mxfp4", "mxfp4", TRUE },
  { "modelopt/mxfp8", "mxfp8", TRUE },
  { "modelopt/nvfp4-bf16", "nvfp4", TRUE },
  { "modelopt/nvfp4-f32", "nvfp4", TRUE },
  { "hf-fp8/block128", "fp8_block", TRUE },
  { "hf-fp8/block64x32", "fp8_group", TRUE },
  { "hf-fp8/experts-3d", "fp8_group", TRUE },
  { "hf-fp8/fp4-i8-weight", "mxfp4", TRUE },
  { "hf-fp8/mxfp8-u8-scales", "mxfp8", TRUE },
  { "hf-fp8/tensor", "fp8", TRUE },
  { "hf-fp8/ue8m0", "fp8_block", TRUE },
};

static void
assert_scheme (const QconvModel *m, const char *scheme)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  g_assert_cmpuint (weights->len, >, 0);
  for (guint i = 0; i < weights->len; i++)
    g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, i).scheme, ==, scheme);
}

/* Returns: (transfer full) (nullable): the layer's tensor in the output, if @t is what it must hold: of several
   precisions the one in FP32. */
static char *
wanted_name (const GoldenFile *want, const GoldenTensor *t)
{
  g_autofree char *precise = g_strconcat (t->name, ".f32", NULL);

  if (g_str_has_suffix (t->name, ".weight.f32"))
    return g_strndup (t->name, strlen (t->name) - strlen (".f32"));
  for (guint i = 0; i < want->tensors->len; i++)
    if (strcmp (((const GoldenTensor *) g_ptr_array_index (want->tensors, i))->name, precise) == 0)
      return NULL;
  return g_str_has_suffix (t->name, ".weight") ? g_strdup (t->name) : NULL;
}

static void
assert_same (GBytes *bytes, const GoldenTensor *t, gboolean signs)
{
  const float *x = g_bytes_get_data (bytes, NULL), *y = (const float *) (const void *) t->data;

  g_assert_cmpstr (t->dtype, ==, "F32");
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, t->size);
  if (signs)
    g_assert_cmpmem (x, t->size, y, t->size);
  for (gsize i = 0; i < t->n_items; i++)
    g_assert_true (x[i] >= y[i] && x[i] <= y[i]);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *path = golden_path (c->folder), *input = g_build_filename (path, "model.safetensors", NULL);
  g_autofree char *want_path = g_strconcat (c->folder, "/expected.safetensors", NULL);
  g_autofree char *out = scratch_path ("golden-out.safetensors");
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (QconvModel) m = NULL, made = NULL;
  g_autoptr (GoldenFile) want = NULL;
  guint n = 0;

  if (!g_file_test (input, G_FILE_TEST_EXISTS))
    {
      g_test_skip ("the golden files are not there");
      return;
    }
  want = golden_file_open (want_path);
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 0);
  assert_scheme (m, c->scheme);
  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  for (guint i = 0; i < want->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (want->tensors, i);
      g_autofree char *name = wanted_name (want, t);
      g_autoptr (GBytes) bytes = name != NULL ? tensor_bytes (made, name) : NULL;

      if (name == NULL)
        continue;
      assert_same (bytes, t, c->signs);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, n);
}

/* Tests that no case of the folders is left out above. The copies beside the tests are a choice of them. */
static void
test_complete (void)
{
  static const char *const folders[] = { "compressed-tensors", "modelopt", "hf-fp8" };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    {
      g_autofree char *path = golden_path (folders[i]), *maker = g_build_filename (path, "make.py", NULL);
      g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
      const char *name;

      if (dir == NULL || !g_file_test (maker, G_FILE_TEST_EXISTS))
        {
          g_test_skip ("the complete golden files are not there");
          return;
        }
      while ((name = g_dir_read_name (dir)) != NULL)
        {
          g_autofree char *one = g_build_filename (path, name, NULL);

          n += g_file_test (one, G_FILE_TEST_IS_DIR);
        }
    }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (cases));
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/llm/golden/", cases[i].folder, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/llm/golden/complete", test_complete);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
