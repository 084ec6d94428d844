/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that a hook runs the operations that it lists and no others. Devices are tested in tests/device. */
#include "layer/hooks.h"
#include "toy.h"

/* An encoder that runs "amax", whatever it lists */
static gboolean
encode_amax (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  float weights[2] = { 1, -3 }, top = 0;
  QconvBuffer from = QCONV_BUFFER (weights, sizeof weights, QCONV_F32), to = QCONV_BUFFER (&top, 4, QCONV_F32);

  return qconv_stream_run (t->stream, "amax", 1, (QconvArg[]) { QCONV_BUF (&from), QCONV_BUF (&to) }, 2, error);
}

static void
test_operations (void)
{
  static const QconvQuantizer quantizer = { .id = "q" };
  g_autoptr (Layer) layer = qconv_layer_new ("l", &(Encoding) { .scheme = "q" }, QCONV_BF16, 4, 4);
  static const struct {
    QconvOpName listed[2];
    int code; /* 0: it works */
    const char *text;
  } cases[] = {
    { { { "amax", 1 } }, 0, NULL },
    { { { "convert", 1 } }, QCONV_ERROR_BUG, "operation amax/1 is not among those that were listed" },
    { { { "amax", 2 } }, QCONV_ERROR_UNSUPPORTED, "it needs operation amax/2, which this qconv lacks" },
    { { { "made-up", 1 } }, QCONV_ERROR_UNSUPPORTED, "it needs operation made-up/1, which this qconv lacks" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const QconvEncoder amax = { .operations = cases[i].listed, .encode = encode_amax };
      g_autoptr (GError) error = NULL;
      Arena arena = { 0 };
      Tile t = qconv_tile (layer, NULL, &(Rows) { 0, 1, &arena, NULL, NULL });

      g_assert_cmpint (qconv_call_encode (&quantizer, &amax, &t, &error), ==, cases[i].code == 0);
      if (cases[i].code != 0)
        toy_assert_error (error, cases[i].code, cases[i].text);
    }
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  g_test_add_func ("/hook-place/operations", test_operations);
  return g_test_run ();
}
