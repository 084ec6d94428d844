/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the scheme gptq: values in tiles, components, and refused shapes and numbers. */
#include <math.h>
#include <string.h>

#include "quantizer-driver.h"

const QconvPlugin *qconv_plugin_gptq (void);

static Encoded *
new_matrix (const char *options, guint64 rows, guint64 cols)
{
  Encoded *e = encoded_must_new (driver_quantizer (qconv_plugin_gptq (), "gptq"), options, QCONV_F16, rows, cols);

  encoded_drop (e, "pre_quant_scale"); /* only ModelOpt's files have it */
  return e;
}

/* Tests codes 0 … 15 in two groups: 8 columns at 1/2 around 8, 8 at 2 around 16, which only 16 bits hold */
static void
test_values (void)
{
  static const guint8 codes[] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe };
  g_autoptr (Encoded) e = new_matrix ("bits=4,group=8", 2, 16);
  g_autofree float *floats = NULL;

  for (guint row = 0; row < 2; row++)
    {
      memcpy ((guint8 *) encoded_data (e, "codes", NULL) + row * sizeof codes, codes, sizeof codes);
      memcpy ((float *) encoded_data (e, "scale", NULL) + row * 2, (const float[]) { 0.5f, 2.0f }, 8);
      memcpy ((gint16 *) encoded_data (e, "zero", NULL) + row * 2, (const gint16[]) { 8, 16 }, 4);
    }
  floats = encoded_must_decode (e, 1);
  for (int i = 0; i < 32; i++)
    g_assert_cmpfloat (floats[i], ==, i % 16 < 8 ? (float) (i % 16 - 8) * 0.5f : (float) (i % 16 - 16) * 2.0f);
}

/* Tests bytes whose columns have groups in any order. */
static void
test_act_order (void)
{
  static const gint32 index[] = { 1, 0, 1, 0, 0 };
  g_autoptr (Encoded) e = new_matrix ("bits=8,group=3,act-order=on", 1, 5);
  g_autofree float *floats = NULL;

  memcpy (encoded_data (e, "codes", NULL), (const guint8[]) { 255, 130, 0, 126, 1 }, 5);
  memcpy (encoded_data (e, "scale", NULL), (const float[]) { 0.25f, 3.0f }, 8);
  memcpy (encoded_data (e, "zero", NULL), (const gint16[]) { 128, 256 }, 4);
  memcpy (encoded_data (e, "group_index", NULL), index, sizeof index);
  floats = encoded_must_decode (e, 0);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpfloat (floats[i], ==, ((const float[]) { -3.0f, 0.5f, -768.0f, -0.5f, -31.75f })[i]);
}

static void
test_components (void)
{
  for (guint bits = 2; bits <= 8; bits++)
    {
      g_autofree char *options = g_strdup_printf ("bits=%u,group=32", bits);
      g_autoptr (Encoded) e = new_matrix (options, 3, 73);
      const QconvLayer *l = encoded_layer (e);

      g_assert_cmpint (qconv_layer_component (l, "codes")->dtype, ==, bits <= 4 ? QCONV_U4 : QCONV_U8);
      g_assert_cmpuint (qconv_layer_component (l, "scale")->shape.dim[1], ==, 3);
      g_assert_null (qconv_layer_component (l, "group_index"));
    }
}

static void
test_refused (void)
{
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_gptq (), "gptq");
  g_autoptr (Encoded) e = new_matrix (NULL, 2, 128);
  g_autoptr (GError) error = NULL;

  g_assert_true (encoded_validate (e, NULL));
  ((float *) encoded_data (e, "scale", NULL))[1] = NAN;
  g_assert_false (encoded_validate (e, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  g_clear_error (&error);
  g_assert_null (encoded_new (q, "bits=9", QCONV_F16, 2, 128, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
  g_clear_error (&error);
  g_assert_null (encoded_new (q, NULL, QCONV_F16, 0, 128, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gptq/scheme/values", test_values);
  g_test_add_func ("/gptq/scheme/act-order", test_act_order);
  g_test_add_func ("/gptq/scheme/components", test_components);
  g_test_add_func ("/gptq/scheme/refused", test_refused);
  return g_test_run ();
}
