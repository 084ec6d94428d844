/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests layers that are incomplete, contradict themselves or are not supported, for the readers compressed-tensors,
   modelopt and gpt-oss: each must fail with the name of the layer and of the tensor. */
#include <math.h>
#include <string.h>

#include "maker.h"

/* One tensor of a file. Its bytes are @n zeros, or @fill */
typedef struct {
  const char *name, *dtype, *shape;
  gsize n;
  const void *fill;
} Member;

typedef struct {
  const char *says;
  QconvError code;
  Member members[7];
} Case;

static const gint64 shape_4_64[] = { 4, 64 }, shape_5_64[] = { 5, 64 }, shape_4_0[] = { 4, 0 },
                    shape_minus[] = { 4, -64 }, shape_huge[] = { 4, G_MAXINT64 }, shape_wide[] = { 4, 1000 };
static const gint32 small_shape[] = { 4, 64 };
static const float one[] = { 1 }, minus[] = { -1 }, nothing[] = { 0 }, infinite[] = { INFINITY };

#define INPUT QCONV_ERROR_INPUT
#define FOREIGN QCONV_ERROR_UNSUPPORTED
#define NON_FINITE QCONV_ERROR_NON_FINITE
/* clang-format off */
#define PACKED { "l.weight_packed", "I32", "[4, 8]", 128 }
#define SHAPE { "l.weight_shape", "I64", "[2]", 16, shape_4_64 }
#define SCALE { "l.weight_scale", "BF16", "[4, 2]", 16 }
#define PACKED_4 { "l.weight_packed", "U8", "[4, 32]", 128 }
#define SCALE_4 { "l.weight_scale", "F8_E4M3", "[4, 4]", 16 }
#define GLOBAL { "l.weight_global_scale", "F32", "[1]", 4, one }
/* clang-format on */

