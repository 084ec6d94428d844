/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the metadata of GGUF files that are written, edits of them, and checksums. */
#include <string.h>

#include "written.h"

/* Tests the keys that describe the file: those of the target, not those of the source. */
static void
test_file_type (void)
{
  static const struct {
    const char *target, *number;
  } cases[] = {
    { "f32-gguf", "uint32 0" },     { "f16-gguf", "uint32 1" },     { "bf16-gguf", "uint32 32" },
    { "q4_0-gguf", "uint32 2" },    { "q8_0-gguf", "uint32 7" },    { "q2_k-gguf", "uint32 10" },
    { "q3_k_m-gguf", "uint32 12" }, { "q4_k_s-gguf", "uint32 14" }, { "q4_k_m-gguf", "uint32 15" },
    { "q5_k_s-gguf", "uint32 16" }, { "q5_k_m-gguf", "uint32 17" }, { "q6_k-gguf", "uint32 18" },
    { "iq4_nl-gguf", "uint32 25" }, { "iq4_xs-gguf", "uint32 30" },
  };
  g_autofree float *x = noise (ROWS * COLS, 5);
  g_autoptr (Build) b = build_new (FALSE);
  g_autofree char *input = NULL;

  b->alignment = 64;
  build_integer (b, "general.alignment", KV_U32, 64);
  build_text (b, "general.architecture", "wan");
  build_text (b, "general.name", "somebody's");
  build_integer (b, "general.file_type", KV_U32, 1);
  build_integer (b, "split.count", KV_U16, 1);
  build_tensor (b, "a.weight", 0, x, ROWS * COLS * sizeof *x, COLS, ROWS, -1);
  input = write_build (b, "file-type-in.gguf");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Written) w = write_all (input, "file-type.gguf", cases[i].target);

      assert_value (&w, "general.file_type", cases[i].number);
      assert_value (&w, "general.quantization_version", "uint32 2");
      assert_value (&w, "general.architecture", "'wan'");
      assert_value (&w, "general.name", "\"somebody's\"");
      g_assert_null (metadata (&w, "general.alignment"));
      g_assert_null (metadata (&w, "split.count"));
    }
}

/* Tests the word for the architecture: the user's, else a warning if nothing is known. The configuration of the model,
   from which ComfyUI builds LTX-2, stays in the metadata; what describes a safetensors file does not. */
static void
test_architecture (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *x = noise (ROWS * COLS, 5);
  g_autofree char *input = NULL;
  g_auto (Written) none = { 0 }, stated = { 0 };

  builder_add (b, "a.weight", "F32", "[64, 256]", x, ROWS * COLS * sizeof *x);
  builder_add_metadata (b, "format", "pt");
  builder_add_metadata (b, "config", "{\"transformer\":{}}");
  input = builder_write (b, "architecture.safetensors");
  none = write_all (input, "architecture.gguf", "q4_k-gguf");
  stated = write_job (input, "architecture.gguf",
                      (QconvJob) { .target = "q4_k-gguf", .options = QCONV_LIST ("architecture=lumina2") });
  g_assert_null (metadata (&none, "general.architecture"));
  g_assert_nonnull (strstr (g_ptr_array_index (none.warnings, 0), "-o architecture=WORD"));
  assert_value (&stated, "general.architecture", "'lumina2'");
  g_assert_null (metadata (&stated, "format"));
  assert_value (&stated, "config", "'{\"transformer\":{}}'");
}

