/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the largest errors of weights against the bounds of the schemes. */
#include "quantizer-driver.h"
#include "random-weights.h"

extern const QconvPlugin *qconv_plugin_int8 (void);

/* Tests the worst rows: one large weight, and all others off by half a step. The bound must hold them and little more;
   rows whose rotation was lost are worse */
static void
test_bounds (void)
{
  static const struct {
    const char *scheme, *options;
    guint64 rows, cols;
    float step;
  } cases[] = { { "int8", "scaling=row", 4, 256, 127 },
                { "int8", "scaling=tensor", 4, 256, 127 },
                { "int8_block", "block=16", 16, 16, 127 },
                { "convrot_w4a4", "convrot=64", 1, 64, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint64 n = cases[i].rows * cases[i].cols;
      g_autofree float *w = random_weights (RANDOM_GAUSSIAN, cases[i].rows, cases[i].cols, 5), *values = NULL;
      const QconvQuantizer *q = driver_quantizer (qconv_plugin_int8 (), cases[i].scheme);
      g_autoptr (Encoded) e = encoded_must_new (q, cases[i].options, QCONV_F32, cases[i].rows, cases[i].cols);
      gboolean rows = g_strcmp0 (cases[i].options, "scaling=row") == 0;
      double error, bound;

      for (guint64 k = 0; cases[i].step > 0 && k < n; k++)
        w[k] = k % (rows ? cases[i].cols : n) == 0 ? cases[i].step : 0.4999f;
      encoded_must_encode (e, w, 0);
      values = encoded_must_decode (e, 32);
      error = driver_relative_error (QCONV_F32, w, values, cases[i].rows, cases[i].cols);
      bound = q->bound (q, encoded_layer (e));
      g_assert_cmpfloat (error, <=, bound);
      g_assert_cmpfloat (bound, <, 0.25);
      if (cases[i].step > 0)
        g_assert_cmpfloat (error, >, bound * 0.95);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/int8/bounds", test_bounds);
  return g_test_run ();
}