static const Case packed[] = {
  { "layer \"l\": weight_shape is missing", INPUT, { PACKED, SCALE } },
  { "layer \"l\": weight_scale is missing", INPUT, { PACKED, SHAPE } },
  { "layer \"k\": weight_packed is missing",
    INPUT,
    { PACKED,
      SHAPE,
      SCALE,
      { "k.weight_shape", "I64", "[2]", 16, shape_4_64 },
      { "k.weight_scale", "BF16", "[4, 2]", 16 } } },
  { "layer \"k\": weight_packed is missing",
    INPUT,
    { PACKED, SHAPE, SCALE, { "k.weight_global_scale", "F32", "[1]", 4, one } } },
  { "layer \"k\": weight_packed is missing",
    INPUT,
    { PACKED, SHAPE, SCALE, { "k.weight_g_idx", "I32", "[64]", 256 } } },
  { "layer \"l\": it has both weight and weight_packed",
    INPUT,
    { PACKED, SHAPE, SCALE, { "l.weight", "BF16", "[4, 64]", 512 } } },
  { "weight_shape is 5 × 64, but weight_packed has 4 rows",
    INPUT,
    { PACKED, SCALE, { "l.weight_shape", "I64", "[2]", 16, shape_5_64 } } },
  { "weight_shape is 4 × 0", INPUT, { PACKED, SCALE, { "l.weight_shape", "I64", "[2]", 16, shape_4_0 } } },
  { "weight_shape is 4 × -64", INPUT, { PACKED, SCALE, { "l.weight_shape", "I64", "[2]", 16, shape_minus } } },
  { "weight_shape is 4 × 9223372036854775807",
    INPUT,
    { PACKED, SCALE, { "l.weight_shape", "I64", "[2]", 16, shape_huge } } },
  { "weight_shape is I64 [3] where I64 [2] is needed",
    INPUT,
    { PACKED, SCALE, { "l.weight_shape", "I64", "[3]", 24 } } },
  { "weight_shape is F32 [2]", INPUT, { PACKED, SCALE, { "l.weight_shape", "F32", "[2]", 8 } } },
  { "2 to 8 bits for each column of weight_shape are needed",
    INPUT,
    { PACKED, SCALE, { "l.weight_shape", "I64", "[2]", 16, shape_wide } } },
  { "weight_shape is 4 × 64, but weight_packed has 8 rows",
    INPUT,
    { { "l.weight_packed", "I32", "[8, 4]", 128 }, SCALE, SHAPE } },
  { "weight_packed is F32 [4, 8] where I32 or U8 is needed",
    INPUT,
    { { "l.weight_packed", "F32", "[4, 8]", 128 },
      SHAPE,
      SCALE,
      { "k.weight_packed", "U8", "[1, 16]", 16 },
      { "k.weight_scale", "U8", "[1, 1]", 1 } } },
  { "weight_packed is I32 [32] where a matrix is needed",
    INPUT,
    { { "l.weight_packed", "I32", "[32]", 128 }, SHAPE, SCALE } },
  { "weight_packed is I32 [2, 4, 4] where a matrix is needed",
    INPUT,
    { { "l.weight_packed", "I32", "[2, 4, 4]", 128 }, SHAPE, SCALE } },
  { "weight_packed is I32 [0, 8] where a matrix is needed",
    INPUT,
    { { "l.weight_packed", "I32", "[0, 8]", 0 }, SHAPE, SCALE } },
  { "weight_scale is BF16 [2, 4]", INPUT, { PACKED, SHAPE, { "l.weight_scale", "BF16", "[2, 4]", 16 } } },
  { "weight_scale is BF16 [4, 0]", INPUT, { PACKED, SHAPE, { "l.weight_scale", "BF16", "[4, 0]", 0 } } },
  { "weight_scale is BF16 [4, 63]", INPUT, { PACKED, SHAPE, { "l.weight_scale", "BF16", "[4, 63]", 504 } } },
  { "weight_scale is F64 [4, 2] where F32, F16 or BF16 is needed",
    INPUT,
    { PACKED, SHAPE, { "l.weight_scale", "F64", "[4, 2]", 64 } } },
  { "weight_zero_point is I32 [4, 2] where",
    INPUT,
    { PACKED, SHAPE, SCALE, { "l.weight_zero_point", "I32", "[4, 2]", 32 } } },
  { "weight_zero_point is I8 [1, 2] where",
    INPUT,
    { PACKED, SHAPE, SCALE, { "l.weight_zero_point", "I8", "[1, 2]", 2 } } },
  { "weight_g_idx is I32 [63] where", INPUT, { PACKED, SHAPE, SCALE, { "l.weight_g_idx", "I32", "[63]", 252 } } },
  { "weight_g_idx is I64 [64] where", INPUT, { PACKED, SHAPE, SCALE, { "l.weight_g_idx", "I64", "[64]", 512 } } },
  { "layer \"l\": weight_scale is missing", INPUT, { PACKED_4, GLOBAL } },
  { "layer \"l\": weight_global_scale is missing", INPUT, { PACKED_4, SCALE_4 } },
  { "weight_scale is F8_E4M3 [4, 5] where",
    INPUT,
    { PACKED_4, GLOBAL, { "l.weight_scale", "F8_E4M3", "[4, 5]", 20 } } },
  { "weight_scale is BF16 [4, 4] where F8_E4M3",
    INPUT,
    { PACKED_4, GLOBAL, { "l.weight_scale", "BF16", "[4, 4]", 32 } } },
  { "weight_global_scale is F32 [2] where one F32 is needed",
    INPUT,
    { PACKED_4, SCALE_4, { "l.weight_global_scale", "F32", "[2]", 8 } } },
  { "weight_global_scale is I32 [1] where one F32 is needed",
    INPUT,
    { PACKED_4, SCALE_4, { "l.weight_global_scale", "I32", "[1]", 4 } } },
  { "weight_global_scale is not a positive number",
    NON_FINITE,
    { PACKED_4, SCALE_4, { "l.weight_global_scale", "F32", "[1]", 4, nothing } } },
  { "weight_global_scale is not a positive number",
    NON_FINITE,
    { PACKED_4, SCALE_4, { "l.weight_global_scale", "F32", "[1]", 4, infinite } } },
  { "weight_global_scale is not a positive number",
    NON_FINITE,
    { PACKED_4, SCALE_4, { "l.weight_global_scale", "F32", "[1]", 4, minus } } },
  { "weight_scale is U8 [4, 3] where an exponent for 32 columns is needed",
    INPUT,
    { PACKED_4, { "l.weight_scale", "U8", "[4, 3]", 12 } } },
  { "weight_scale is U8 [8, 1] where an exponent for 32 columns is needed",
    INPUT,
    { PACKED_4, { "l.weight_scale", "U8", "[8, 1]", 8 } } },
  { "weight_scale is U8 [8] where an exponent for 32 columns is needed",
    INPUT,
    { PACKED_4, { "l.weight_scale", "U8", "[8]", 8 } } },
};

