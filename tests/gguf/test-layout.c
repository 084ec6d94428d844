/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the layout of files that are written: their headers, read back by the same plugin, hold what was planned. */
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

/* A planned file. @laid: the header and the zero bytes in place of the data */
typedef struct {
  QconvDirectory *planned;
  GPtrArray *tensors;
  GByteArray *laid;
  guint64 size;
  GError *error;
} Layout;

static Layout *
layout_new (void)
{
  Layout *l = g_new0 (Layout, 1);

  l->planned = qconv_directory_new (NULL, NULL);
  l->laid = g_byte_array_new ();
  return l;
}

static void
layout_free (Layout *l)
{
  g_clear_pointer (&l->tensors, g_ptr_array_unref);
  qconv_directory_free (l->planned);
  g_byte_array_unref (l->laid);
  g_clear_error (&l->error);
  g_free (l);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Layout, layout_free)

/* @type: (nullable): of blocks; @n_bytes: of the data */
static void
plan_tensor (Layout *l, const char *name, QconvDType dtype, const char *type, QconvShape shape, guint64 n_bytes)
{
  const QconvTensor t = { .name = name, .dtype = dtype, .type = type, .shape = shape, .n_bytes = n_bytes };

  g_assert_true (qconv_directory_add (l->planned, &t, NULL));
}

static void
plan_value (Layout *l, const char *key, GVariant *value)
{
  qconv_directory_replace_metadata (l->planned, key, value);
}

/* Lays the file out. Returns whether that succeeded */
static gboolean
lay_out (Layout *l)
{
  const QconvContainer *c = qconv_plugin_gguf ()->containers[0];
  guint header;
  gboolean ok;

  l->tensors = g_ptr_array_new ();
  for (guint i = 0; i < qconv_directory_n_tensors (l->planned); i++)
    g_ptr_array_add (l->tensors, qconv_directory_planned (l->planned, i));
  ok = c->lay_out (c, l->planned, (QconvTensor **) l->tensors->pdata, l->tensors->len, l->laid, &l->size, &l->error);
  g_assert_true (ok == (l->error == NULL));
  if (!ok)
    return FALSE;
  header = l->laid->len;
  g_byte_array_set_size (l->laid, (guint) l->size);
  memset (l->laid->data + header, 0, l->laid->len - header);
  return TRUE;
}

/* Returns: (transfer full): the file, read back */
static Model *
read_back (Layout *l)
{
  lay_out (l);
  g_assert_no_error (l->error);
  return model_open_bytes (l->laid->data, l->laid->len, NULL);
}

static void
assert_fails (Layout *l, QconvError code, const char *word)
{
  g_assert_false (lay_out (l));
  g_assert_error (l->error, QCONV_ERROR, (gint) code);
  if (strstr (l->error->message, word) == NULL)
    g_error ("\"%s\" says nothing of \"%s\"", l->error->message, word);
}

/* Tests the header of a small file byte by byte, against one that ggml accepts (ggml: src/gguf.cpp). */
static void
test_bytes (void)
{
  static const char want[] = "47475546030000000200000000000000"
                             "02000000000000001400000000000000"
                             "67656e6572616c2e6172636869746563"
                             "74757265080000000400000000000000"
                             "666c7578110000000000000067656e65"
                             "72616c2e66696c655f74797065040000"
                             "00070000000100000000000000610100"
                             "00000200000000000000000000000000"
                             "00000000000001000000000000007702"
                             "00000020000000000000000200000000"
                             "00000008000000200000000000000000"
                             "00000000000000000000000000000000";
  g_autoptr (Layout) l = layout_new ();
  GString *got = g_string_new (NULL);

  plan_value (l, "general.architecture", g_variant_new_string ("flux"));
  plan_value (l, "general.file_type", g_variant_new_uint32 (7));
  plan_tensor (l, "a", QCONV_F32, NULL, QCONV_SHAPE1 (2), 8);
  plan_tensor (l, "w", QCONV_OPAQUE, "Q8_0", QCONV_SHAPE2 (2, 32), 68);
  lay_out (l);
  g_assert_no_error (l->error);
  g_assert_cmpuint (l->size, ==, 320);
  g_assert_cmpuint (qconv_directory_tensor (l->planned, 0)->offset, ==, 0xc0);
  g_assert_cmpuint (qconv_directory_tensor (l->planned, 1)->offset, ==, 0xe0);
  for (guint i = 0; i < 0xc0; i++)
    g_string_append_printf (got, "%02x", l->laid->data[i]);
  g_assert_cmpstr (got->str, ==, want);
  g_string_free (got, TRUE);
}

