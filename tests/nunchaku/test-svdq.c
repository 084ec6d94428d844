/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests svdq_fp4 and svdq_int4: the formula bit by bit, tiles, absent components, golden layers of deepcompressor, and
   refused shapes and numbers. */
#include <math.h>
#include <string.h>

#include "golden-file.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "nunchaku/packing.h"
#include "quantizer-driver.h"

const QconvPlugin *qconv_plugin_nunchaku (void);

static const QconvQuantizer *
scheme (gboolean fp4)
{
  return driver_quantizer (qconv_plugin_nunchaku (), fp4 ? "svdq_fp4" : "svdq_int4");
}

static Encoded *
new_matrix (gboolean fp4, const char *options, guint64 rows, guint64 cols)
{
  return encoded_must_new (scheme (fp4), options, QCONV_BF16, rows, cols);
}

static float *
floats_of (const Encoded *e, const char *name, gsize *n)
{
  float *data = encoded_data (e, name, n);

  if (n != NULL)
    *n /= sizeof (float);
  return data;
}

static void
fill_floats (Encoded *e, const char *name, float low, float high, guint64 *state)
{
  gsize n;
  float *data = floats_of (e, name, &n);

  for (gsize i = 0; data != NULL && i < n; i++)
    data[i] = low + (high - low) * ((float) (kernel_random (state) % 4096) / 4096.0f);
}

static void
fill_bytes (Encoded *e, const char *name, guint last, guint64 *state)
{
  gsize n = 0;
  guint8 *data = encoded_data (e, name, &n);

  for (gsize i = 0; data != NULL && i < n; i++)
    data[i] = (guint8) (kernel_random (state) % (last + 1));
}

static void
fill (Encoded *e, guint64 state)
{
  fill_bytes (e, "codes", 0xff, &state);
  fill_bytes (e, "block_scale", 0x7e, &state);
  fill_floats (e, "group_scale", 0.001f, 0.1f, &state);
  fill_floats (e, "tensor_scale", 0.0001f, 0.001f, &state);
  fill_floats (e, "row_scale", 0.5f, 2.0f, &state);
  fill_floats (e, "smooth", 0.25f, 4.0f, &state);
  fill_floats (e, "smooth_orig", 0.25f, 4.0f, &state);
  fill_floats (e, "lora_down", -0.2f, 0.2f, &state);
  fill_floats (e, "lora_up", -0.2f, 0.2f, &state);
}

/* ---- The formula ---- */

static float
residual (const Encoded *e, gboolean fp4, guint64 row, guint64 col)
{
  static const float e2m1[8] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };
  guint64 cols = encoded_layer (e)->cols;
  const guint8 *codes = encoded_data (e, "codes", NULL), *scales = encoded_data (e, "block_scale", NULL);
  const float *tensor = floats_of (e, "tensor_scale", NULL), *rows = floats_of (e, "row_scale", NULL);
  guint code = codes[(row * cols + col) / 2] >> col % 2 * 4 & 15;
  float value;

  if (fp4)
    value = (code > 8 ? -e2m1[code - 8] : e2m1[code & 7])
            * ((tensor != NULL ? *tensor : 1.0f) * f32_of_e4m3 (scales[(row * cols + col) / 16]));
  else
    value = (float) (code < 8 ? (int) code : (int) code - 16)
            * floats_of (e, "group_scale", NULL)[(row * cols + col) / 64];
  return rows != NULL ? value * rows[row] : value;
}

/* Tests every bit: the residual first, then the product, rank by rank */
static void
assert_formula (const Encoded *e, gboolean fp4, const float *decoded)
{
  const QconvLayer *l = encoded_layer (e);
  guint64 rank = (guint64) qconv_values_int (l->values, "rank");
  const float *down = floats_of (e, "lora_down", NULL), *up = floats_of (e, "lora_up", NULL);

  for (guint64 row = 0; row < l->rows; row++)
    for (guint64 col = 0; col < l->cols; col++)
      {
        volatile float sum = residual (e, fp4, row, col) / floats_of (e, "smooth", NULL)[col];

        for (guint64 k = 0; k < rank; k++)
          {
            volatile float term = up[row * rank + k] * down[k * l->cols + col];

            sum += term;
          }
        g_assert_cmphex (bits_of_f32 (decoded[row * l->cols + col]), ==, bits_of_f32 (sum));
      }
}

/* Drops the optional components whose bit is set in @absent */
static void
drop (Encoded *e, guint absent)
{
  static const char *const names[] = { "tensor_scale", "row_scale", "smooth_orig" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if ((absent >> i & 1) != 0 && qconv_layer_component (encoded_layer (e), names[i]) != NULL)
      encoded_drop (e, names[i]);
}

static void
test_formula (void)
{
  static const struct {
    const char *options;
    guint64 rows, cols;
  } cases[] = { { "rank=16", 1, 64 }, { NULL, 130, 192 }, { "rank=128", 37, 256 } };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++)
    for (guint absent = 0; absent < 8; absent++)
      {
        gboolean fp4 = i % 2 == 0;
        g_autoptr (Encoded) e = new_matrix (fp4, cases[i / 2].options, cases[i / 2].rows, cases[i / 2].cols);
        g_autofree float *decoded = NULL;

        fill (e, i + 1);
        drop (e, absent);
        decoded = encoded_must_decode (e, 33);
        assert_formula (e, fp4, decoded);
      }
}