/* clang-format off */
#define FP8 { "l.weight", "F8_E4M3", "[32, 64]", 2048 }
#define ANCHOR { "k.weight", "F8_E4M3", "[4, 4]", 16 }, { "k.weight_scale", "F32", "[]", 4, one }
#define I8 { "l.weight", "I8", "[4, 64]", 256 }
/* clang-format on */

/* With a config.json that names compressed-tensors */
static const Case stated[] = {
  { "weight_scale is not one number, one for each row, or a grid of blocks",
    INPUT,
    { FP8, { "l.weight_scale", "F32", "[3, 5]", 60 } } },
  { "weight_scale is not a finite number", NON_FINITE, { FP8, { "l.weight_scale", "F32", "[1]", 4, infinite } } },
  { "weight_scale is F64 [1] where", INPUT, { FP8, { "l.weight_scale", "F64", "[1]", 8 } } },
  { "FP8 codes with weight_zero_point are not supported",
    FOREIGN,
    { FP8, { "l.weight_scale", "F32", "[1]", 4, one }, { "l.weight_zero_point", "I8", "[1]", 1 } } },
  { "layer \"l\": weight_scale is missing", INPUT, { ANCHOR, I8, { "l.weight_zero_point", "I8", "[1]", 1 } } },
  { "weight_scale is F32 [3]", INPUT, { I8, { "l.weight_scale", "F32", "[3]", 12 } } },
  { "weight_zero_point is I8 [3]",
    INPUT,
    { I8, { "l.weight_scale", "F32", "[4, 1]", 16 }, { "l.weight_zero_point", "I8", "[3]", 3 } } },
  { "weight_zero_point is I32 [4, 1]",
    INPUT,
    { I8, { "l.weight_scale", "F32", "[4, 1]", 16 }, { "l.weight_zero_point", "I32", "[4, 1]", 16 } } },
  { "weight is I8 [2, 2, 64] where a matrix is needed",
    INPUT,
    { { "l.weight", "I8", "[2, 2, 64]", 256 }, { "l.weight_scale", "F32", "[1]", 4, one } } },
};

/* clang-format off */
#define BYTES { "l.weight", "U8", "[32, 32]", 1024 }
#define SECOND { "l.weight_scale_2", "F32", "[]", 4, one }
#define BLOCK_SCALE { "l.weight_scale", "F8_E4M3", "[32, 4]", 128 }
/* clang-format on */

