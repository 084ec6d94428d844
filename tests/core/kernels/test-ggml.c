/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests decoding the block types of ggml: against vectors, golden files of ggml, and the reference level. */
#include <string.h>

#include "golden-file.h"
#include "kernel-fixture.h"
#include "kernels/ggml-grids.h"
#include "kernels/stream.h"

/**
 * BlockType: a type and the values of one block of it. Byte k of that block is 37k + 11 modulo 256, except for the
 * scales; the values were found with ggml and with a decoder of exact arithmetic.
 *
 * @scale: the place of an F16 of 1, -1: none
 * @second: the same for 0.5
 * @digest: the first half of the SHA-256 of the values, with +0 for -0
 */
typedef struct {
  const char *name, *op;
  gsize block_bytes, block_items;
  gint scale, second;
  float first[8], last;
  double sum;
  const char *digest;
} BlockType;

/* clang-format off */
static const BlockType types[] = {
  { "Q4_0", "q4_0-decode", 18, 32, 0, -1, { -3, 2, 7, -4, 1, 6, -5, 0 }, 0, -21,
    "719ac4caff1179087d4915e6daf2d031" },
  { "Q4_1", "q4_1-decode", 20, 32, 0, 2, { 15.5, 4.5, 9.5, 14.5, 3.5, 8.5, 13.5, 2.5 }, 12.5, 261,
    "272690b04a254217d8fa8014b1e37d2e" },
  { "Q5_0", "q5_0-decode", 22, 32, 0, -1, { 9, -2, 3, -8, 13, -14, 7, -4 }, 1, 15,
    "1b2c6393c9c607af27050a94a60968cc" },
  { "Q5_1", "q5_1-decode", 24, 32, 0, 2, { 19.5, 24.5, 29.5, 18.5, 23.5, 12.5, 1.5, 22.5 }, 5.5, 521,
    "041755c87db43a71cb14ef0a15f73ec6" },
  { "Q8_0", "q8_0-decode", 34, 32, 0, -1, { 85, 122, -97, -60, -23, 14, 51, 88 }, -48, -176,
    "1ca5b7e7309e05142988e0bdd7004e09" },
  { "Q2_K", "q2_k-decode", 84, 256, 80, 82, { 33, 0, 11, 22, 33, 0, 11, 22 }, 4.5, 2059,
    "b72b3fc54a072b34520e55a19f734e03" },
  { "Q3_K", "q3_k-decode", 110, 256, 108, -1, { 81, -108, 27, -54, 81, -108, 27, -54 }, 42, 958,
    "6f29815a461859cc1a357b68b059c5f2" },
  { "Q4_K", "q4_k-decode", 144, 256, 0, 2, { 315.5, -25.5, 129.5, 284.5, 439.5, 98.5, 253.5, 408.5 }, 48.5, 54440,
    "667eb74a3ab99d3d0c47d7169e5222af" },
  { "Q5_K", "q5_k-decode", 176, 256, 0, 2, { 811.5, -25.5, 625.5, 284.5, 935.5, 98.5, 749.5, 408.5 }, 108.5, 116216,
    "8c5b6c3d07a6b97a8d6285bd9246f16a" },
  { "Q6_K", "q6_k-decode", 210, 256, 208, -1, { -1431, 1696, 583, -530, -1643, 1484, 371, -742 }, -60, 4612,
    "2bd6e576d94095e514a856bd6141a51e" },
  { "Q8_K", "q8_k-decode", 292, 256, -1, -1, { -97, -60, -23, 14, 51, 88, 125, -94 }, 122, -128,
    "cd871dc25d5f1f25f22cd7cdf379e9f0" },
  { "IQ2_XXS", "iq2_xxs-decode", 66, 256, 0, -1, { -59.125, 59.125, 34.375, -34.375, 34.375, -11, -34.375, 11 },
    -80.625, 763.75,
    "154220fd47068027284368c24d801efc" },
  { "IQ2_XS", "iq2_xs-decode", 74, 256, 0, -1, { -11, 34.375, -11, -59.125, -11, -34.375, 11, -11 }, -19, 1490.5,
    "8f598e062eb080aa5b7098279db7d82b" },
  { "IQ3_XXS", "iq3_xxs-decode", 98, 256, 0, -1, { -13, 9, -7, 3, -15.5, 7, 5, -5 }, -15, -684,
    "35aa99c61a8a85f22c5fc116e83dcc80" },
  { "IQ1_S", "iq1_s-decode", 50, 256, 0, -1, { -2.625, 0.375, 3.375, 3.375, 3.375, 0.375, 3.375, 0.375 }, -4.375, 20,
    "ee7ef48aff8d8d16e3b9400053eba29a" },
  { "IQ4_NL", "iq4_nl-decode", 18, 32, 0, -1, { -35, 25, 113, -49, 13, 89, -65, 1 }, 1, -257,
    "410b8f17e2a73bd17bc872b9247e5491" },
  { "IQ3_S", "iq3_s-decode", 110, 256, 0, -1, { -81, 243, -351, -189, -351, -189, 27, -81 }, 225, 1456,
    "e6b8f41fe5dd4b83176b0dfc4778046e" },
  { "IQ2_S", "iq2_s-decode", 82, 256, 0, -1, { -145.125, 84.375, -27, 27, -27, -145.125, -84.375, -27 },
    78.125, -800.625,
    "2d01f1334a2455d5cc979f79de2becb3" },
  { "IQ4_XS", "iq4_xs-decode", 136, 256, 0, -1, { 65, -1, -69, 83, 10, -53, 104, 22 }, -16, -11005,
    "95dfe54ba6e4344765bb748d6d175816" },
  { "IQ1_M", "iq1_m-decode", 56, 256, -1, -1, { -0.875, 6.125, -0.875, -0.875, 6.125, -0.875, -7.875, -0.875 },
    -1.875, 41,
    "d0b2bfe130d7b46dc6dfc950c8e9074b" },
  { "TQ1_0", "tq1_0-decode", 54, 256, 52, -1, { -1, -1, -1, 0, 0, 1, 1, -1 }, -1, -2,
    "b9b900ed871e0f51fc7d06d551ea7097" },
  { "TQ2_0", "tq2_0-decode", 66, 256, 64, -1, { 2, -1, 0, 1, 2, -1, 0, 1 }, -1, 129,
    "04100ceeb7a49781f88b325e2323280d" },
  { "MXFP4", "mxfp4_blocks-decode", 17, 32, -1, -1, { 0, 6, -2, -12, 4, -1, -8, 3 }, 6, 25,
    "ef7ca08d1717c5b90891727cd7ce5984" },
  { "NVFP4", "nvfp4_blocks-decode", 36, 64, -1, -1,
    { -0.12890625, 0.04296875, -0.0107421875, -0.0859375, 0.0322265625, 0, -0.064453125, 0.021484375 }, 160,
    1541.37109375, "08108161f07c84252f074fa013c3f378" },
  { "Q1_0", "q1_0-decode", 18, 128, 0, -1, { 1, -1, 1, -1, 1, -1, 1, -1 }, 1, 0,
    "854026b461123ccf386a60be601652f1" },
  { "Q2_0", "q2_0-decode", 18, 64, 0, -1, { 0, 0, 0, 0, 1, 1, 2, 0 }, 1, 30,
    "5a8bd18ced6200c15b5b21171a5f8735" },
};
/* clang-format on */