/* Tests that the height of tiles changes nothing */
static void
test_tiles (void)
{
  static const guint64 heights[] = { 1, 7, 128 };

  for (guint fp4 = 0; fp4 < 2; fp4++)
    {
      g_autoptr (Encoded) e = new_matrix (fp4, "rank=48", 300, 320);
      g_autofree float *whole = NULL;

      fill (e, 5);
      whole = encoded_must_decode (e, 0);
      for (guint i = 0; i < G_N_ELEMENTS (heights); i++)
        {
          g_autofree float *decoded = encoded_must_decode (e, heights[i]);

          g_assert_cmpmem (decoded, 300 * 320 * sizeof *decoded, whole, 300 * 320 * sizeof *whole);
        }
    }
}

/* Tests that rows of one layer in another order keep their values */
static void
test_stack (void)
{
  for (guint fp4 = 0; fp4 < 2; fp4++)
    {
      g_autoptr (Encoded) e = new_matrix (fp4, NULL, 30, 128), stack = new_matrix (fp4, NULL, 20, 128);
      const EncodedPart parts[] = { { e, 20, 1, 10 }, { e, 1, 3, 10 } };
      g_autofree float *want = NULL, *got = NULL;

      fill (e, 9);
      want = encoded_must_stack (stack, parts, G_N_ELEMENTS (parts));
      got = encoded_must_decode (stack, 0);
      g_assert_cmpmem (got, 20 * 128 * sizeof *got, want, 20 * 128 * sizeof *want);
    }
}

/* ---- Golden layers ---- */

/* Unpacks tensor @name of the golden file to component @component. BF16 numbers become floats */
static void
unpack (Encoded *e, const char *component, const GoldenFile *file, const char *name, const NunchakuLayout *l)
{
  const GoldenTensor *t = golden_file_tensor (file, name);
  const QconvComponent *c = qconv_layer_component (encoded_layer (e), component);
  gsize size, wide = c->dtype == QCONV_F32 ? 2 : 1;
  guint8 *data = encoded_data (e, component, &size);
  g_autofree guint8 *narrow = g_malloc (size / wide);
  gsize row_bytes = c->shape.rank == 1 ? 2 : size / wide / (gsize) c->shape.dim[0];
  NunchakuRows rows = { narrow, row_bytes, 0, size / wide / row_bytes };
  NunchakuGrid grid = nunchaku_grid (l, rows.n, row_bytes);

  g_assert_cmpuint (grid.across * grid.down * nunchaku_tile_size (l), ==, t->size);
  nunchaku_unpack (l, t->data, &grid, &rows);
  if (c->dtype == QCONV_F32)
    g_assert_true (qconv_floats_from (QCONV_BF16, narrow, size / sizeof (float), (float *) (gpointer) data));
  else
    memcpy (data, narrow, size);
}

static gboolean
has_tensor (const GoldenFile *file, const char *name)
{
  for (guint i = 0; i < file->tensors->len; i++)
    if (strcmp (((GoldenTensor *) g_ptr_array_index (file->tensors, i))->name, name) == 0)
      return TRUE;
  return FALSE;
}

static void
unpack_layer (Encoded *e, const GoldenFile *file, gboolean fp4)
{
  unpack (e, "codes", file, "out.qweight", &nunchaku_codes);
  if (fp4)
    unpack (e, "block_scale", file, "out.wscales", &nunchaku_micro_scales);
  else
    unpack (e, "group_scale", file, "out.wscales", &nunchaku_numbers);
  if (has_tensor (file, "out.wtscale"))
    *floats_of (e, "tensor_scale", NULL)
        = f32_of_bf16 (*(const guint16 *) (gconstpointer) golden_file_tensor (file, "out.wtscale")->data);
  else
    drop (e, 1);
  if (has_tensor (file, "out.wcscales"))
    unpack (e, "row_scale", file, "out.wcscales", &nunchaku_numbers);
  else
    drop (e, 2);
  unpack (e, "smooth", file, "out.smooth", &nunchaku_numbers);
  unpack (e, "lora_down", file, "out.lora_down", &nunchaku_factor_down);
  unpack (e, "lora_up", file, "out.lora_up", &nunchaku_factor_up);
}

/* Tests that layers of deepcompressor decode to about the weights that they were made of. A wrong place, scale or
   factor gives an error of order 1 */