/* Copies all metadata of @from and asserts that they come back with their types. */
static void
assert_same_metadata (const Model *from)
{
  const char *const *keys = qconv_directory_metadata_keys (from->directory);
  g_autoptr (Layout) l = layout_new ();
  g_autoptr (Model) m = NULL;
  guint n = 0;

  for (; keys[n] != NULL; n++)
    plan_value (l, keys[n], qconv_directory_metadata (from->directory, keys[n]));
  m = read_back (l);
  g_assert_no_error (m->error);
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpuint (g_strv_length ((char **) qconv_directory_metadata_keys (m->directory)), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpvariant (qconv_directory_metadata (m->directory, keys[i]),
                         qconv_directory_metadata (from->directory, keys[i]));
}

/* Tests values of all types that the format has, alone and in arrays. i8 comes back as i16, as it is kept. */
static void
test_values (void)
{
  g_autofree char *path = golden_path ("gguf/container/kv-all.gguf");
  g_autoptr (Model) all = model_open (path, NULL);

  assert_opened (all);
  assert_same_metadata (all);
}

static void
append_text (GByteArray *to, const char *text, guint n)
{
  guint64 length = GUINT64_TO_LE ((guint64) n);

  g_byte_array_append (to, (const guint8 *) &length, sizeof length);
  g_byte_array_append (to, (const guint8 *) text, n);
}

/* Tests texts that GVariant keeps as bytes, and numbers at the ends of their types. */
static void
test_odd_values (void)
{
  static const struct {
    const char *text;
    guint n;
  } texts[] = { { "a\0b", 3 }, { "\0", 1 }, { "a\xff", 2 }, { "", 0 }, { "\0\xc3", 2 } };
  static const double doubles[] = { 0.1, 1e300, -0.0, 0.5 };
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;
  guint32 kind = GUINT32_TO_LE (KV_STRING);
  guint64 n = GUINT64_TO_LE ((guint64) G_N_ELEMENTS (texts));
  g_autoptr (GByteArray) array = g_byte_array_new ();

  g_byte_array_append (array, (const guint8 *) &kind, sizeof kind);
  g_byte_array_append (array, (const guint8 *) &n, sizeof n);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *key = g_strdup_printf ("text.%u", i);
      g_autoptr (GByteArray) one = g_byte_array_new ();

      append_text (one, texts[i].text, texts[i].n);
      append_text (array, texts[i].text, texts[i].n);
      build_raw (b, key, KV_STRING, one->data, one->len);
    }
  build_raw (b, "texts", KV_ARRAY, array->data, array->len);
  build_integer (b, "i8", KV_I8, -128);
  build_integer (b, "u64", KV_U64, -1);
  for (guint i = 0; i < G_N_ELEMENTS (doubles); i++)
    {
      g_autofree char *key = g_strdup_printf ("f64.%u", i);

      build_raw (b, key, KV_F64, &doubles[i], sizeof doubles[i]);
    }
  build_integers (b, "none", KV_U32, NULL, 0);
  m = model_open_build (b, NULL);
  g_assert_no_error (m->error);
  assert_same_metadata (m);
}

/* Tests that a number that F32 holds is written as F32, which loaders expect, and any other as F64. */
static void
test_float_width (void)
{
  static const struct {
    double value;
    guint width;
  } cases[] = { { 0.5, 4 }, { 0.1, 8 }, { 1e300, 8 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Layout) l = layout_new ();

      plan_value (l, "k", g_variant_new_double (cases[i].value));
      lay_out (l);
      g_assert_no_error (l->error);
      /* Magic, version, two counts, length and text of the key, type */
      g_assert_cmpuint (l->laid->data[24 + 8 + 1], ==, cases[i].width == 4 ? KV_F32 : KV_F64);
      g_assert_cmpuint (l->size, ==, 64);
    }
}

/* Tests that values and keys without a form in GGUF are refused with their key. */
static void
test_no_value (void)
{
  static const char *const odd[] = { "{'a': 1}", "(1, 2)", "[[1], [2]]", "@mi 1" };
  g_autofree char *longest = g_strnfill (65535, 'k'), *longer = g_strnfill (65536, 'k');
  g_autoptr (Layout) fits = layout_new (), exceeds = layout_new (), empty = layout_new ();
  g_autoptr (Model) m = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (odd); i++)
    {
      g_autoptr (Layout) l = layout_new ();

      plan_value (l, "odd.key", g_variant_new_parsed (odd[i]));
      assert_fails (l, QCONV_ERROR_UNSUPPORTED, "\"odd.key\"");
    }
  plan_value (fits, longest, g_variant_new_boolean (TRUE));
  m = read_back (fits);
  assert_opened (m);
  plan_value (exceeds, longer, g_variant_new_boolean (TRUE));
  assert_fails (exceeds, QCONV_ERROR_UNSUPPORTED, "65536 bytes");
  plan_value (empty, "", g_variant_new_boolean (TRUE));
  assert_fails (empty, QCONV_ERROR_UNSUPPORTED, "key of 0 bytes");
}

