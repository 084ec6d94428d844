/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the reader of compressed-tensors with generated layers: every width of codes in both packings, zeros, groups
   that are listed, what moves into ComfyUI's files, and what config.json says otherwise. */
#include <math.h>
#include <string.h>

#include "maker.h"

/* ---- Packed integers ---- */

/* @group: 0: one for a row. @zeros: asymmetric */
typedef struct {
  guint rows, cols, bits, group;
  gboolean zeros, padded;
} Form;

/* A layer and the weights that it stands for. @codes, @zero: unsigned */
typedef struct {
  guint32 *codes, *zero;
  float *scale, *weights;
  guint groups, group;
} Layer;

static void
clear_layer (Layer *l)
{
  g_free (l->codes);
  g_free (l->zero);
  g_free (l->scale);
  g_free (l->weights);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Layer, clear_layer)

static void
fill_layer (Layer *l, const Form *f, guint64 seed)
{
  l->group = f->group > 0 ? f->group : f->cols;
  l->groups = (f->cols + l->group - 1) / l->group;
  l->codes = g_new (guint32, f->rows * f->cols);
  l->zero = g_new (guint32, f->rows * l->groups);
  l->scale = g_new (float, f->rows * l->groups);
  l->weights = g_new (float, f->rows * f->cols);
  for (guint i = 0; i < f->rows * l->groups; i++)
    {
      l->zero[i] = f->zeros ? next_random (&seed, 1u << f->bits) : 1u << (f->bits - 1);
      l->scale[i] = 0x1p-9f * (float) (1 + next_random (&seed, 1000));
    }
  for (guint i = 0; i < f->rows * f->cols; i++)
    {
      guint at = i / f->cols * l->groups + i % f->cols / l->group;

      l->codes[i] = next_random (&seed, 1u << f->bits);
      l->weights[i] = (float) ((gint) l->codes[i] - (gint) l->zero[at]) * l->scale[at];
    }
}

static guint
words_of (const Form *f, guint n)
{
  guint per_word = 32 / f->bits;

  return f->padded ? (n + per_word - 1) / per_word : (n * f->bits + 31) / 32;
}

/* Puts @code into the string of words as item @i. @step: words between two words of the string */
static void
put_code (const Form *f, guint32 *words, guint step, guint i, guint32 code)
{
  guint per_word = 32 / f->bits, bit = f->padded ? i / per_word * 32 + i % per_word * f->bits : i * f->bits;

  words[bit / 32 * step] |= code << bit % 32;
  if (bit % 32 + f->bits > 32)
    words[(bit / 32 + 1) * step] |= code >> (32 - bit % 32);
}

static void
add_numbers (Builder *b, const char *name, const char *dtype, guint rows, guint cols, gconstpointer data)
{
  g_autofree char *shape = g_strdup_printf ("[%u, %u]", rows, cols);

  builder_add (b, name, dtype, shape, data, (gsize) rows * cols * 4);
}

/* Adds the layer "m". */
static void
add_packed (Builder *b, const Form *f, const Layer *l)
{
  const gint64 shape[2] = { f->rows, f->cols };
  guint width = words_of (f, f->cols), high = words_of (f, f->rows);
  g_autofree guint32 *words = g_new0 (guint32, f->rows * width), *zeros = g_new0 (guint32, high * l->groups);

  for (guint i = 0; i < f->rows * f->cols; i++)
    put_code (f, words + i / f->cols * width, 1, i % f->cols, l->codes[i]);
  for (guint i = 0; i < f->rows * l->groups; i++)
    put_code (f, zeros + i % l->groups, l->groups, i / l->groups, l->zero[i]);
  add_numbers (b, "m.weight_packed", "I32", f->rows, width, words);
  add_numbers (b, "m.weight_scale", "F32", f->rows, l->groups, l->scale);
  builder_add (b, "m.weight_shape", "I64", "[2]", shape, sizeof shape);
  if (f->zeros)
    add_numbers (b, "m.weight_zero_point", "I32", high, l->groups, zeros);
}

/* Writes what config.json says of all layers. @group: 0: none */
static void
write_config (guint bits, guint group)
{
  g_autofree char *text
      = g_strdup_printf ("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": "
                         "\"pack-quantized\", \"config_groups\": {\"g\": {\"targets\": [\"Linear\"], \"weights\": "
                         "{\"num_bits\": %u, \"group_size\": %d}}}, \"ignore\": [\"lm_head\"]}}",
                         bits, group > 0 ? (gint) group : -1);

  write_beside ("config.json", text);
}

