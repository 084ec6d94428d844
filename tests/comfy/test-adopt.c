/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that MXFP4 becomes NVFP4 without a changed value if its exponents allow that, else through floats. */
#include "fixture.h"

#include <math.h>
#include <string.h>

#define ROWS 64
#define COLS 96
#define BLOCKS (ROWS * COLS / 32)

static void
append_number (GByteArray *file, guint64 value, guint width)
{
  guint64 le = GUINT64_TO_LE (value);

  g_byte_array_append (file, (const guint8 *) &le, width);
}

/* Returns: (transfer full): a GGUF file with one tensor of MXFP4 blocks (type 39: exponent, then 16 bytes whose low
   nibbles are the first half) */
static char *
write_gguf (const guint8 *exponents, const guint8 *codes)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  char *path = scratch_path ("mx.gguf");

  g_byte_array_append (file, (const guint8 *) "GGUF", 4);
  append_number (file, 3, 4);
  append_number (file, 1, 8);
  append_number (file, 0, 8);
  append_number (file, 8, 8);
  g_byte_array_append (file, (const guint8 *) "l.weight", 8);
  append_number (file, 2, 4);
  append_number (file, COLS, 8);
  append_number (file, ROWS, 8);
  append_number (file, 39, 4);
  append_number (file, 0, 8);
  while (file->len % 32 != 0)
    append_number (file, 0, 1);
  for (guint b = 0; b < BLOCKS; b++)
    {
      append_number (file, exponents[b], 1);
      g_byte_array_append (file, codes + b * 16, 16);
    }
  while (file->len % 32 != 0)
    append_number (file, 0, 1);
  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

static char *
how_planned (const char *input, const char *output)
{
  QconvJob job = { .target = "nvfp4-comfy", .output = output, .rules.only = QCONV_LIST (".*"), .run.force = TRUE };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  g_autoptr (GArray) weights = NULL;

  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  g_assert_cmpuint (weights->len, ==, 1);
  return g_strdup (g_array_index (weights, QconvPlannedInfo, 0).how);
}

/* Returns the largest difference between the numbers of source and result, divided by the largest magnitude. */
static double
difference (const char *input, const char *output)
{
  g_autofree char *a = scratch_path ("a.safetensors"), *b = scratch_path ("b.safetensors");
  g_autoptr (QconvModel) ma = NULL, mb = NULL;
  g_autoptr (GBytes) xa = NULL, xb = NULL;
  const float *va, *vb;
  double worst = 0.0, top = 0.0;
  gsize n;

  convert (input, output, "nvfp4-comfy", NULL);
  convert (input, a, "f32-safetensors", NULL);
  convert (output, b, "f32-safetensors", NULL);
  ma = open_model (a, NULL);
  mb = open_model (b, NULL);
  xa = tensor_bytes (ma, "l.weight");
  xb = tensor_bytes (mb, "l.weight");
  va = g_bytes_get_data (xa, &n);
  vb = g_bytes_get_data (xb, NULL);
  g_assert_cmpuint (n, ==, g_bytes_get_size (xb));
  g_assert_cmpuint (n, ==, ROWS * COLS * sizeof (float));
  for (gsize i = 0; i < n / sizeof (float); i++)
    {
      worst = MAX (worst, fabs ((double) va[i] - (double) vb[i]));
      top = MAX (top, fabs ((double) va[i]));
    }
  return top > 0.0 ? worst / top : worst;
}

typedef struct {
  guint8 lowest, highest;
  gboolean exact;
} Spread;

static const Spread spreads[] = {
  { 110, 127, TRUE }, { 118, 118, TRUE },  { 0, 9, TRUE },   { 0, 17, TRUE },
  { 235, 252, TRUE }, { 110, 128, FALSE }, { 0, 30, FALSE }, { 90, 150, FALSE },
};

static void
test_spread (gconstpointer data)
{
  const Spread *s = data;
  g_autofree char *input = NULL, *output = scratch_path ("out.safetensors"), *how = NULL;
  guint8 exponents[BLOCKS], codes[BLOCKS * 16];
  double worst;

  if (qconv_registry_reader ("gguf") == NULL || qconv_registry_quantizer ("mxfp4") == NULL)
    {
      g_test_skip ("needs the plugins gguf and mxfp4");
      return;
    }
  for (guint i = 0; i < sizeof codes; i++)
    codes[i] = (guint8) (i * 89 + i / 7);
  for (guint b = 0; b < BLOCKS; b++)
    exponents[b] = (guint8) (b % 2 == 0 ? s->highest : s->lowest + (int) b % (s->highest - s->lowest + 1));
  exponents[1] = s->lowest;
  /* the exponent of a block of zeros does not matter */
  memset (codes + 5 * 16, 0, 16);
  exponents[5] = 254;
  input = write_gguf (exponents, codes);
  how = how_planned (input, output);
  g_assert_cmpstr (how, ==, "adopt");
  worst = difference (input, output);
  g_test_message ("%u to %u: %g", s->lowest, s->highest, worst);
  if (s->exact)
    g_assert_true (worst <= 0.0);
  else
    g_assert_true (worst > 0.0 && worst < 0.2);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (spreads); i++)
    {
      g_autofree char *path = g_strdup_printf ("/comfy/adopt/%u-%u", spreads[i].lowest, spreads[i].highest);

      g_test_add_data_func (path, &spreads[i], test_spread);
    }
  status = g_test_run ();
  scratch_end ();
  return status;
}
