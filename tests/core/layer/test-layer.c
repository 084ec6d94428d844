/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests how the components of a layer follow its rows. */
#include "layer/layer.h"

/* Lists components of 300 rows: codes for each row, scales for every 128 rows (padded at the end), one scale for all */
static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  qconv_components_add (
      out,
      &(QconvComponent) { .name = "codes", .dtype = QCONV_U4, .shape = QCONV_SHAPE2 (300, 7), .run = QCONV_ROWWISE });
  qconv_components_add (
      out,
      &(QconvComponent) { .name = "scale", .dtype = QCONV_U8, .shape = QCONV_SHAPE2 (384, 2), .run = { 128, 128 } });
  qconv_components_add (out, &(QconvComponent) { .name = "all", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
  return TRUE;
}

static gboolean
list_shared (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  qconv_components_add (
      out, &(QconvComponent) { .name = "smooth", .shape = QCONV_SHAPE1 (1), .flags = QCONV_COMPONENT_SHARED });
  return TRUE;
}

static const QconvQuantizer quantizer = { .id = "test", .components = list_components };
static const QconvQuantizer sharing = { .id = "test", .components = list_shared };

static void
check_share (const Layer *l, guint component, guint64 first, guint64 n, guint64 item, guint64 n_items)
{
  guint64 got_item, got_n;

  qconv_component_share (&l->pub, l->pub.components[component], first, n, &got_item, &got_n);
  g_assert_cmpuint (got_item, ==, item);
  g_assert_cmpuint (got_n, ==, n_items);
  g_assert_cmpuint (got_n * qconv_component_stride (l->pub.components[component]), <=,
                    qconv_component_share_bytes (&l->pub, l->pub.components[component], n));
}

static void
test_shares (void)
{
  g_autoptr (Layer) l = qconv_layer_new ("l", &(Encoding) { "test", &quantizer, NULL }, QCONV_BF16, 300, 7);

  g_assert_true (qconv_layer_ask_components (l, NULL));
  g_assert_cmpuint (qconv_component_stride (l->pub.components[0]), ==, 4); /* seven codes in four bytes */
  check_share (l, 0, 0, 128, 0, 128);
  check_share (l, 0, 256, 44, 256, 44);
  check_share (l, 1, 0, 128, 0, 128);
  check_share (l, 1, 128, 128, 128, 128);
  check_share (l, 1, 256, 44, 256, 128); /* the last run takes the padding */
  check_share (l, 1, 0, 300, 0, 384);
  check_share (l, 2, 128, 128, 0, 1);
}

static void
test_drop (void)
{
  g_autoptr (Layer) l = qconv_layer_new ("l", &(Encoding) { "test", &quantizer, NULL }, QCONV_BF16, 300, 7);

  g_assert_true (qconv_layer_ask_components (l, NULL));
  qconv_layer_drop_component (l, "scale");
  g_assert_cmpuint (l->pub.n_components, ==, 2);
  g_assert_null (qconv_layer_component (&l->pub, "scale"));
  g_assert_cmpint (qconv_layer_component_index (&l->pub, "all"), ==, 1);
}

static void
test_shared_refused (void)
{
  g_autoptr (Layer) l = qconv_layer_new ("l", &(Encoding) { "test", &sharing, NULL }, QCONV_BF16, 1, 1);
  g_autoptr (GError) error = NULL;

  g_assert_false (qconv_layer_ask_components (l, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
}

static void
test_lcm (void)
{
  g_assert_cmpuint (qconv_lcm (16, 128), ==, 128);
  g_assert_cmpuint (qconv_lcm (6, 4), ==, 12);
  g_assert_cmpuint (qconv_lcm (1, 1), ==, 1);
  g_assert_cmpuint (qconv_lcm (G_MAXUINT64, G_MAXUINT64 - 1), ==, 0);
}

static void
test_shapes (void)
{
  QconvShape hidden_overflow = { 3, { (guint64) 1 << 63, 2, 0 } }, zero_first = { 3, { 0, (guint64) 1 << 62, 2 } };
  QconvShape odd = QCONV_SHAPE2 (3, 5), six = QCONV_SHAPE1 (4);
  guint64 n = 0;

  g_assert_false (qconv_shape_items (&hidden_overflow, &n));
  g_assert_true (qconv_shape_items (&zero_first, &n));
  g_assert_cmpuint (n, ==, 0);
  g_assert_true (qconv_shape_bytes (&odd, QCONV_U4, &n)); /* rows start bytes */
  g_assert_cmpuint (n, ==, 9);
  g_assert_true (qconv_shape_bytes (&odd, QCONV_F4, &n)); /* bits over the whole */
  g_assert_cmpuint (n, ==, 8);
  g_assert_true (qconv_shape_bytes (&six, QCONV_F6_E2M3, &n));
  g_assert_cmpuint (n, ==, 3);
  for (guint i = 0; i < QCONV_N_DTYPES; i++)
    {
      QconvDType back;

      g_assert_true (qconv_dtype_from_name (qconv_dtype_name ((QconvDType) i), &back));
      g_assert_cmpuint (back, ==, i);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/layer/shares", test_shares);
  g_test_add_func ("/layer/drop", test_drop);
  g_test_add_func ("/layer/shared-refused", test_shared_refused);
  g_test_add_func ("/layer/lcm", test_lcm);
  g_test_add_func ("/layer/shapes", test_shapes);
  return g_test_run ();
}