static const Form forms[] = {
  { 33, 70, 0, 0, FALSE, FALSE }, { 45, 96, 0, 32, TRUE, FALSE },  { 45, 96, 0, 32, TRUE, TRUE },
  { 8, 257, 0, 64, TRUE, TRUE },  { 4100, 64, 0, 0, TRUE, FALSE },
};

/* Tests all widths, with a description and, where the shapes tell, without one. */
static void
test_packed (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    for (guint bits = 2; bits <= 8; bits++)
      {
        Form f = forms[i];
        g_auto (Layer) l = { 0 };
        g_autoptr (Builder) b = builder_new ();
        g_autoptr (GBytes) got = NULL;
        g_autofree char *input = NULL;

        f.bits = bits;
        fill_layer (&l, &f, 17 * i + bits);
        add_packed (b, &f, &l);
        write_config (bits, f.group);
        input = builder_write (b, "packed.safetensors");
        got = decoded (input, "m.weight");
        assert_floats (got, l.weights, f.rows * f.cols);
      }
  write_beside ("config.json", NULL);
}

/* Tests that the shapes alone are enough for codes that straddle words, and for those that do not. */
static void
test_shapes_alone (void)
{
  const Form some[] = { { 8, 256, 3, 64, TRUE, FALSE }, { 8, 256, 5, 64, TRUE, TRUE }, { 8, 256, 8, 0, FALSE, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (some); i++)
    {
      g_auto (Layer) l = { 0 };
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GBytes) got = NULL;
      g_autofree char *input = NULL;

      fill_layer (&l, &some[i], 5);
      add_packed (b, &some[i], &l);
      input = builder_write (b, "alone.safetensors");
      got = decoded (input, "m.weight");
      assert_floats (got, l.weights, some[i].rows * some[i].cols);
    }
}

/* Tests a list of groups: any order, and -1 for groups in order. A group that there is not is an error. */
static void
test_act_order (void)
{
  const Form f = { 8, 64, 4, 16, TRUE, FALSE };
  g_auto (Layer) l = { 0 };
  gint32 index[64];

  fill_layer (&l, &f, 3);
  for (guint how = 0; how < 3; how++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *input = NULL, *never = scratch_path ("never.safetensors");
      const QconvJob job = { .target = "f32-safetensors", .output = never };

      for (gint i = 0; i < 64; i++)
        index[i] = how == 0 ? i * 7 % 4 : how == 1 ? -1 : i % 5;
      for (guint i = 0; i < 8 * 64; i++)
        {
          guint at = i / 64 * 4 + (how == 0 ? (guint) index[i % 64] : i % 64 / 16);

          l.weights[i] = (float) ((gint) l.codes[i] - (gint) l.zero[at]) * l.scale[at];
        }
      add_packed (b, &f, &l);
      builder_add (b, "m.weight_g_idx", "I32", "[64]", index, sizeof index);
      input = builder_write (b, "order.safetensors");
      if (how < 2)
        {
          g_autoptr (GBytes) got = decoded (input, "m.weight");

          assert_floats (got, l.weights, 8 * 64);
        }
      else
        assert_job_refused (input, &job, QCONV_ERROR_INPUT, "\"m.weight_g_idx\": column 4 has group 4");
    }
}

/* ---- Bytes ---- */

#define ROWS 32
#define COLS 64

/* Tests I8 with zeros, one for each row or one for all, and in groups. */
static void
test_bytes (void)
{
  static const char config[] = "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}";
  const struct {
    guint rows, groups;
  } shapes[] = { { ROWS, 1 }, { 1, 1 }, { ROWS, 4 } };
  guint64 seed = 9;

  write_beside ("config.json", config);
  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    {
      guint n = shapes[s].rows * shapes[s].groups, wide = COLS / shapes[s].groups;
      g_autofree char *shape = g_strdup_printf ("[%u, %u]", shapes[s].rows, shapes[s].groups), *input = NULL;
      gint8 codes[ROWS * COLS], zeros[ROWS * 4];
      float scales[ROWS * 4], want[ROWS * COLS];
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GBytes) got = NULL;

      for (guint i = 0; i < n; i++)
        {
          zeros[i] = (gint8) (next_random (&seed, 256) - 128);
          scales[i] = 0x1p-8f * (float) (1 + next_random (&seed, 200));
        }
      for (guint i = 0; i < ROWS * COLS; i++)
        {
          guint at = shapes[s].rows == 1 ? 0 : i / COLS * shapes[s].groups + i % COLS / wide;

          codes[i] = (gint8) (next_random (&seed, 256) - 128);
          want[i] = (float) (codes[i] - zeros[at]) * scales[at];
        }
      builder_add (b, "m.weight", "I8", "[32, 64]", codes, sizeof codes);
      builder_add (b, "m.weight_scale", "F32", shape, scales, n * 4);
      builder_add (b, "m.weight_zero_point", "I8", shape, zeros, n);
      input = builder_write (b, "bytes.safetensors");
      got = decoded (input, "m.weight");
      assert_floats (got, want, ROWS * COLS);
    }
  write_beside ("config.json", NULL);
}