static const Case modelopt[] = {
  { "layer \"l\": weight is missing", INPUT, { BLOCK_SCALE, SECOND } },
  { "layer \"l\": weight_scale is missing", INPUT, { ANCHOR, BYTES, SECOND } },
  { "layer \"l\": weight_scale is missing", INPUT, { ANCHOR, BYTES, { "l.pre_quant_scale", "F32", "[64]", 256 } } },
  { "layer \"l\": weight_scale_2 is missing", INPUT, { BYTES, BLOCK_SCALE } },
  { "weight_scale is F8_E4M3 [4, 32] where",
    INPUT,
    { BYTES, SECOND, { "l.weight_scale", "F8_E4M3", "[4, 32]", 128 } } },
  { "weight_scale is F8_E4M3 [128, 4] where",
    INPUT,
    { BYTES, SECOND, { "l.weight_scale", "F8_E4M3", "[128, 4]", 512 } } },
  { "weight_scale_2 is F32 [2] where one F32 is needed",
    INPUT,
    { BYTES, BLOCK_SCALE, { "l.weight_scale_2", "F32", "[2]", 8 } } },
  { "weight_scale_2 is not a valid number",
    NON_FINITE,
    { BYTES, BLOCK_SCALE, { "l.weight_scale_2", "F32", "[]", 4, infinite } } },
  { "pre_quant_scale is F32 [32] where a number for each column",
    INPUT,
    { BYTES, BLOCK_SCALE, SECOND, { "l.pre_quant_scale", "F32", "[32]", 128 } } },
  { "input_scale is F32 [3] where one F32",
    INPUT,
    { BYTES, BLOCK_SCALE, SECOND, { "l.input_scale", "F32", "[3]", 12 } } },
  { "NVFP4_SVD", FOREIGN, { BYTES, BLOCK_SCALE, SECOND, { "l.svdquant_lora_a", "BF16", "[4, 64]", 512 } } },
  { "4-bit weights of 3 dimensions are not supported",
    FOREIGN,
    { { "l.weight", "U8", "[2, 16, 32]", 1024 }, SECOND, { "l.weight_scale", "F8_E4M3", "[2, 16, 4]", 128 } } },
  { "weight_scale is U8 [65, 1] where an exponent for 32 columns",
    INPUT,
    { BYTES, { "l.weight_scale", "U8", "[65, 1]", 65 } } },
  { "MXFP4 codes with pre_quant_scale are not supported",
    FOREIGN,
    { BYTES, { "l.weight_scale", "U8", "[64, 1]", 64 }, { "l.pre_quant_scale", "F32", "[64]", 256 } } },
  { "weight_scale is F32 [64, 3] where a number for each group",
    INPUT,
    { BYTES, { "l.weight_scale", "F32", "[64, 3]", 768 } } },
  { "weight_scale is F32 [32, 1] where a number for each group",
    INPUT,
    { BYTES, { "l.weight_scale", "F32", "[32, 1]", 128 } } },
  { "INT4 codes with weight_scale_2 (W4A8) are not supported",
    FOREIGN,
    { BYTES, SECOND, { "l.weight_scale", "F32", "[64, 1]", 256 } } },
  { "weight_scale is I32 [64, 1] where F8_E4M3, U8 or F32",
    INPUT,
    { BYTES, { "l.weight_scale", "I32", "[64, 1]", 256 } } },
  { "FP8 codes with pre_quant_scale are not supported",
    FOREIGN,
    { FP8, { "l.weight_scale", "F32", "[]", 4, one }, { "l.pre_quant_scale", "F32", "[64]", 256 } } },
  { "weight_scale is not one number, one for each row, or a grid of blocks",
    INPUT,
    { FP8, { "l.weight_scale", "F32", "[3, 5]", 60 } } },
  { "weight_scale is not a valid number", NON_FINITE, { FP8, { "l.weight_scale", "F32", "[]", 4, infinite } } },
  { "weight is U8 [0, 32] where items are needed", INPUT, { { "l.weight", "U8", "[0, 32]", 0 }, BLOCK_SCALE, SECOND } },
};

/* clang-format off */
#define GOOD { "k_blocks", "U8", "[1, 1, 1, 16]", 16 }, { "k_scales", "U8", "[1, 1, 1]", 1 }/* clang-format on */

