/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that tensors which a writer plans are checked when it adds them. */
#include "plan/output.h"

#include "io/directory.h"
#include "toy.h"

static gboolean
pack (const QconvPack *p, GError **error)
{
  return TRUE;
}

/**
 * Case: a writer adds @planned, with @n_data bytes of data, to the layer "l" of 3 rows of 5 items.
 *
 * @bare: to no layer
 * @error: (nullable): NULL: it may
 */
typedef struct {
  const char *name;
  QconvPlanned planned;
  gsize n_data;
  gboolean bare;
  const char *error;
} Case;

static const Case cases[] = {
  { "as it is", { .dtype = QCONV_F32, .shape = { 2, { 3, 5 } }, .from = "weight" }, 0, FALSE, NULL },
  { "cast", { .dtype = QCONV_BF16, .shape = { 2, { 5, 3 } }, .from = "weight" }, 0, FALSE, NULL },
  { "same width", { .dtype = QCONV_I32, .shape = { 1, { 15 } }, .from = "weight" }, 0, FALSE, NULL },
  { "packed", { .dtype = QCONV_U8, .shape = { 1, { 9 } }, .pack = pack, .run = { 1, 3 } }, 0, FALSE, NULL },
  { "packed with padding",
    { .dtype = QCONV_U8, .shape = { 1, { 99 } }, .pack = pack, .run = { 1, 3 } },
    0,
    FALSE,
    NULL },
  { "data", { .dtype = QCONV_U8, .shape = { 1, { 9 } } }, 9, TRUE, NULL },
  { "other width", { .dtype = QCONV_I8, .shape = { 2, { 3, 5 } }, .from = "weight" }, 0, FALSE, "*plans I8 for*F32" },
  { "other items", { .dtype = QCONV_F32, .shape = { 2, { 3, 4 } }, .from = "weight" }, 0, FALSE, "*number of items*" },
  { "no component", { .dtype = QCONV_F32, .shape = { 1, { 15 } }, .from = "codes" }, 0, FALSE, "*layer lacks" },
  { "unknown type", { .dtype = QCONV_N_DTYPES, .shape = { 1, { 15 } } }, 0, FALSE, "*unknown type or rank" },
  { "opaque", { .dtype = QCONV_OPAQUE, .shape = { 1, { 15 } } }, 0, FALSE, "*unknown type or rank" },
  { "unknown rank", { .dtype = QCONV_F32, .shape = { 17, { 1 } } }, 0, FALSE, "*unknown type or rank" },
  { "short data", { .dtype = QCONV_U8, .shape = { 1, { 9 } } }, 8, TRUE, "*do not make its shape" },
  { "packed of no layer",
    { .dtype = QCONV_U8, .shape = { 1, { 4096 } }, .pack = pack },
    9,
    TRUE,
    "*belongs to no layer" },
  { "runs too long", { .dtype = QCONV_U8, .shape = { 1, { 9 } }, .pack = pack, .run = { 1, 5 } }, 0, FALSE, "*runs*" },
  { "empty runs", { .dtype = QCONV_U8, .shape = { 1, { 9 } }, .pack = pack, .run = { 1, 0 } }, 0, FALSE, "*runs*" },
  { "runs beyond 64 bits",
    { .dtype = QCONV_U8, .shape = { 1, { 9 } }, .pack = pack, .run = { 1, G_MAXUINT64 } },
    0,
    FALSE,
    "*runs*" },
  { "padding without end",
    { .dtype = QCONV_U8, .shape = { 1, { 9999 } }, .pack = pack, .run = { 1, 3 } },
    0,
    FALSE,
    "*runs*" },
};

static void
test_case (gconstpointer data)
{
  static const QconvWriter writer = { .id = "mine" };
  const Case *k = data;
  PlannedLayer l
      = { .layer = qconv_layer_new_plain ("l", QCONV_F32, &QCONV_SHAPE2 (3, 5)), .tensors = g_ptr_array_new () };
  QconvOutput o = { .writer = &writer, .directory = qconv_directory_new (NULL, NULL), .current = k->bare ? NULL : &l };
  g_autoptr (GBytes) bytes = k->n_data > 0 ? g_bytes_new_take (g_malloc0 (k->n_data), k->n_data) : NULL;
  g_autoptr (GError) error = NULL;
  QconvPlanned planned = k->planned;

  o.tensors = g_ptr_array_new_with_free_func (g_free);
  planned.data = bytes;
  g_assert_cmpint (qconv_output_add (&o, k->bare ? NULL : &l.layer->pub, ".t", &planned, &error), ==, k->error == NULL);
  g_assert_cmpuint (o.tensors->len, ==, k->error == NULL ? 1 : 0);
  if (k->error != NULL)
    {
      toy_assert_error (error, QCONV_ERROR_BUG,
                        k->bare ? "plugin ?: end() of writer \"mine\" *" : "layer \"l\": plugin ?: keep() *");
      toy_assert_error (error, QCONV_ERROR_BUG, k->error);
    }
  else if (planned.data != NULL)
    g_bytes_unref (planned.data); /* the output took a reference */
  g_ptr_array_unref (o.tensors);
  qconv_directory_free (o.directory);
  g_ptr_array_unref (l.tensors);
  qconv_layer_unref (l.layer);
}

/* Tests that rows of half bytes are compared by their bytes */
static void
test_nibbles (void)
{
  static const QconvWriter writer = { .id = "mine" };
  PlannedLayer l
      = { .layer = qconv_layer_new_plain ("l", QCONV_U4, &QCONV_SHAPE2 (3, 5)), .tensors = g_ptr_array_new () };
  QconvOutput o = { .writer = &writer, .directory = qconv_directory_new (NULL, NULL), .current = &l };
  const QconvPlanned planned = { .dtype = QCONV_U4, .shape = QCONV_SHAPE2 (15, 1), .from = "weight" };
  g_autoptr (GError) error = NULL;

  o.tensors = g_ptr_array_new_with_free_func (g_free);
  g_assert_false (qconv_output_add (&o, &l.layer->pub, ".t", &planned, &error));
  toy_assert_error (error, QCONV_ERROR_BUG, "*number of items*");
  g_ptr_array_unref (o.tensors);
  qconv_directory_free (o.directory);
  g_ptr_array_unref (l.tensors);
  qconv_layer_unref (l.layer);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/output/", cases[i].name, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/output/nibbles", test_nibbles);
  return g_test_run ();
}