/* Tests all codes of E2M3, each in every place of three bytes, which move to MXFP8 without a changed value. */
static void
test_sixes (void)
{
  guint8 packed[ROWS * 48] = { 0 }, scales[ROWS * 2];
  g_autofree char *input = NULL, *out = scratch_path ("eights.safetensors"), *how = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GBytes) got = NULL, moved = NULL;
  float want[ROWS * COLS];

  for (guint i = 0; i < sizeof scales; i++)
    scales[i] = (guint8) (127 + i % 5);
  for (guint i = 0; i < ROWS * COLS; i++)
    {
      guint code = (i + i / COLS) % 64, exponent = code >> 3 & 3;
      double value = exponent == 0 ? (code & 7) / 8.0 : ldexp (1 + (code & 7) / 8.0, (gint) exponent - 1);

      want[i] = (float) ldexp (code & 32 ? -value : value, i / 32 % 5);
      packed[i * 6 / 8] |= (guint8) (code << i * 6 % 8);
      if (i * 6 % 8 > 2)
        packed[i * 6 / 8 + 1] |= (guint8) (code >> (8 - i * 6 % 8));
    }
  builder_add (b, "m.weight_packed", "U8", "[32, 48]", packed, sizeof packed);
  builder_add (b, "m.weight_scale", "U8", "[32, 2]", scales, sizeof scales);
  input = builder_write (b, "sixes.safetensors");
  got = decoded (input, "m.weight");
  assert_floats (got, want, ROWS * COLS);
  g_assert_true (signbit (((const float *) g_bytes_get_data (got, NULL))[32]));
  how = how_planned (input, "mxfp8-comfy");
  g_assert_cmpstr (how, ==, "move");
  convert (input, out, "mxfp8-comfy", NULL);
  moved = decoded (out, "m.weight");
  assert_floats (moved, want, ROWS * COLS);
}

/* ---- NVFP4 ---- */

static char *
write_nvfp4 (float divisor, guint8 *codes, guint8 *scales)
{
  g_autoptr (Builder) b = builder_new ();
  guint64 seed = 77;

  for (guint i = 0; i < ROWS * COLS / 2; i++)
    codes[i] = (guint8) next_random (&seed, 256);
  for (guint i = 0; i < ROWS * COLS / 16; i++)
    scales[i] = (guint8) next_random (&seed, 0x7f);
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", codes, ROWS * COLS / 2);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, ROWS * COLS / 16);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  builder_add (b, "m.input_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  return builder_write (b, "nvfp4.safetensors");
}

/* Tests that decoding divides, and that ComfyUI's file gets the same codes and scales with the reciprocal. */
static void
test_nvfp4 (void)
{
  const float divisor = 394.0f;
  guint8 codes[ROWS * COLS / 2], scales[ROWS * COLS / 16];
  g_autofree char *input = write_nvfp4 (divisor, codes, scales), *out = scratch_path ("four.safetensors");
  g_autofree char *how = how_planned (input, "nvfp4-comfy");
  g_autoptr (GBytes) exact = decoded (input, "m.weight"), moved = NULL, whole = NULL, packed = NULL;
  g_autoptr (QconvModel) m = NULL;
  gsize n = 0;
  const float *x = g_bytes_get_data (exact, &n), *y;
  gboolean differ = FALSE;

  g_assert_cmpstr (how, ==, "adopt");
  convert (input, out, "nvfp4-comfy", NULL);
  m = open_model (out, NULL);
  whole = tensor_bytes (m, "m.weight_scale_2");
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (whole, NULL), ==, 1.0f / divisor);
  packed = tensor_bytes (m, "m.weight");
  g_assert_cmpuint (g_bytes_get_size (packed), ==, sizeof codes);
  g_assert_null (qconv_directory_find (qconv_model_directory (m), "m.input_scale"));
  moved = decoded (out, "m.weight");
  y = g_bytes_get_data (moved, NULL);
  for (gsize i = 0; i < n / sizeof *x; i++)
    {
      g_assert_cmpfloat (fabsf (x[i] - y[i]), <=, fabsf (x[i]) * 0x1p-22f);
      differ |= x[i] < y[i] || x[i] > y[i];
    }
  g_assert_true (differ); /* 1.125 / 394 is not 1.125 × (1 / 394) in F32 */
}

