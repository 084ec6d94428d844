/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the toy world: tests write them, convert them and look into them. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "io/directory.h"
#include "io/source.h"
#include "kernels/stream.h"
#include "toy.h"

/* Numbers between -2 and 2 that follow from @name, none of them zero */
static float *
make_values (const char *name, guint64 n)
{
  float *values = g_new (float, n + 1);
  guint32 state = g_str_hash (name) | 1;

  for (guint64 i = 0; i < n; i++)
    {
      state = state * 1664525 + 1013904223;
      values[i] = ((float) (state >> 20) - 2047.5f) / 1024;
    }
  return values;
}

static void
append_tensor (GByteArray *out, const ToyTensor *t)
{
  guint64 items = 0, n_bytes = 0;
  g_autofree float *made = NULL;
  g_autofree guint8 *bytes = NULL;
  QconvBuffer from, to;
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_shape_items (&t->shape, &items) && qconv_shape_bytes (&t->shape, t->dtype, &n_bytes));
  bytes = g_malloc0 (n_bytes + 1);
  made = make_values (t->name, items);
  from = QCONV_BUFFER (t->values != NULL ? t->values : made, items * sizeof (float), QCONV_F32);
  to = QCONV_BUFFER (bytes, n_bytes, t->dtype);
  if (t->text != NULL)
    strncpy ((char *) bytes, t->text, n_bytes);
  else if (qconv_dtype_is_float (t->dtype) && t->dtype != QCONV_F32)
    qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&from), QCONV_BUF (&to) }, 2,
                      &error);
  else
    memcpy (bytes, from.data, MIN (n_bytes, from.size));
  g_assert_no_error (error);
  g_byte_array_append (out, bytes, (guint) n_bytes);
}

const ToyTensor toy_mixed[] = {
  TOY_FLOATS ("a.weight", QCONV_F32, 301, 24),
  TOY_FLOATS ("long.weight", QCONV_F32, 23, 2048),
  TOY_FLOATS ("b.weight", QCONV_BF16, 64, 40),
  TOY_FLOATS ("c.weight", QCONV_F16, 9, 8),
  { .name = "a.bias", .dtype = QCONV_F32, .shape = { 1, { 301 } } },
  { NULL },
};

void
toy_write (const char *path, const ToyTensor *tensors, const char *const *metadata)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new (NULL, NULL);
  g_autoptr (GByteArray) header = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  g_autofree QconvTensor **planned = NULL;
  const QconvContainer *box = qconv_registry_container ("box");
  guint64 size;
  guint n = 0;

  for (; tensors[n].name != NULL; n++)
    {
      QconvTensor t = { .name = tensors[n].name, .dtype = tensors[n].dtype, .shape = tensors[n].shape };

      g_assert_true (qconv_shape_bytes (&t.shape, t.dtype, &t.n_bytes));
      g_assert_true (qconv_directory_add (d, &t, &error));
    }
  for (guint i = 0; metadata != NULL && metadata[i] != NULL; i++)
    {
      g_auto (GStrv) words = g_strsplit (metadata[i], "=", 2);

      qconv_directory_set_metadata (d, words[0], g_variant_new_string (words[1]), NULL);
    }
  planned = g_new (QconvTensor *, n + 1);
  for (guint i = 0; i < n; i++)
    planned[i] = qconv_directory_planned (d, i);
  g_assert_true (box->lay_out (box, d, planned, n, header, &size, &error));
  for (guint i = 0; i < n; i++)
    append_tensor (header, &tensors[i]);
  g_assert_cmpuint (header->len, ==, size);
  g_assert_true (g_file_set_contents (path, (const char *) header->data, header->len, &error));
}

void
toy_write_text (const char *path, const char *text)
{
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

QconvModel *
toy_open (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, NULL, &error);

  g_assert_no_error (error);
  return m;
}

gboolean
toy_run (QconvModel *m, const QconvJob *job, QconvReport **report, GError **error)
{
  g_autoptr (QconvPlan) p = qconv_plan_new (m, job, error);

  return p != NULL && qconv_plan_run (p, NULL, NULL, NULL, report, error);
}

void
toy_convert (const char *from, const char *to, const QconvJob *job)
{
  g_autoptr (QconvModel) m = toy_open (from);
  g_autoptr (GError) error = NULL;
  QconvJob all = *job;

  all.output = to;
  toy_run (m, &all, NULL, &error);
  g_assert_no_error (error);
}

GBytes *
toy_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *text;
  gsize n;

  g_file_get_contents (path, &text, &n, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (text, n);
}

GBytes *
toy_tensor (const char *path, const char *name)
{
  g_autoptr (QconvModel) m = toy_open (path);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autoptr (GBytes) all = toy_file (path);

  /* A copy, so that the bytes are aligned for the type of the items */
  return t != NULL ? g_bytes_new ((const guint8 *) g_bytes_get_data (all, NULL) + t->offset, (gsize) t->n_bytes) : NULL;
}

/* Turns bits in the file itself: somebody may have opened it */
void
toy_flip (const char *path, const char *name, guint64 offset, guint8 bits)
{
  g_autoptr (QconvModel) m = toy_open (path);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  int fd = g_open (path, O_RDWR, 0);
  guint8 byte;

  g_assert_nonnull (t);
  g_assert_cmpuint (offset, <, t->n_bytes);
  g_assert_cmpint (pread (fd, &byte, 1, (off_t) (t->offset + offset)), ==, 1);
  byte ^= bits;
  g_assert_cmpint (pwrite (fd, &byte, 1, (off_t) (t->offset + offset)), ==, 1);
  close (fd);
}

guint
toy_n_files (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

void
toy_assert_error (const GError *error, gint code, const char *text)
{
  g_assert_error (error, QCONV_ERROR, code);
  if (!g_pattern_match_simple (text, error->message))
    g_error ("\"%s\" is not like \"%s\"", error->message, text);
}

QconvPlannedInfo
toy_planned (const QconvPlan *p, const char *name)
{
  g_autoptr (GArray) weights = qconv_plan_weights (p);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvPlannedInfo, i).name, name) == 0)
      return g_array_index (weights, QconvPlannedInfo, i);
  g_error ("the plan has no weight \"%s\"", name);
}

gboolean
toy_reported (const QconvReport *r, const char *layer, const char *code)
{
  for (guint i = 0; i < r->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (r->problems, i);

      if (strcmp (p->code, code) == 0 && (layer == NULL || g_strcmp0 (p->layer, layer) == 0))
        return TRUE;
    }
  return FALSE;
}
