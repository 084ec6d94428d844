/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests w4a8 and w6a8 against layers that comfy-kitchen made. Its rotation adds in another order, so the last bits of
   sums may differ. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "fixture.h"
#include "kernels/numbers.h"

/* Returns the options for a format such as "w6a8_g16_r64_nosearch" */
static char *
options_of (const char *format)
{
  g_auto (GStrv) words = g_strsplit (format, "_", -1);
  GString *options = g_string_new (NULL);

  g_string_append_printf (options, "group=%s,convrot=%s", words[1] + 1, words[2] + 1);
  if (g_strv_contains ((const char *const *) words, "f32"))
    g_string_append (options, ",scale-dtype=f32");
  if (g_strv_contains ((const char *const *) words, "nocb"))
    g_string_append (options, ",codebook=none");
  if (g_strv_contains ((const char *const *) words, "nosearch"))
    g_string_append (options, ",effort=rtn");
  return g_string_free (options, FALSE);
}

/* Unpacks rows as ComfyUI stores them: low halves of all codes, then, for 6 bits, the upper quarters four to a byte.
   Returns: (transfer full): one code a byte */
static guint8 *
unpack_codes (const GoldenTensor *stored, gboolean six, guint64 cols)
{
  guint64 rows = stored->shape[0], width = stored->shape[1];
  guint8 *codes = g_malloc (rows * cols);

  g_assert_cmpuint (width, ==, six ? cols / 2 + cols / 4 : cols / 2);
  for (guint64 row = 0; row < rows; row++)
    for (guint64 col = 0; col < cols; col++)
      {
        const guint8 *bytes = stored->data + row * width;

        codes[row * cols + col] = bytes[col / 2] >> col % 2 * 4 & 15;
        if (six)
          codes[row * cols + col] |= (guint8) ((bytes[cols / 2 + col / 4] >> col % 4 * 2 & 3) << 4);
      }
  return codes;
}

static void
store_golden (Encoded *e, const ComfyGolden *g)
{
  static const struct {
    const char *component, *suffix;
  } whole[]
      = { { "group_scale", "weight_s_rel" }, { "row_scale", "weight_s_channel" }, { "codebook", "weight_codebook" } };
  g_autofree guint8 *codes = unpack_codes (comfy_golden_tensor (g, "weight"), has_six_bits (e), g->cols);
  guint8 *dst = encoded_data (e, "codes", NULL);

  for (gsize i = 0; i < g->rows * g->cols; i++)
    if (has_six_bits (e))
      dst[i] = codes[i];
    else
      dst[i / 2] = (guint8) (dst[i / 2] | codes[i] << i % 2 * 4);
  for (guint i = 0; i < G_N_ELEMENTS (whole); i++)
    {
      const GoldenTensor *t = comfy_golden_tensor (g, whole[i].suffix);
      gsize size;
      gpointer data = encoded_data (e, whole[i].component, &size);

      g_assert_true ((t == NULL) == (data == NULL));
      if (t == NULL)
        continue;
      g_assert_cmpuint (size, ==, t->size);
      memcpy (data, t->data, size);
    }
}

static void
assert_close_floats (const float *got, const GoldenTensor *want, guint32 ulps)
{
  for (gsize i = 0; i < want->n_items; i++)
    {
      guint32 a = bits_of_f32 (got[i]), b = bits_of_f32 (((const float *) (gconstpointer) want->data)[i]);

      g_assert_cmpuint (MAX (a, b) - MIN (a, b), <=, ulps);
    }
}

/* Asserts that numbers differ by at most 2^-19 of the largest */
static void
assert_decodes_alike (const Encoded *e, const GoldenTensor *want)
{
  g_autofree float *floats = encoded_must_decode (e, 4);
  const float *decoded = (const float *) (gconstpointer) want->data;
  float largest = 0.0f;

  for (gsize i = 0; i < want->n_items; i++)
    largest = MAX (largest, fabsf (decoded[i]));
  for (gsize i = 0; i < want->n_items; i++)
    g_assert_cmpfloat (fabsf (floats[i] - decoded[i]), <=, largest * 0x1p-19f);
}

static guint64 n_codes, n_different, n_scales_different;

static void
assert_same_codes (const Encoded *e, const ComfyGolden *g)
{
  g_autofree guint8 *got = spread_codes (e);
  g_autofree guint8 *want = unpack_codes (comfy_golden_tensor (g, "weight"), has_six_bits (e), g->cols);
  gsize n = g->rows * g->cols, allowed = MAX (n * 4 / 1000000, 1), different = 0;

  /* ties of the search, which the order of sums decides */
  if (strcmp (g->format, "w6a8_g16_r256") == 0 && strcmp (g->variant, "outlier") == 0)
    allowed = n / 100;
  for (gsize i = 0; i < n; i++)
    {
      different += got[i] != want[i];
      if (allowed == 1)
        g_assert_cmpint (ABS (got[i] - want[i]), <=, 1);
    }
  n_codes += n;
  n_different += different;
  g_assert_cmpuint (different, <=, allowed);
}

static void
assert_same_scales (const Encoded *e, const ComfyGolden *g)
{
  const GoldenTensor *relative = comfy_golden_tensor (g, "weight_s_rel");
  const GoldenTensor *book = comfy_golden_tensor (g, "weight_codebook");
  const GoldenTensor *rows = comfy_golden_tensor (g, "weight_s_channel");
  const guint8 *codes = encoded_data (e, "group_scale", NULL);
  gsize different = 0;

  assert_close_floats (encoded_data (e, "row_scale", NULL), rows, 8);
  if (strcmp (relative->dtype, "F32") == 0)
    assert_close_floats (encoded_data (e, "group_scale", NULL), relative, 8);
  for (gsize i = 0; strcmp (relative->dtype, "F32") != 0 && i < relative->size; i++)
    different += codes[i] != relative->data[i];
  n_scales_different += different;
  if (strcmp (g->format, "w6a8_g16_r256") != 0 || strcmp (g->variant, "outlier") != 0)
    g_assert_cmpuint (different, ==, 0);
  if (book != NULL)
    g_assert_cmpmem (encoded_data (e, "codebook", NULL), 64, book->data, book->size);
}

static void
check_golden (const ComfyGolden *g)
{
  g_autofree char *options = options_of (g->format);
  const char *scheme = g_str_has_prefix (g->format, "w6") ? "w6a8" : "w4a8";
  g_autoptr (Encoded) stored = new_matrix (scheme, options, g->dtype, g->rows, g->cols);

  store_golden (stored, g);
  assert_decodes_alike (stored, comfy_golden_tensor (g, "decoded"));
  if (!g->informative)
    {
      g_autoptr (Encoded) e = new_matrix (scheme, options, g->dtype, g->rows, g->cols);

      encoded_must_encode (e, g->source->data, 5);
      assert_same_scales (e, g);
      assert_same_codes (e, g);
    }
}

static void
test_golden (gconstpointer prefix)
{
  guint n;

  n_codes = n_different = n_scales_different = 0;
  n = comfy_golden_each (prefix, "A", check_golden);
  g_test_message ("%u layers, %" G_GUINT64_FORMAT " codes, of which %" G_GUINT64_FORMAT
                  " differ, and %" G_GUINT64_FORMAT " scales of groups",
                  n, n_codes, n_different, n_scales_different);
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpuint (n_codes, >, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/w4a8/golden", "w4a8_", test_golden);
  g_test_add_data_func ("/w6a8/golden", "w6a8_", test_golden);
  return g_test_run ();
}