static void
test_golden (void)
{
  static const struct {
    const char *name, *options;
    gboolean fp4;
    double most;
  } cases[] = { { "fp4-n128-k256-r32-smooth", "rank=32", TRUE, 0.009 },
                { "fp4-qkv-k128-r32-smooth", "rank=32", TRUE, 0.009 },
                { "int4-n256-k128-r32-smooth", "rank=32", FALSE, 0.03 },
                { "int4-n128-k128-r128", "rank=128", FALSE, 0.03 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("nunchaku/%s.safetensors", cases[i].name);
      g_autoptr (GoldenFile) file = golden_file_open (path);
      const GoldenTensor *weight = golden_file_tensor (file, "in.weight");
      guint64 rows = weight->shape[0], cols = weight->shape[1];
      g_autoptr (Encoded) e = new_matrix (cases[i].fp4, cases[i].options, rows, cols);
      g_autofree float *decoded = NULL;
      double error;

      unpack_layer (e, file, cases[i].fp4);
      decoded = encoded_must_decode (e, 50);
      error = driver_relative_error (QCONV_BF16, weight->data, decoded, rows, cols);
      g_test_message ("%s: relative squared error %.3e", cases[i].name, error);
      g_assert_cmpfloat (error, <=, cases[i].most);
    }
}

/* ---- Refusals ---- */

static void
test_shapes (void)
{
  static const struct {
    gboolean fp4;
    const char *options;
    guint64 rows, cols;
    QconvError code;
  } wrong[]
      = { { TRUE, NULL, 4, 24, QCONV_ERROR_UNSUPPORTED },      { FALSE, NULL, 4, 96, QCONV_ERROR_UNSUPPORTED },
          { TRUE, "rank=24", 4, 64, QCONV_ERROR_UNSUPPORTED }, { FALSE, "rank=40", 4, 64, QCONV_ERROR_UNSUPPORTED },
          { TRUE, NULL, 0, 64, QCONV_ERROR_UNSUPPORTED },      { TRUE, NULL, 4, 0, QCONV_ERROR_UNSUPPORTED },
          { TRUE, "rank=0", 4, 64, QCONV_ERROR_OPTION },       { FALSE, "rank=1040", 4, 64, QCONV_ERROR_OPTION } };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Encoded) e
          = encoded_new (scheme (wrong[i].fp4), wrong[i].options, QCONV_BF16, wrong[i].rows, wrong[i].cols, &error);

      g_assert_error (error, QCONV_ERROR, (gint) wrong[i].code);
      g_assert_null (e);
    }
}

static void
test_settle (void)
{
  static const struct {
    QconvDType dtype;
    const char *options, *want;
  } cases[] = { { QCONV_BF16, NULL, "bf16" },
                { QCONV_F16, NULL, "bf16" },
                { QCONV_F32, NULL, "bf16" },
                { QCONV_F16, "scale-dtype=f16", "f16" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = encoded_must_new (scheme (TRUE), cases[i].options, cases[i].dtype, 4, 64);

      g_assert_cmpstr (qconv_values_string (encoded_layer (e)->values, "scale-dtype"), ==, cases[i].want);
    }
}

static void
assert_invalid (Encoded *e, const char *name)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (encoded_validate (e, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  g_assert_nonnull (strstr (error->message, name));
}

static void
test_numbers (void)
{
  static const struct {
    gboolean fp4;
    const char *name;
    float bad;
  } cases[] = { { TRUE, "tensor_scale", NAN }, { TRUE, "tensor_scale", -1.0f }, { TRUE, "row_scale", INFINITY },
                { TRUE, "smooth", 0.0f },      { FALSE, "smooth", -1.0f },      { FALSE, "group_scale", -0.5f },
                { FALSE, "group_scale", NAN }, { FALSE, "lora_down", NAN },     { TRUE, "lora_up", INFINITY },
                { FALSE, "smooth_orig", NAN } };
  g_autoptr (Encoded) negative = new_matrix (TRUE, NULL, 2, 64);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = new_matrix (cases[i].fp4, NULL, 2, 64);

      fill (e, 3);
      g_assert_true (encoded_validate (e, NULL));
      floats_of (e, cases[i].name, NULL)[0] = cases[i].bad;
      assert_invalid (e, cases[i].name);
    }
  fill (negative, 3);
  ((guint8 *) encoded_data (negative, "block_scale", NULL))[1] = 0x80; /* as deepcompressor writes zero */
  g_assert_true (encoded_validate (negative, NULL));
  ((guint8 *) encoded_data (negative, "block_scale", NULL))[1] = 0x81;
  assert_invalid (negative, "block_scale");
  ((guint8 *) encoded_data (negative, "block_scale", NULL))[1] = 0x7f;
  assert_invalid (negative, "block_scale");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nunchaku/svdq/formula", test_formula);
  g_test_add_func ("/nunchaku/svdq/tiles", test_tiles);
  g_test_add_func ("/nunchaku/svdq/stack", test_stack);
  g_test_add_func ("/nunchaku/svdq/golden", test_golden);
  g_test_add_func ("/nunchaku/svdq/shapes", test_shapes);
  g_test_add_func ("/nunchaku/svdq/settle", test_settle);
  g_test_add_func ("/nunchaku/svdq/numbers", test_numbers);
  return g_test_run ();
}