static const Case gpt_oss[] = {
  { "layer \"m.up\": up_scales is missing", INPUT, { GOOD, { "m.up_blocks", "U8", "[2, 3, 2, 16]", 192 } } },
  { "layer \"m.up\": up_scales is U8 [2, 3, 3] where",
    INPUT,
    { { "m.up_blocks", "U8", "[2, 3, 2, 16]", 192 }, { "m.up_scales", "U8", "[2, 3, 3]", 18 } } },
  { "up_scales is U8 [6, 2] where",
    INPUT,
    { { "m.up_blocks", "U8", "[2, 3, 2, 16]", 192 }, { "m.up_scales", "U8", "[6, 2]", 12 } } },
  { "up_scales is F32 [2, 3, 2] where",
    INPUT,
    { { "m.up_blocks", "U8", "[2, 3, 2, 16]", 192 }, { "m.up_scales", "F32", "[2, 3, 2]", 48 } } },
  { "up_blocks is empty",
    INPUT,
    { { "m.up_blocks", "U8", "[2, 0, 2, 16]", 0 }, { "m.up_scales", "U8", "[2, 0, 2]", 0 } } },
};

/* Asserts that opening fails as @c says, and that verify lists the same problem. */
static void
check_case (const Case *c)
{
  g_autoptr (Builder) b = builder_new ();
  const QconvOpenOptions options = { .for_verify = TRUE };
  g_autoptr (QconvModel) broken = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL, *problems = NULL;

  for (const Member *m = c->members; m < c->members + G_N_ELEMENTS (c->members) && m->name != NULL; m++)
    builder_add (b, m->name, m->dtype, m->shape, m->fill, m->n);
  path = builder_write (b, "refused.safetensors");
  g_test_message ("%s", c->says);
  g_assert_null (qconv_model_open (path, NULL, &error));
  if (error == NULL || strstr (error->message, c->says) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error != NULL ? error->message : "", c->says);
  g_assert_error (error, QCONV_ERROR, (gint) c->code);
  g_clear_error (&error);
  broken = qconv_model_open (path, &options, &error);
  if (c->code == FOREIGN)
    return;
  g_assert_no_error (error);
  problems = model_problems (broken);
  g_assert_cmpstr (problems, !=, "");
}

typedef struct {
  const char *file, *config;
  const Case *cases;
  guint n;
} Table;

static const Table tables[] = {
  { NULL, NULL, packed, G_N_ELEMENTS (packed) },
  { "config.json", "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}", stated,
    G_N_ELEMENTS (stated) },
  { "hf_quant_config.json", "{\"quantization\": {\"quant_algo\": \"MIXED_PRECISION\"}}", modelopt,
    G_N_ELEMENTS (modelopt) },
  { NULL, NULL, gpt_oss, G_N_ELEMENTS (gpt_oss) },
};

static void
test_table (gconstpointer data)
{
  const Table *t = data;

  if (t->file != NULL)
    write_beside (t->file, t->config);
  for (guint i = 0; i < t->n; i++)
    check_case (&t->cases[i]);
  if (t->file != NULL)
    write_beside (t->file, NULL);
}

/* Tests that weight_shape may be I32: some writers cast all integers. */
static void
test_small_shape (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autofree char *path = NULL;

  builder_add (b, "l.weight_packed", "I32", "[4, 8]", NULL, 128);
  builder_add (b, "l.weight_scale", "BF16", "[4, 2]", NULL, 16);
  builder_add (b, "l.weight_shape", "I32", "[2]", small_shape, sizeof small_shape);
  path = builder_write (b, "small-shape.safetensors");
  m = open_model (path, NULL);
  g_assert_nonnull (m);
}

int
main (int argc, char **argv)
{
  static const char *const names[] = { "packed", "stated", "modelopt", "gpt-oss" };
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
    {
      g_autofree char *path = g_strconcat ("/llm/refused/", names[i], NULL);

      g_test_add_data_func (path, &tables[i], test_table);
    }
  g_test_add_func ("/llm/refused/small-shape", test_small_shape);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
