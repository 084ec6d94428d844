/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads models and lays out files with the container that is linked in. */
#include "fixture.h"

#include <string.h>

#include "qconv-plugin.h"

const QconvPlugin *qconv_plugin_safetensors (void);

const QconvContainer *
fixture_container (void)
{
  return qconv_plugin_safetensors ()->containers[0];
}

static Model *
open_source (QconvSource *source)
{
  const QconvContainer *container = fixture_container ();
  Model *m = g_new0 (Model, 1);
  gboolean ok;

  m->source = source;
  m->directory = qconv_directory_new (container->id, source);
  ok = container->open (container, source, NULL, m->directory, &m->error);
  g_assert_true (ok == (m->error == NULL));
  return m;
}

Model *
model_open_bytes (gconstpointer bytes, gsize n)
{
  g_autoptr (GBytes) owned = g_bytes_new (bytes, n);

  return open_source (qconv_source_new_for_bytes (owned, "test.safetensors"));
}

Model *
model_open_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvSource *source = qconv_source_open (path, &error);

  g_assert_no_error (error);
  return open_source (source);
}

Model *
model_open_header (const char *header, gsize n_data)
{
  g_autoptr (GByteArray) bytes = file_bytes (header, n_data);

  return model_open_bytes (bytes->data, bytes->len);
}

void
model_free (Model *m)
{
  qconv_directory_free (m->directory);
  qconv_source_free (m->source);
  g_clear_error (&m->error);
  g_free (m);
}

void
assert_opened (const Model *m)
{
  g_assert_no_error (m->error);
  g_assert_cmpuint (qconv_directory_warnings (m->directory)->len, ==, 0);
}

void
assert_refused (const Model *m, const char *word)
{
  g_assert_nonnull (m->error);
  g_test_message ("%s", m->error->message);
  if (strstr (m->error->message, word) == NULL)
    g_error ("\"%s\" does not say \"%s\"", m->error->message, word);
}

const char *
only_warning (const Model *m)
{
  GPtrArray *warnings = qconv_directory_warnings (m->directory);

  g_assert_no_error (m->error);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_test_message ("%s", (char *) g_ptr_array_index (warnings, 0));
  return g_ptr_array_index (warnings, 0);
}

GByteArray *
file_bytes (const char *header, gsize n_data)
{
  GByteArray *bytes = g_byte_array_new ();
  guint64 length = GUINT64_TO_LE ((guint64) strlen (header));

  g_byte_array_append (bytes, (const guint8 *) &length, 8);
  g_byte_array_append (bytes, (const guint8 *) header, (guint) strlen (header));
  for (gsize i = 0; i < n_data; i++)
    g_byte_array_append (bytes, (const guint8[]) { (guint8) i }, 1);
  return bytes;
}

void
plan_tensor (QconvDirectory *d, const char *name, QconvDType dtype, const QconvShape *shape)
{
  QconvTensor t = { .name = name, .dtype = dtype, .shape = *shape };
  g_autoptr (GError) error = NULL;

  if (!qconv_shape_bytes (shape, dtype, &t.n_bytes))
    t.n_bytes = 0;
  qconv_directory_add (d, &t, &error);
  g_assert_no_error (error);
}

GByteArray *
lay_out (QconvDirectory *d, const char *const *data, GError **error)
{
  const QconvContainer *container = fixture_container ();
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree QconvTensor **tensors = NULL;
  guint n = qconv_directory_n_tensors (d);
  guint64 size = 0;

  tensors = g_new0 (QconvTensor *, n + 1);
  for (guint i = 0; i < n; i++)
    tensors[i] = qconv_directory_planned (d, i);
  if (!container->lay_out (container, d, tensors, n, bytes, &size, error))
    return NULL;
  for (guint i = 1; i < n; i++)
    g_assert_cmpuint (tensors[i]->offset, ==, tensors[i - 1]->offset + tensors[i - 1]->n_bytes);
  if (n > 0)
    g_assert_cmpuint (tensors[0]->offset, ==, bytes->len);
  for (guint i = bytes->len; i < size; i++)
    g_byte_array_append (bytes, (const guint8 *) "", 1);
  g_assert_cmpuint (bytes->len, ==, size);
  for (guint i = 0; i < n; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (data != NULL && data[i] != NULL)
        memcpy (bytes->data + t->offset, data[i], t->n_bytes);
    }
  return g_steal_pointer (&bytes);
}