/* Tests that the metadata state the alignment, that all tensors keep it, and that the last one is padded. */
static void
test_alignment (void)
{
  static const guint32 good[] = { 0, 1, 8, 32, 4096 };
  static const guint32 bad[] = { 0, 24 };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      guint32 alignment = good[i] != 0 ? good[i] : 32;
      g_autoptr (Layout) l = layout_new ();
      g_autoptr (Model) m = NULL;

      if (good[i] != 0)
        plan_value (l, "general.alignment", g_variant_new_uint32 (good[i]));
      for (guint k = 0; k < 5; k++)
        {
          g_autofree char *name = g_strdup_printf ("t%u", k);

          plan_tensor (l, name, QCONV_I8, NULL, QCONV_SHAPE1 (7 * k + 1), 7 * k + 1);
        }
      m = read_back (l);
      assert_opened (m);
      g_assert_cmpuint (l->size % alignment, ==, 0);
      for (guint k = 0; k < 5; k++)
        g_assert_cmpuint (qconv_directory_tensor (m->directory, k)->offset % alignment, ==, 0);
    }
  for (guint i = 0; i <= G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (Layout) l = layout_new ();

      plan_value (l, "general.alignment",
                  i < G_N_ELEMENTS (bad) ? g_variant_new_uint32 (bad[i]) : g_variant_new_string ("32"));
      g_assert_false (lay_out (l));
      g_assert_nonnull (strstr (l->error->message, "alignment"));
    }
}

/* Tests names at the limit of the reader, and that no shape loses its ones, in front or behind. */
static void
test_names_and_shapes (void)
{
  static const QconvShape shapes[] = {
    { 0, { 0 } }, { 3, { 1, 1, 5 } }, { 3, { 5, 1, 1 } }, { 5, { 2, 3, 1, 2, 2 } }, { 8, { 1, 2, 1, 2, 1, 2, 1, 1 } },
  };
  g_autofree char *longest = g_strnfill (1023, 'n'), *longer = g_strnfill (1024, 'n');
  g_autoptr (Layout) l = layout_new (), exceeds = layout_new (), deep = layout_new ();
  g_autoptr (Model) m = NULL;

  plan_tensor (l, longest, QCONV_F32, NULL, QCONV_SHAPE1 (1), 4);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      g_autofree char *name = g_strdup_printf ("shape.%u", i);
      guint64 items;

      g_assert_true (qconv_shape_items (&shapes[i], &items));
      plan_tensor (l, name, QCONV_F32, NULL, shapes[i], 4 * items);
    }
  m = read_back (l);
  assert_opened (m);
  g_assert_cmpstr (qconv_directory_tensor (m->directory, 0)->name, ==, longest);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    g_assert_true (qconv_shape_equal (&qconv_directory_tensor (m->directory, i + 1)->shape, &shapes[i]));
  plan_tensor (exceeds, longer, QCONV_F32, NULL, QCONV_SHAPE1 (1), 4);
  assert_fails (exceeds, QCONV_ERROR_UNSUPPORTED, "name of 1024 bytes");
  plan_tensor (deep, "deep", QCONV_F32, NULL, (QconvShape) { 9, { 1, 1, 1, 1, 1, 1, 1, 1, 1 } }, 4);
  assert_fails (deep, QCONV_ERROR_UNSUPPORTED, "tensor \"deep\": 9 dimensions");
}

/* Tests the plain types that the format has, and that all others are refused with the tensor's name. */
static void
test_types (void)
{
  static const QconvDType known[]
      = { QCONV_F32, QCONV_F16, QCONV_BF16, QCONV_F64, QCONV_I8, QCONV_I16, QCONV_I32, QCONV_I64 };
  guint n = 0;

  for (guint dtype = 0; dtype < QCONV_N_DTYPES; dtype++)
    {
      g_autoptr (Layout) l = layout_new ();
      g_autoptr (Model) m = NULL;
      gboolean has = FALSE;

      for (guint i = 0; i < G_N_ELEMENTS (known); i++)
        has = has || known[i] == dtype;
      plan_tensor (l, "t", dtype, NULL, QCONV_SHAPE1 (8), qconv_dtype_bits (dtype));
      if (!has)
        {
          assert_fails (l, QCONV_ERROR_UNSUPPORTED, "tensor \"t\": GGUF has no type for");
          continue;
        }
      n++;
      m = read_back (l);
      assert_opened (m);
      g_assert_cmpint (qconv_directory_tensor (m->directory, 0)->dtype, ==, dtype);
    }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (known));
}

int
main (int argc, char **argv)
{
  fixture_init (&argc, &argv);
  g_test_add_func ("/gguf/layout/bytes", test_bytes);
  g_test_add_func ("/gguf/layout/values", test_values);
  g_test_add_func ("/gguf/layout/odd-values", test_odd_values);
  g_test_add_func ("/gguf/layout/float-width", test_float_width);
  g_test_add_func ("/gguf/layout/no-value", test_no_value);
  g_test_add_func ("/gguf/layout/alignment", test_alignment);
  g_test_add_func ("/gguf/layout/names-and-shapes", test_names_and_shapes);
  g_test_add_func ("/gguf/layout/types", test_types);
  return g_test_run ();
}
