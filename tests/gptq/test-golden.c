/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that files of GPTQModel, AutoGPTQ and AutoAWQ decode to the bits that these programs compute. */
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

/* Converts one case and compares all tensors that its makers list. @scheme: of the layers */
static void
check_case (const char *folder)
{
  g_autofree char *path = golden_path (folder), *input = g_build_filename (path, "model.safetensors", NULL);
  g_autofree char *want_path = g_strconcat (folder, "/expected.safetensors", NULL);
  g_autofree char *out = scratch_path ("golden-out.safetensors");
  g_autoptr (GoldenFile) want = golden_file_open (want_path);
  g_autoptr (QconvModel) made = NULL;

  g_test_message ("%s", folder);
  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  for (guint i = 0; i < want->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (want->tensors, i);
      g_autoptr (GBytes) bytes = tensor_bytes (made, t->name);

      g_assert_cmpstr (t->dtype, ==, "F32");
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), t->data, t->size);
    }
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, want->tensors->len);
}

/* @folder: of golden files, with a folder for each case */
static void
test_folder (gconstpointer folder)
{
  g_autofree char *path = golden_path (folder);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  guint n = 0;

  if (dir == NULL)
    {
      g_test_skip ("the golden files are not there");
      return;
    }
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *one = g_build_filename (path, name, NULL), *relative = g_build_filename (folder, name, NULL);

      if (!g_file_test (one, G_FILE_TEST_IS_DIR))
        continue;
      check_case (relative);
      n++;
    }
  g_test_message ("%u cases", n);
  g_assert_cmpuint (n, >, 0);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_data_func ("/gptq/golden/gptq", "gptq", test_folder);
  g_test_add_data_func ("/gptq/golden/awq", "awq", test_folder);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