/* A run-time type that no golden file has */
static const BlockType type_q8_1 = { .name = "Q8_1", .op = "q8_1-decode", .block_bytes = 36, .block_items = 32 };

static float *
decode (const QconvKernelLevel *level, const BlockType *type, const guint8 *blocks, gsize n)
{
  gsize n_items = n * type->block_items;
  float *out = g_new (float, n_items + 16);
  QconvBuffer src = QCONV_BUFFER (blocks, n * type->block_bytes, QCONV_OPAQUE);
  QconvBuffer dst = QCONV_BUFFER (out, n_items * sizeof (float), QCONV_F32);
  QconvArg args[] = { QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_I (n) };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < 16; i++)
    out[n_items + i] = 77.0f;
  g_assert_true (kernel_try (level, type->op, args, &error));
  g_assert_no_error (error);
  for (gsize i = 0; i < 16; i++)
    g_assert_cmpfloat (out[n_items + i], ==, 77.0f);
  return out;
}

static void
put_u16 (guint8 *p, guint v)
{
  p[0] = (guint8) v;
  p[1] = (guint8) (v >> 8);
}

static guint8 *
make_vector_block (const BlockType *type)
{
  guint8 *b = g_malloc (type->block_bytes);

  for (gsize k = 0; k < type->block_bytes; k++)
    b[k] = (guint8) (37 * k + 11);
  if (type->scale >= 0)
    put_u16 (b + type->scale, 0x3c00);
  if (type->second >= 0)
    put_u16 (b + type->second, 0x3800);
  if (strcmp (type->name, "MXFP4") == 0)
    b[0] = 0x80;
  if (strcmp (type->name, "Q8_K") == 0)
    memcpy (b, "\0\0\x80\x3f", 4);
  if (strcmp (type->name, "IQ1_M") == 0)
    for (guint k = 0; k < 4; k++)
      b[49 + 2 * k] = (guint8) ((b[49 + 2 * k] & 15) | (k == 2 ? 0xc0 : k == 3 ? 0x30 : 0));
  return b;
}

