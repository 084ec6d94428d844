/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests GGUF files that are written through all modules: types and shapes of plain tensors, metadata, edits, and moves
   of blocks, which must be exact. */
#include <glib/gstdio.h>
#include <string.h>

#include "build.h"
#include "comfy/fixture.h"
#include "golden-file.h"

enum { ROWS = 64, COLS = 256 };

/* A block type: its number in the format, and the target that writes it */
typedef struct {
  guint32 id;
  const char *name, *target;
  guint items, bytes;
} BlockType;

static const BlockType block_types[] = {
  { 2, "Q4_0", "q4_0-gguf", 32, 18 },      { 3, "Q4_1", "q4_1-gguf", 32, 20 },
  { 6, "Q5_0", "q5_0-gguf", 32, 22 },      { 7, "Q5_1", "q5_1-gguf", 32, 24 },
  { 8, "Q8_0", "q8_0-gguf", 32, 34 },      { 10, "Q2_K", "q2_k-gguf", 256, 84 },
  { 11, "Q3_K", "q3_k-gguf", 256, 110 },   { 12, "Q4_K", "q4_k-gguf", 256, 144 },
  { 13, "Q5_K", "q5_k_s-gguf", 256, 176 }, { 14, "Q6_K", "q6_k-gguf", 256, 210 },
  { 20, "IQ4_NL", "iq4_nl-gguf", 32, 18 }, { 23, "IQ4_XS", "iq4_xs-gguf", 256, 136 },
  { 34, "TQ1_0", "tq1_0-gguf", 256, 54 },  { 35, "TQ2_0", "tq2_0-gguf", 256, 66 },
  { 39, "MXFP4", "mxfp4-gguf", 32, 17 },   { 40, "NVFP4", "nvfp4-gguf", 64, 36 },
};

/* Returns: (transfer full): the path of the file that @b makes */
static char *
write_build (const Build *b, const char *name)
{
  g_autoptr (GByteArray) file = build_file (b);
  g_autoptr (GError) error = NULL;
  char *path = scratch_path (name);

  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

static void
add_warning (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

/* What a conversion did. @how: of the layers, one a line; @warnings: of the plan */
typedef struct {
  QconvModel *model;
  GString *how;
  GPtrArray *warnings;
} Written;

static void
written_clear (Written *w)
{
  g_clear_pointer (&w->model, qconv_model_free);
  g_string_free (w->how, TRUE);
  g_ptr_array_unref (w->warnings);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Written, written_clear)

/* Runs @job, whose output is @name, and asserts that its file has the planned size and opens without a warning. */
static Written
write_job (const char *input, const char *name, QconvJob job)
{
  Written w = { NULL, g_string_new (NULL), g_ptr_array_new_with_free_func (g_free) };
  g_autofree char *output = scratch_path (name);
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autoptr (GPtrArray) odd = g_ptr_array_new_with_free_func (g_free);
  GStatBuf info;

  job.output = output;
  job.run.force = TRUE;
  job.run.n_threads = 2;
  job.warn = add_warning;
  job.warn_data = w.warnings;
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  for (guint i = 0; i < weights->len; i++)
    g_string_append_printf (w.how, "%s\n", g_array_index (weights, QconvPlannedInfo, i).how);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (output, &info), ==, 0);
  g_assert_cmpuint ((guint64) info.st_size, ==, qconv_plan_output_bytes (plan));
  w.model = open_model (output, odd);
  g_assert_cmpuint (odd->len, ==, 0);
  return w;
}

/* Quantizes all layers that the target can hold; a target of floats knows no rules. */
static Written
write_all (const char *input, const char *name, const char *target)
{
  gboolean floats = strstr (target, "16-") != NULL || strstr (target, "32-") != NULL;

  return write_job (input, name, (QconvJob) { .target = target, .rules.only = floats ? NULL : QCONV_LIST (".*") });
}

static const QconvTensor *
find (const Written *w, const char *name)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (w->model), name);

  if (t == NULL)
    g_error ("there is no tensor %s", name);
  return t;
}

