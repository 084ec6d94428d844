/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that a hook runs the operations that it lists and no others, and copies of the host. Devices are tested in
   tests/device. */
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

/* Copies of the host, to and from the middle of a buffer, and beyond its end */
static void
test_copies (void)
{
  float numbers[4] = { 1, 2, 3, 4 }, got[2] = { 0, 0 };
  const float put[2] = { 5, 6 };
  QconvBuffer b = QCONV_BUFFER (numbers, sizeof numbers, QCONV_F32), away = QCONV_DEVICE_BUFFER (4096, 16, QCONV_F32);
  QconvStream *s = qconv_stream_cpu ();
  g_autoptr (GError) error = NULL;

  qconv_stream_read (s, &b, 4, sizeof got, got, &error);
  g_assert_no_error (error);
  g_assert_true (got[0] == 2 && got[1] == 3);
  qconv_stream_write (s, &b, 8, sizeof put, put, &error);
  g_assert_no_error (error);
  g_assert_true (numbers[1] == 2 && numbers[2] == 5 && numbers[3] == 6);
  g_assert_false (qconv_stream_read (s, &b, 12, sizeof got, got, &error));
  toy_assert_error (error, QCONV_ERROR_BUG, "a copy reaches beyond the end of its buffer");
  g_clear_error (&error);
  g_assert_false (qconv_stream_write (s, &b, G_MAXSIZE - 3, sizeof put, put, &error));
  toy_assert_error (error, QCONV_ERROR_BUG, "a copy reaches beyond the end of its buffer");
  g_clear_error (&error);
  g_assert_false (qconv_stream_read (s, &away, 0, sizeof got, got, &error));
  toy_assert_error (error, QCONV_ERROR_BUG, "a copy got memory that backend cpu cannot reach");
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  g_test_add_func ("/hook-place/operations", test_operations);
  g_test_add_func ("/hook-place/copies", test_copies);
  return g_test_run ();
}
