/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the integers and MXFP6 of compressed-tensors with generated layers: every width of codes in both packings,
   zeros, and groups that are listed. */
#include <math.h>
#include <string.h>

#include "maker.h"

/* ---- Packed integers ---- */

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

static const PackedForm forms[] = {
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
        PackedForm f = forms[i];
        g_auto (Packed) l = { 0 };
        g_autoptr (Builder) b = builder_new ();
        g_autoptr (GBytes) got = NULL;
        g_autofree char *input = NULL;

        f.bits = bits;
        packed_fill (&l, &f, 17 * i + bits);
        packed_add (b, &f, &l);
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
  const PackedForm some[]
      = { { 8, 256, 3, 64, TRUE, FALSE }, { 8, 256, 5, 64, TRUE, TRUE }, { 8, 256, 8, 0, FALSE, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (some); i++)
    {
      g_auto (Packed) l = { 0 };
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GBytes) got = NULL;
      g_autofree char *input = NULL;

      packed_fill (&l, &some[i], 5);
      packed_add (b, &some[i], &l);
      input = builder_write (b, "alone.safetensors");
      got = decoded (input, "m.weight");
      assert_floats (got, l.weights, some[i].rows * some[i].cols);
    }
}

/* Tests a list of groups: any order, and -1 for groups in order. A group that there is not is an error. */
static void
test_act_order (void)
{
  const PackedForm f = { 8, 64, 4, 16, TRUE, FALSE };
  g_auto (Packed) l = { 0 };
  gint32 index[64];

  packed_fill (&l, &f, 3);
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
      packed_add (b, &f, &l);
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
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