/* Tests that an edit changes one key of the metadata and nothing else. */
static void
test_edit (void)
{
  gsize n;
  g_autofree guint8 *blocks = random_blocks (NVFP4, ROWS, &n);
  static const float scale = 0.3f, input_scale = 0.7f, row[] = { 1, 2, 3, 4 };
  static const gint64 shape[] = { 8, 8, 2, 128 };
  g_autoptr (Build) b = build_new (FALSE);
  g_autofree char *input = NULL;
  g_auto (Written) w = { 0 };

  build_text (b, "general.architecture", "flux");
  build_integer (b, "general.file_type", KV_U32, 39);
  build_integer (b, "general.quantization_version", KV_U32, 2);
  build_text (b, "general.name", "old");
  build_integer (b, "some.flag", KV_BOOL, 1);
  build_integer (b, "some.number", KV_U64, 5);
  build_integers (b, "comfy.gguf.orig_shape.b.weight", KV_I32, shape, 4);
  build_tensor (b, "a.weight", 40, blocks, (guint) n, COLS, ROWS, -1);
  build_tensor (b, "a.scale", 0, &scale, sizeof scale, 1, -1);
  build_tensor (b, "a.input_scale", 0, &input_scale, sizeof scale, 1, -1);
  build_tensor (b, "b.weight", 40, blocks, (guint) n, COLS, ROWS, -1);
  build_tensor (b, "row", 0, row, sizeof row, 4, -1);
  input = write_build (b, "edit-in.gguf");
  w = write_job (input, "edit.gguf",
                 (QconvJob) { .edit.metadata
                              = QCONV_LIST ("general.name=new", "a.note=here", "some.number=7", "some.flag=false") });
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (w.model)), ==, 5);
  assert_bytes (&w, "a.weight", blocks, n);
  assert_bytes (&w, "b.weight", blocks, n);
  assert_bytes (&w, "a.scale", &scale, sizeof scale);
  assert_bytes (&w, "a.input_scale", &input_scale, sizeof input_scale);
  assert_bytes (&w, "row", row, sizeof row);
  g_assert_true (qconv_shape_equal (&find (&w, "b.weight")->shape, &QCONV_SHAPE2 (ROWS, COLS)));
  assert_value (&w, "general.name", "'new'");
  assert_value (&w, "a.note", "'here'");
  assert_value (&w, "some.flag", "false");
  assert_value (&w, "some.number", "uint64 7");
  assert_value (&w, "general.file_type", "uint32 39");
  assert_value (&w, "general.quantization_version", "uint32 2");
  assert_value (&w, "comfy.gguf.orig_shape.b.weight", "[8, 8, 2, 128]");
}

/* Tests that an edit does not change the type of a value, nor the keys that follow from the tensors. */
static void
test_edit_refused (void)
{
  static const char *const changes[][2] = { { "some.number=many", "\"some.number\" is a number" },
                                            { "some.number=-1", "\"some.number\" is a number" },
                                            { "some.list=1", "\"some.list\" is a list" },
                                            { "general.file_type=7", "follows from the layers" },
                                            { "none.such", "no key \"none.such\"" } };
  static const gint64 list[] = { 1, 2 };
  static const float row[] = { 1, 2, 3, 4 };
  g_autoptr (Build) b = build_new (FALSE);
  g_autofree char *input = NULL, *output = scratch_path ("edit-refused.gguf");

  build_integer (b, "general.file_type", KV_U32, 1);
  build_integer (b, "some.number", KV_U32, 5);
  build_integers (b, "some.list", KV_I32, list, 2);
  build_tensor (b, "row", 0, row, sizeof row, 4, -1);
  input = write_build (b, "edit-refused-in.gguf");
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    assert_job_refused (input, &(QconvJob) { .output = output, .edit.metadata = QCONV_LIST (changes[i][0]) },
                        QCONV_ERROR_OPTION, changes[i][1]);
}

/* Tests that verify knows the checksums of a file that was written, and sees damage. */
static void
test_checksums (void)
{
  g_autofree float *x = noise (ROWS * COLS, 7);
  g_autoptr (Build) b = build_new (FALSE);
  g_autofree char *input = NULL, *output = scratch_path ("sums.gguf"), *bytes = NULL;
  g_autofree char *problems = NULL;
  gsize n;

  build_text (b, "general.architecture", "flux");
  build_tensor (b, "a.weight", 0, x, ROWS * COLS * sizeof *x, COLS, ROWS, -1);
  input = write_build (b, "sums-in.gguf");
  {
    g_auto (Written) w = write_all (input, "sums.gguf", "q4_k-gguf");
    g_autofree char *none = model_problems (w.model);

    g_assert_cmpstr (none, ==, "");
  }
  g_assert_true (g_file_get_contents (output, &bytes, &n, NULL));
  bytes[n - 20] ^= 1;
  g_assert_true (g_file_set_contents (output, bytes, (gssize) n, NULL));
  problems = problems_of (output);
  g_assert_cmpstr (problems, !=, "");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/gguf/metadata/file-type", test_file_type);
  g_test_add_func ("/gguf/metadata/architecture", test_architecture);
  g_test_add_func ("/gguf/metadata/edit", test_edit);
  g_test_add_func ("/gguf/metadata/edit-refused", test_edit_refused);
  g_test_add_func ("/gguf/metadata/checksums", test_checksums);
  status = g_test_run ();
  scratch_end ();
  return status;
}
