/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that layouts of containers are checked before anything is written. */
#include "plan/layout.h"

#include "io/directory.h"
#include "toy.h"

/**
 * Case: three tensors of 8 bytes, as a container lays them out.
 *
 * @header: bytes of the header; @offsets: of the tensors; @size: of the file
 * @spoil: (nullable): what the container does besides
 * @error: (nullable): NULL: the layout is fine
 */
typedef struct {
  const char *name;
  guint header;
  guint64 offsets[3], size;
  void (*spoil) (QconvTensor **tensors);
  const char *error;
} Case;

static const Case *current;

static void
swap_tensors (QconvTensor **tensors)
{
  QconvTensor *first = tensors[0];

  tensors[0] = tensors[1];
  tensors[1] = first;
}

static void
repeat_tensor (QconvTensor **tensors)
{
  tensors[1] = tensors[0];
}

static void
copy_tensor (QconvTensor **tensors)
{
  static QconvTensor copy;

  copy = *tensors[2];
  tensors[2] = &copy;
}

static void
lose_tensor (QconvTensor **tensors)
{
  tensors[2] = NULL;
}

static void
shrink_tensor (QconvTensor **tensors)
{
  tensors[1]->n_bytes = 4;
}

static void
reshape_tensor (QconvTensor **tensors)
{
  tensors[1]->shape = QCONV_SHAPE2 (2, 1);
}

static void
retype_tensor (QconvTensor **tensors)
{
  tensors[1]->dtype = QCONV_I32;
}

static const Case cases[] = {
  { "close together", 16, { 16, 24, 32 }, 40, NULL, NULL },
  { "with gaps", 16, { 64, 128, 192 }, 256, NULL, NULL },
  { "without header", 0, { 0, 8, 16 }, 24, NULL, NULL },
  { "another order", 16, { 24, 16, 32 }, 40, swap_tensors, NULL },
  { "order that the list lacks", 16, { 24, 16, 32 }, 40, NULL, "*tensor \"b\" over the header or over another*" },
  { "overlap", 16, { 16, 23, 32 }, 40, NULL, "*tensor \"b\" over*" },
  { "one place for two", 16, { 16, 16, 32 }, 40, NULL, "*tensor \"b\" over*" },
  { "header over the first tensor", 17, { 16, 24, 32 }, 40, NULL, "*tensor \"a\" over the header*" },
  { "end beyond 64 bits", 16, { 16, 24, G_MAXUINT64 - 4 }, 40, NULL, "*tensor \"c\" over*" },
  { "file too short", 16, { 16, 24, 32 }, 39, NULL, "*39 bytes*end at 40" },
  { "file beyond 63 bits", 16, { 16, 24, 32 }, G_MAXUINT64, NULL, "*states a size*" },
  { "tensor twice", 16, { 16, 24, 32 }, 40, repeat_tensor, "*lists one twice" },
  { "tensor of its own", 16, { 16, 24, 32 }, 40, copy_tensor, "*lost a tensor*" },
  { "no tensor", 16, { 16, 24, 32 }, 40, lose_tensor, "*lost a tensor*" },
  { "other length", 16, { 16, 24, 32 }, 40, shrink_tensor, "*may only set offsets" },
  { "other shape", 16, { 16, 24, 32 }, 40, reshape_tensor, "*may only set offsets" },
  { "other type", 16, { 16, 24, 32 }, 40, retype_tensor, "*may only set offsets" },
};

static gboolean
lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n, GByteArray *header,
         guint64 *file_size, GError **error)
{
  g_byte_array_set_size (header, current->header);
  for (guint i = 0; i < n; i++)
    tensors[i]->offset = current->offsets[i];
  *file_size = current->size;
  if (current->spoil != NULL)
    current->spoil (tensors);
  return TRUE;
}

static void
test_case (gconstpointer data)
{
  static const char *const names[] = { "a", "b", "c" };
  static const QconvContainer container = { .id = "spoilt", .lay_out = lay_out };
  g_autoptr (QconvDirectory) planned = qconv_directory_new (NULL, NULL);
  g_autoptr (GError) error = NULL;
  Layout layout;
  gboolean ok;

  current = data;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      QconvTensor t = { .name = names[i], .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (2), .n_bytes = 8 };

      g_assert_true (qconv_directory_add (planned, &t, NULL));
    }
  ok = qconv_layout_make_whole (&layout, &container, planned, &error);
  g_assert_cmpint (ok, ==, current->error == NULL);
  if (ok)
    g_assert_cmpuint (layout.file_size, ==, current->size);
  else
    {
      toy_assert_error (error, QCONV_ERROR_BUG, "plugin ?: lay_out() of container \"spoilt\" *");
      toy_assert_error (error, QCONV_ERROR_BUG, current->error);
    }
  qconv_layout_clear (&layout);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/layout/", cases[i].name, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  return g_test_run ();
}