static void
check_vector (const QconvKernelLevel *level, const BlockType *type)
{
  g_autofree guint8 *block = make_vector_block (type);
  g_autofree float *y = decode (level, type, block, 1);
  g_autofree char *digest = NULL;
  double sum = 0;

  for (gsize i = 0; i < type->block_items; i++)
    {
      sum += (double) y[i];
      y[i] += 0.0f; /* makes -0 a +0 */
    }
  golden_assert_same_floats (y, type->first, 8);
  g_assert_cmpfloat (y[type->block_items - 1], ==, type->last);
  g_assert_cmpfloat (sum, ==, type->sum);
  digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) y, type->block_items * sizeof (float));
  digest[32] = '\0';
  g_assert_cmpstr (digest, ==, type->digest);
}

static void
test_vectors (gconstpointer data)
{
  const QconvKernelLevel *level = data;

  if (!level->supported ())
    {
      g_test_skip ("this processor lacks the level");
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    check_vector (level, &types[i]);
}

static void
check_golden (const BlockType *type, const char *folder)
{
  g_autofree char *blocks_name = g_strdup_printf ("gguf/%s/%s.gguf", folder, type->name);
  g_autofree char *expected_name = g_strdup_printf ("gguf/%s/%s.expected.safetensors", folder, type->name);
  g_autoptr (GoldenFile) blocks = golden_file_open (blocks_name), expected = golden_file_open (expected_name);

  for (const QconvKernelLevel *level = kernel_tested (); level->name != NULL; level++)
    for (guint i = 0; level->supported () && i < blocks->tensors->len; i++)
      {
        const GoldenTensor *t = blocks->tensors->pdata[i], *want = golden_file_tensor (expected, t->name);
        gsize n = t->n_items / type->block_items;
        g_autofree float *y = NULL;

        g_assert_cmpuint (t->n_items, ==, want->n_items);
        g_assert_cmpuint (n * type->block_bytes, <=, t->size);
        y = decode (level, type, t->data, n);
        golden_assert_same_floats (y, (const float *) want->data, t->n_items);
      }
}

static void
test_golden (gconstpointer data)
{
  check_golden (data, "types");
  check_golden (data, "nonfinite");
}

static void
compare_levels (const QconvKernelLevel *level, const BlockType *type, gsize n)
{
  gsize n_bytes = n * type->block_bytes;
  g_autofree guint8 *blocks = g_malloc (n_bytes + 1);
  g_autofree float *got = NULL, *want = NULL;

  for (gsize i = 0; i <= n_bytes; i++)
    blocks[i] = (guint8) g_test_rand_int ();
  want = decode (qconv_kernel_levels (), type, blocks + n % 2, n);
  got = decode (level, type, blocks + n % 2, n);
  golden_assert_same_floats (got, want, n * type->block_items);
}

static void
test_levels (gconstpointer data)
{
  static const gsize counts[] = { 1, 2, 3, 5, 8, 17, 64, 101 };
  const QconvKernelLevel *level = data;

  if (!level->supported ())
    {
      g_test_skip ("this processor lacks the level");
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    for (gsize k = 0; k < G_N_ELEMENTS (counts); k++)
      compare_levels (level, &types[i], counts[k]);
  for (gsize k = 0; k < G_N_ELEMENTS (counts); k++)
    compare_levels (level, &type_q8_1, counts[k]);
}

/* Tests that a Q8_1 block decodes as a Q8_0 block with two more bytes behind its scale */
static void
test_q8_1 (void)
{
  const QconvKernelLevel *level = kernel_tested ();
  guint8 q8_0[34], q8_1[36] = { 0 };
  g_autofree float *got = NULL, *want = NULL;
  const BlockType *type = types;

  while (strcmp (type->name, "Q8_0") != 0)
    type++;
  for (gsize i = 0; i < sizeof q8_0; i++)
    q8_0[i] = (guint8) g_test_rand_int ();
  memcpy (q8_1, q8_0, 2);
  memcpy (q8_1 + 4, q8_0 + 2, 32);
  want = decode (level, type, q8_0, 1);
  got = decode (level, &type_q8_1, q8_1, 1);
  golden_assert_same_floats (got, want, 32);
}

static void
expect_refusal (gsize src_bytes, gsize dst_bytes, QconvDType dst_dtype, gint64 n)
{
  guint8 blocks[36] = { 0 };
  float out[64];
  QconvBuffer src = QCONV_BUFFER (blocks, src_bytes, QCONV_OPAQUE), dst = QCONV_BUFFER (out, dst_bytes, dst_dtype);
  QconvArg args[] = { QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_I (n) };
  g_autoptr (GError) error = NULL;

  g_assert_false (kernel_try (kernel_tested (), "q4_0-decode", args, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
}

static void
test_sizes (void)
{
  expect_refusal (35, 256, QCONV_F32, 2);
  expect_refusal (36, 252, QCONV_F32, 2);
  expect_refusal (36, 256, QCONV_BF16, 2);
  expect_refusal (36, 256, QCONV_F32, -1);
  expect_refusal (36, 256, QCONV_F32, G_MAXINT64 / 2);
}

static void
check_grid (gconstpointer grid, gsize size, const char *want)
{
  g_autofree char *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, grid, size);

  digest[32] = '\0';
  g_assert_cmpstr (digest, ==, want);
}

static void
test_grids (void)
{
  const QconvGgmlGrids *g = qconv_ggml_grids ();

  check_grid (g->iq2_xxs, sizeof g->iq2_xxs, "05826b5d3e472a3a78f196be62ac78ac");
  check_grid (g->iq2_xs, sizeof g->iq2_xs, "06e47aaca60b4dc1d9b5a3f345404370");
  check_grid (g->iq2_s, sizeof g->iq2_s, "e1aa1473412b0552c2174c30ef22ab40");
  check_grid (g->iq3_xxs, sizeof g->iq3_xxs, "46e35f5a997efdee6c99ce57854c8a0d");
  check_grid (g->iq3_s, sizeof g->iq3_s, "bd1af4945a1717c65610b0284e4628b9");
  check_grid (g->iq1, sizeof g->iq1, "07540ffc1aeaf6ad4d97e96b0fcc765a");
}

static void
add_level_test (const char *test, const QconvKernelLevel *level, GTestDataFunc function)
{
  g_autofree char *path = g_strdup_printf ("/kernels/ggml/%s/%s", test, level->name);

  g_test_add_data_func (path, level, function);
}

KERNEL_TESTS (ggml)
{
  g_test_add_func ("/kernels/ggml/grids", test_grids);
  g_test_add_func ("/kernels/ggml/sizes", test_sizes);
  g_test_add_func ("/kernels/ggml/q8_1", test_q8_1);
  for (const QconvKernelLevel *level = kernel_tested (); level->name != NULL; level++)
    {
      add_level_test ("vectors", level, test_vectors);
      add_level_test ("same-as-scalar", level, test_levels);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autofree char *path = g_strdup_printf ("/kernels/ggml/golden/%s", types[i].name);

      g_test_add_data_func (path, &types[i], test_golden);
    }
}