static void
assert_bytes (const Written *w, const char *name, gconstpointer want, gsize n)
{
  g_autoptr (GBytes) bytes = tensor_bytes (w->model, name);

  if (g_bytes_get_size (bytes) != n || memcmp (g_bytes_get_data (bytes, NULL), want, n) != 0)
    g_error ("tensor %s of type %s has other bytes", name, find (w, name)->type);
}

static GVariant *
metadata (const Written *w, const char *key)
{
  return qconv_directory_metadata (qconv_model_directory (w->model), key);
}

static void
assert_value (const Written *w, const char *key, const char *expected)
{
  g_autofree char *text = metadata (w, key) != NULL ? g_variant_print (metadata (w, key), TRUE) : NULL;

  g_assert_cmpstr (text, ==, expected);
}

/* ---- Moves of blocks ---- */

/* Returns: (transfer full): blocks of rows of COLS, whose F16 fields are finite. Codes of MXFP4 are not −0, which
   readers make 0. Scales of NVFP4 lie between 2 and 16, so that they can be multiplied by a power of two. */
static guint8 *
random_blocks (const BlockType *type, guint rows, gsize *n)
{
  guint8 *blocks;
  guint64 state = 1;

  *n = (gsize) rows * COLS / type->items * type->bytes;
  blocks = g_malloc (*n);
  for (gsize i = 0; i < *n; i++)
    {
      state = state * 6364136223846793005u + 1442695040888963407u;
      blocks[i] = (guint8) (state >> 33) & (type->id == 39 ? 0x37 : 0x3f);
      if (type->id == 40 && i % type->bytes < 4)
        blocks[i] = (guint8) (0x40 + blocks[i] % 24);
    }
  return blocks;
}

/* Tests that blocks of each type are moved into a file of the same type, byte by byte, also those of a tensor that is
   stored in another shape. */
static void
test_same_type (void)
{
  static const gint64 shape[] = { 8, 8, 2, 128 };

  for (guint i = 0; i < G_N_ELEMENTS (block_types); i++)
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
  g_autofree guint8 *blocks = random_blocks (&block_types[G_N_ELEMENTS (block_types) - 1], ROWS, &n);
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
  g_autofree guint8 *blocks = random_blocks (&block_types[G_N_ELEMENTS (block_types) - 1], ROWS, &n);
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
  g_autofree guint8 *blocks = random_blocks (&block_types[4], ROWS, &n), *swapped = g_memdup2 (blocks, n);
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

/* ---- Metadata ---- */

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
  g_autofree guint8 *blocks = random_blocks (&block_types[G_N_ELEMENTS (block_types) - 1], ROWS, &n);
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
  g_test_add_func ("/gguf/writer/same-type", test_same_type);
  g_test_add_func ("/gguf/writer/nvfp4-scales", test_nvfp4_scales);
  g_test_add_func ("/gguf/writer/nvfp4-of-comfy", test_nvfp4_of_comfy);
  g_test_add_func ("/gguf/writer/mxfp4-of-modelopt", test_mxfp4_of_modelopt);
  g_test_add_func ("/gguf/writer/foreign-shapes", test_foreign_shapes);
  g_test_add_func ("/gguf/writer/plain-types", test_plain_types);
  g_test_add_func ("/gguf/writer/no-type", test_no_type);
  g_test_add_func ("/gguf/writer/big-endian", test_big_endian);
  g_test_add_func ("/gguf/writer/file-type", test_file_type);
  g_test_add_func ("/gguf/writer/architecture", test_architecture);
  g_test_add_func ("/gguf/writer/edit", test_edit);
  g_test_add_func ("/gguf/writer/edit-refused", test_edit_refused);
  g_test_add_func ("/gguf/writer/checksums", test_checksums);
  status = g_test_run ();
  scratch_end ();
  return status;
}
