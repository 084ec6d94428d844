/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests GGUF files that are written through all modules: types and shapes of plain tensors, byte order, and moves of
   blocks, which must be exact. */
#include <string.h>

#include "golden-file.h"
#include "written.h"

/* ---- Moves of blocks ---- */

/* Tests that blocks of each type are moved into a file of the same type, byte by byte, also those of a tensor that is
   stored in another shape. */
static void
test_same_type (void)
{
  static const gint64 shape[] = { 8, 8, 2, 128 };

  for (guint i = 0; i < N_BLOCK_TYPES; i++)
    {
      gsize n;
      g_autofree guint8 *blocks = random_blocks (&block_types[i], ROWS, &n);
      g_autofree char *input = NULL;
      g_autoptr (Build) b = build_new (FALSE);
      g_auto (Written) w = { 0 };

      build_text (b, "general.architecture", "flux");
      build_integers (b, "comfy.gguf.orig_shape.b.weight", KV_I32, shape, 4);
      build_tensor (b, "a.weight", block_types[i].id, blocks, (guint) n, COLS, ROWS, -1);
      build_tensor (b, "b.weight", block_types[i].id, blocks, (guint) n, COLS, ROWS, -1);
      input = write_build (b, "moved-in.gguf");
      w = write_all (input, "moved.gguf", block_types[i].target);
      g_assert_cmpstr (find (&w, "a.weight")->type, ==, block_types[i].name);
      assert_bytes (&w, "a.weight", blocks, n);
      assert_bytes (&w, "b.weight", blocks, n);
    }
}

static char *
write_nvfp4 (const guint8 *blocks, gsize n, float scale, const char *name)
{
  g_autoptr (Build) b = build_new (FALSE);

  build_text (b, "general.architecture", "flux");
  build_tensor (b, "a.weight", 40, blocks, (guint) n, COLS, ROWS, -1);
  build_tensor (b, "a.scale", 0, &scale, sizeof scale, 1, -1);
  return write_build (b, name);
}

/* Asserts that two files decode to the same bits. */
static void
assert_same_numbers (const char *one, const char *other)
{
  const char *const paths[] = { one, other };
  GBytes *numbers[2];

  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *name = g_strdup_printf ("numbers-%u.safetensors", i), *out = scratch_path (name);
      g_autoptr (QconvModel) m = NULL;

      convert (paths[i], out, "f32-safetensors", NULL);
      m = open_model (out, NULL);
      numbers[i] = tensor_bytes (m, "a.weight");
    }
  g_assert_true (g_bytes_equal (numbers[0], numbers[1]));
  g_bytes_unref (numbers[0]);
  g_bytes_unref (numbers[1]);
}

/* Tests tensor scales of NVFP4. Loaders of diffusion models ignore the tensor beside the blocks, so a power of two goes
   into the scales of the blocks, and weights with any other scale, or with scales that leave the range, are encoded
   again. */
static void
test_nvfp4_scales (void)
{
  static const struct {
    float scale;
    gboolean exact;
  } cases[] = { { 1.0f, TRUE }, { 0.25f, TRUE }, { 16.0f, TRUE }, { 0.3f, FALSE }, { 1.0f / 256, FALSE } };
  gsize n;
  g_autofree guint8 *blocks = random_blocks (NVFP4, ROWS, &n);
  g_autofree char *out = scratch_path ("nvfp4.gguf");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *input = write_nvfp4 (blocks, n, cases[i].scale, "nvfp4-in.gguf");
      g_auto (Written) w = write_all (input, "nvfp4.gguf", "nvfp4-gguf");
      g_autoptr (GBytes) made = tensor_bytes (w.model, "a.weight");
      const guint8 *bytes = g_bytes_get_data (made, NULL);

      g_assert_null (qconv_directory_find (qconv_model_directory (w.model), "a.scale"));
      for (gsize k = 0; cases[i].exact && k < n; k++)
        if (k % 36 >= 4)
          g_assert_cmphex (bytes[k], ==, blocks[k]);
      if (cases[i].exact)
        assert_same_numbers (input, out);
      else
        g_assert_true (memcmp (bytes, blocks, n) != 0);
    }
}

/* Tests that NVFP4 layers of ComfyUI come from blocks and become the same blocks again. */
static void
test_nvfp4_of_comfy (void)
{
  gsize n;
  g_autofree guint8 *blocks = random_blocks (NVFP4, ROWS, &n);
  g_autofree char *input = write_nvfp4 (blocks, n, 1.0f, "comfy-in.gguf"), *comfy = scratch_path ("comfy.safetensors");
  g_auto (Written) w = { 0 };

  convert (input, comfy, "nvfp4-comfy", NULL);
  w = write_all (comfy, "comfy.gguf", "nvfp4-gguf");
  assert_bytes (&w, "a.weight", blocks, n);
}