/* Tests that weights below the normal numbers are decoded and encoded: there quotient and product may differ by more than
   the check after writing allows. */
static void
test_far_divisor (void)
{
  guint8 codes[ROWS * COLS / 2], scales[ROWS * COLS / 16];
  g_autofree char *first = write_nvfp4 (0x1.4cccccp120f, codes, scales), *out = scratch_path ("far.safetensors");
  g_autofree char *input = NULL;
  g_autoptr (GBytes) x = NULL, y = NULL;
  const float divisor = 0x1.4cccccp120f, *before, *after;
  gboolean encoded = FALSE;
  g_autoptr (Builder) b = builder_new ();

  memset (scales, 1, sizeof scales);
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", codes, sizeof codes);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, sizeof scales);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  input = builder_write (b, "far-in.safetensors");
  convert (input, out, "nvfp4-comfy", NULL);
  x = decoded (input, "m.weight");
  y = decoded (out, "m.weight");
  before = g_bytes_get_data (x, NULL);
  after = g_bytes_get_data (y, NULL);
  for (guint i = 0; i < ROWS * COLS; i++)
    {
      g_assert_cmpfloat (fabsf (before[i] - after[i]), <=, 0x1p-130f);
      encoded |= fabsf (before[i] - after[i]) > fabsf (before[i]) * 0x1p-10f;
    }
  g_assert_true (encoded);
}

/* Tests that a block scale that is NaN does not get into a file. */
static void
test_nan_scale (void)
{
  const float one = 1.0f;
  guint8 scales[ROWS * COLS / 16];
  g_autofree char *never = scratch_path ("never.safetensors"), *input = NULL;
  const QconvJob comfy = { .target = "nvfp4-comfy", .output = never, .rules.only = QCONV_LIST (".*") };
  const QconvJob plain = { .target = "f32-safetensors", .output = never };
  g_autoptr (Builder) b = builder_new ();

  memset (scales, 0x38, sizeof scales);
  scales[40] = 0x7f;
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", NULL, ROWS * COLS / 2);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, sizeof scales);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &one, sizeof one);
  input = builder_write (b, "nan.safetensors");
  assert_job_refused (input, &comfy, QCONV_ERROR_NON_FINITE, "1 block scales are NaN or negative");
  assert_job_refused (input, &plain, QCONV_ERROR_NON_FINITE, "\"m");
}

/* ---- FP8 and others beside it ---- */

/* Tests that FP8 moves with its scale of the input, and that scales of the KV cache are dropped with a warning. */
static void
test_fp8 (void)
{
  static const char config[] = "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"ignore\": "
                               "[\"re:.*head\"]}}";
  const float scale = 0.5f, input_scale = 0.25f;
  g_autofree char *input = NULL, *out = scratch_path ("fp8.safetensors"), *how = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, moved = NULL;
  g_autoptr (GBytes) kept = NULL;

  write_beside ("config.json", config);
  builder_add (b, "attn.q.weight", "F8_E4M3", "[32, 64]", NULL, ROWS * COLS);
  builder_add (b, "attn.q.weight_scale", "F32", "[1]", &scale, sizeof scale);
  builder_add (b, "attn.q.input_scale", "F32", "[1]", &input_scale, sizeof input_scale);
  builder_add (b, "attn.k_scale", "F32", "[1]", &scale, sizeof scale);
  builder_add (b, "attn.v_scale", "F32", "[1]", &scale, sizeof scale);
  input = builder_write (b, "fp8-in.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "it scales the KV cache"));
  how = how_planned (input, "fp8-comfy");
  g_assert_cmpstr (how, ==, "move");
  convert (input, out, "fp8-comfy", NULL);
  moved = open_model (out, NULL);
  kept = tensor_bytes (moved, "attn.q.input_scale");
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (kept, NULL), ==, input_scale);
  g_assert_null (qconv_directory_find (qconv_model_directory (moved), "attn.k_scale"));
  write_beside ("config.json", NULL);
}

/* Tests that the user can say whose file it is: without config.json the names show nothing. */
static void
test_forced (void)
{
  const QconvOpenOptions forced = { .from = "compressed-tensors" };
  const float scales[4] = { 1, 2, 3, 4 };
  g_autofree char *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) guessed = NULL, m = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autoptr (GError) error = NULL;

  builder_add (b, "m.weight", "I8", "[4, 64]", NULL, 256);
  builder_add (b, "m.weight_scale", "F32", "[4, 1]", scales, sizeof scales);
  builder_add (b, "m.weight_zero_point", "I8", "[4, 1]", NULL, 4);
  input = builder_write (b, "forced.safetensors");
  guessed = open_model (input, NULL);
  weights = qconv_model_weights (guessed);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, "unknown-scaled");
  m = qconv_model_open (input, &forced, &error);
  g_assert_no_error (error);
  g_clear_pointer (&weights, g_array_unref);
  weights = qconv_model_weights (m);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, "gptq");
}

/* ---- config.json says otherwise ---- */

static const struct {
  const char *config, *says;
} quarrels[] = {
  { "\"format\": \"float-quantized\", \"config_groups\": {\"g\": {\"targets\": [\"re:.*m$\"]}}",
    "config.json says float-quantized, but its tensors are those of pack-quantized" },
  { "\"config_groups\": {\"g\": {\"targets\": [\"Linear\"], \"weights\": {\"num_bits\": 8}}}",
    "config.json says 8 bits, but its tensors have 4" },
  { "\"config_groups\": {\"g\": {\"targets\": [\"m\"], \"weights\": {\"num_bits\": 4, \"group_size\": 128}}}",
    "config.json says groups of 128, but its tensors have groups of 32" },
  { "\"ignore\": [\"re:^m\"]", "config.json lists it in ignore, but it is quantized" },
};

static void
test_quarrels (void)
{
  const Form f = { 8, 256, 4, 32, FALSE, FALSE };
  g_auto (Layer) l = { 0 };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  fill_layer (&l, &f, 1);
  add_packed (b, &f, &l);
  input = builder_write (b, "quarrel.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (quarrels); i++)
    {
      g_autofree char *config = g_strdup_printf (
          "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", %s}}", quarrels[i].config);
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (QconvModel) m = NULL;

      write_beside ("config.json", config);
      m = open_model (input, warnings);
      g_assert_cmpuint (warnings->len, ==, 1);
      if (strstr (g_ptr_array_index (warnings, 0), quarrels[i].says) == NULL)
        g_error ("\"%s\" does not say \"%s\"", (char *) g_ptr_array_index (warnings, 0), quarrels[i].says);
    }
  write_beside ("config.json", NULL);
}

/* Tests that any JSON, and a pattern that takes forever, is survived. */
static void
test_odd_config (void)
{
  static const char *const texts[] = {
    "",
    "[]",
    "{\"quantization_config\": 3}",
    "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": [1], \"ignore\": {}}}",
    "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"a\": 1, \"b\": "
    "{\"targets\": [1, null, \"re:(\"], \"weights\": []}, \"c\": {\"weights\": {\"num_bits\": -4, \"group_size\": "
    "-9, \"block_structure\": [-1, \"x\"]}}}, \"ignore\": [2, \"re:*\", \"re:(.+)+$x\"]}}",
    "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"a\": {\"targets\": "
    "[\"re:(m|m+)+[^m]\"], \"weights\": {\"num_bits\": 9223372036854775807, \"group_size\": 9223372036854775807}}}}}",
  };
  const Form f = { 8, 64, 4, 32, FALSE, FALSE };
  g_auto (Layer) l = { 0 };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  fill_layer (&l, &f, 1);
  add_packed (b, &f, &l);
  input = builder_write (b, "odd.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GBytes) got = NULL;

      write_beside ("config.json", texts[i]);
      got = decoded (input, "m.weight");
      assert_floats (got, l.weights, f.rows * f.cols);
    }
  write_beside ("config.json", NULL);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/compressed-tensors/packed", test_packed);
  g_test_add_func ("/compressed-tensors/shapes-alone", test_shapes_alone);
  g_test_add_func ("/compressed-tensors/act-order", test_act_order);
  g_test_add_func ("/compressed-tensors/bytes", test_bytes);
  g_test_add_func ("/compressed-tensors/sixes", test_sixes);
  g_test_add_func ("/compressed-tensors/nvfp4", test_nvfp4);
  g_test_add_func ("/compressed-tensors/far-divisor", test_far_divisor);
  g_test_add_func ("/compressed-tensors/nan-scale", test_nan_scale);
  g_test_add_func ("/compressed-tensors/fp8", test_fp8);
  g_test_add_func ("/compressed-tensors/forced", test_forced);
  g_test_add_func ("/compressed-tensors/quarrels", test_quarrels);
  g_test_add_func ("/compressed-tensors/odd-config", test_odd_config);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