/* Tests that MXFP4 of ModelOpt is moved into blocks. */
static void
test_mxfp4_of_modelopt (void)
{
  static const char name[] = "layers.0.mlp.up_proj.weight";
  g_autofree char *input = golden_path ("modelopt/mxfp4/model.safetensors"), *out = scratch_path ("mxfp4.gguf");
  g_autofree char *plain = scratch_path ("mxfp4.safetensors");
  g_auto (Written) w = write_all (input, "mxfp4.gguf", "mxfp4-gguf");
  g_autoptr (GoldenFile) golden = golden_file_open ("modelopt/mxfp4/expected.safetensors");
  const GoldenTensor *want = golden_file_tensor (golden, "model.layers.0.mlp.up_proj.weight");
  const float *x = (const float *) (gconstpointer) want->data, *y;
  g_autoptr (QconvModel) back = NULL;
  g_autoptr (GBytes) numbers = NULL;

  g_assert_cmpstr (w.how->str, ==, "adopt\n");
  g_assert_cmpstr (find (&w, name)->type, ==, "MXFP4");
  convert (out, plain, "f32-safetensors", NULL);
  back = open_model (plain, NULL);
  numbers = tensor_bytes (back, name);
  y = g_bytes_get_data (numbers, NULL);
  g_assert_cmpuint (g_bytes_get_size (numbers), ==, want->size);
  for (gsize i = 0; i < want->n_items; i++) /* −0 becomes 0 */
    g_assert_true (x[i] >= y[i] && x[i] <= y[i]);
}

/* ---- Shapes ---- */

/* Tests weights whose rows are not the last axis: ComfyUI-GGUF finds their shape in the metadata, an array of i32. */
static void
test_foreign_shapes (void)
{
  g_autofree float *x = noise (64 * 32 * 9, 3);
  g_autofree char *input = NULL, *out = scratch_path ("shapes.gguf"), *plain = scratch_path ("shapes-f32.safetensors");
  g_autoptr (Build) b = build_new (FALSE);
  g_auto (Written) w = { 0 };
  g_autoptr (QconvModel) back = NULL;

  build_tensor (b, "conv.weight", 0, x, 64 * 32 * 9 * sizeof *x, 3, 3, 32, 64, -1);
  build_tensor (b, "experts.weight", 0, x, 64 * 32 * 9 * sizeof *x, 96, 32, 6, -1);
  input = write_build (b, "shapes-in.gguf");
  w = write_all (input, "shapes.gguf", "q8_0-gguf");
  g_assert_true (qconv_shape_equal (&find (&w, "conv.weight")->shape, &QCONV_SHAPE2 (64, 288)));
  g_assert_true (qconv_shape_equal (&find (&w, "experts.weight")->shape, &(QconvShape) { 3, { 6, 32, 96 } }));
  assert_value (&w, "comfy.gguf.orig_shape.conv.weight", "[64, 32, 3, 3]");
  g_assert_null (metadata (&w, "comfy.gguf.orig_shape.experts.weight"));
  convert (out, plain, "f32-safetensors", NULL);
  back = open_model (plain, NULL);
  g_assert_true (qconv_shape_equal (&qconv_directory_find (qconv_model_directory (back), "conv.weight")->shape,
                                    &(QconvShape) { 4, { 64, 32, 3, 3 } }));
}

/* A plain tensor and its types in the file: by default, and with keep-type=f16 */
static const struct {
  const char *name, *dtype, *shape;
  guint bytes;
  QconvDType kept, f16;
} plain[] = {
  { "vector.weight", "BF16", "[2048]", 4096, QCONV_F32, QCONV_F32 },
  { "scalar", "F16", "[]", 2, QCONV_F32, QCONV_F32 },
  { "modulation", "BF16", "[1, 6, 512]", 6144, QCONV_F32, QCONV_F32 },
  { "table", "F16", "[6, 512]", 6144, QCONV_F32, QCONV_F32 },
  { "small.weight", "BF16", "[32, 32]", 2048, QCONV_F32, QCONV_F32 },
  { "bf16.weight", "BF16", "[32, 33]", 2112, QCONV_BF16, QCONV_F16 },
  { "f16.weight", "F16", "[32, 33]", 2112, QCONV_F16, QCONV_F16 },
  { "f32.weight", "F32", "[32, 33]", 4224, QCONV_F32, QCONV_F16 },
  { "f64.weight", "F64", "[32, 33]", 8448, QCONV_F32, QCONV_F16 },
  { "fp8.weight", "F8_E4M3", "[32, 33]", 1056, QCONV_F16, QCONV_F16 },
  { "conv1d.weight", "BF16", "[32, 33, 2]", 4224, QCONV_F32, QCONV_F32 },
  { "conv2d.weight", "BF16", "[8, 8, 5, 5]", 3200, QCONV_BF16, QCONV_F16 },
  { "conv3d.weight", "BF16", "[8, 8, 2, 3, 3]", 2304, QCONV_F32, QCONV_F32 },
  { "index.weight", "I32", "[4]", 16, QCONV_I32, QCONV_I32 },
};

/* Tests the types of tensors that stay plain (ComfyUI-GGUF: ops.py, which decodes BF16 in few classes). */
static void
test_plain_types (void)
{
  const QconvJob jobs[] = {
    { .target = "q8_0-gguf", .rules.keep = QCONV_LIST (".*") },
    { .target = "q8_0-gguf", .rules.keep = QCONV_LIST (".*"), .options = QCONV_LIST ("keep-type=f16") },
    { .target = "f16-gguf" },
  };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (plain); i++)
    builder_add (b, plain[i].name, plain[i].dtype, plain[i].shape, NULL, plain[i].bytes);
  input = builder_write (b, "plain.safetensors");
  for (guint k = 0; k < G_N_ELEMENTS (jobs); k++)
    {
      g_auto (Written) w = write_job (input, "plain.gguf", jobs[k]);

      for (guint i = 0; i < G_N_ELEMENTS (plain); i++)
        if (find (&w, plain[i].name)->dtype != (k == 0 ? plain[i].kept : plain[i].f16))
          g_error ("%s is %s in case %u", plain[i].name, find (&w, plain[i].name)->type, k);
    }
}

/* Tests that a tensor of a type that GGUF lacks is refused by its name. */
static void
test_no_type (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *output = scratch_path ("refused.gguf");

  builder_add (b, "mask", "BOOL", "[4]", NULL, 4);
  input = builder_write (b, "refused.safetensors");
  assert_job_refused (input, &(QconvJob) { .target = "f16-gguf", .output = output }, QCONV_ERROR_UNSUPPORTED,
                      "tensor \"mask\": GGUF has no type for BOOL");
}

/* ---- Byte order ---- */

/* Reverses each item of @width bytes. */
static void
swap (guint8 *bytes, gsize n, guint width)
{
  for (gsize i = 0; i < n; i += width)
    for (guint k = 0; k < width / 2; k++)
      {
        guint8 byte = bytes[i + k];

        bytes[i + k] = bytes[i + width - 1 - k];
        bytes[i + width - 1 - k] = byte;
      }
}

/* Tests that numbers and blocks of a big-endian file are little-endian in the new one. */
static void
test_big_endian (void)
{
  gsize n;
  g_autofree guint8 *blocks = random_blocks (Q8_0, ROWS, &n), *swapped = g_memdup2 (blocks, n);
  guint8 numbers[64];
  g_autoptr (Build) b = build_new (TRUE);
  g_autofree char *input = NULL;
  g_auto (Written) w = { 0 };

  for (gsize i = 0; i < n; i += 34)
    swap (swapped + i, 2, 2);
  for (guint i = 0; i < sizeof numbers; i++)
    numbers[i] = (guint8) (i & 0x3f);
  build_text (b, "general.architecture", "flux");
  build_integer (b, "some.number", KV_U32, 0x01020304);
  build_tensor (b, "q8_0.weight", 8, swapped, (guint) n, COLS, ROWS, -1);
  build_tensor (b, "f32", 0, numbers, sizeof numbers, 16, -1);
  build_tensor (b, "i16", 25, numbers, sizeof numbers, 32, -1);
  input = write_build (b, "big-endian.gguf");
  w = write_all (input, "little-endian.gguf", "q8_0-gguf");
  assert_bytes (&w, "q8_0.weight", blocks, n);
  swap (numbers, sizeof numbers, 4);
  assert_bytes (&w, "f32", numbers, sizeof numbers);
  swap (numbers, sizeof numbers, 4);
  swap (numbers, sizeof numbers, 2);
  assert_bytes (&w, "i16", numbers, sizeof numbers);
  assert_value (&w, "some.number", "uint32 16909060");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/gguf/writer/same-type", test_same_type);
  g_test_add_func ("/gguf/writer/nvfp4-scales", test_nvfp4_scales);
  g_test_add_func ("/gguf/writer/nvfp4-of-comfy", test_nvfp4_of_comfy);
  g_test_add_func ("/gguf/writer/mxfp4-of-modelopt", test_mxfp4_of_modelopt);
  g_test_add_func ("/gguf/writer/foreign-shapes", test_foreign_shapes);
  g_test_add_func ("/gguf/writer/plain-types", test_plain_types);
  g_test_add_func ("/gguf/writer/no-type", test_no_type);
  g_test_add_func ("/gguf/writer/big-endian", test_big_endian);
  status = g_test_run ();
  scratch_end ();
  return status;
}
