/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens and claims models with the plugin that is linked in. */
#include "fixture.h"

#include <string.h>

#include "registry/values.h"

void
fixture_init (int *argc, char ***argv)
{
  g_unsetenv ("QCONV_PLUGIN_PATH");
  g_test_init (argc, argv, NULL);
}

static Model *
open_source (QconvSource *source, const char *options)
{
  const QconvContainer *c = qconv_plugin_gguf ()->containers[0];
  g_autoptr (QconvValues) values = qconv_values_new (c->options);
  Model *m = g_new0 (Model, 1);
  gboolean ok;

  g_assert_true (qconv_values_parse (values, options, NULL));
  m->source = source;
  m->directory = qconv_directory_new (c->id, source);
  ok = c->open (c, source, values, m->directory, &m->error);
  g_assert_true (ok == (m->error == NULL));
  return m;
}

Model *
model_open (const char *path, const char *options)
{
  g_autoptr (GError) error = NULL;
  QconvSource *source = qconv_source_open (path, &error);

  g_assert_no_error (error);
  return open_source (source, options);
}

Model *
model_open_bytes (gconstpointer bytes, gsize n, const char *options)
{
  g_autoptr (GBytes) copy = g_bytes_new (bytes, n);

  return open_source (qconv_source_new_for_bytes (copy, "test.gguf"), options);
}

Model *
model_open_build (const Build *b, const char *options)
{
  g_autoptr (GByteArray) file = build_file (b);

  return model_open_bytes (file->data, file->len, options);
}

void
model_free (Model *m)
{
  g_clear_pointer (&m->layers, g_ptr_array_unref);
  g_clear_pointer (&m->claims, qconv_claims_free);
  qconv_directory_free (m->directory);
  qconv_source_free (m->source);
  g_clear_error (&m->error);
  g_free (m);
}

void
model_claim (Model *m, const char *options, gboolean allow_nonfinite)
{
  const QconvReader *r = qconv_plugin_gguf ()->readers[0];
  g_autoptr (QconvValues) values = qconv_values_new (r->options);
  gboolean ok;

  if (m->error != NULL)
    return;
  g_assert_true (qconv_values_parse (values, options, NULL));
  g_assert_cmpuint (r->score (r, m->directory), ==, 100);
  m->claims = qconv_claims_new (m->directory, allow_nonfinite);
  qconv_claims_set_reader (m->claims, r);
  ok = r->claim (r, m->directory, values, m->claims, &m->error);
  g_assert_true (ok == (m->error == NULL));
  if (!ok)
    return;
  m->layers = qconv_claims_finish (m->claims, &m->error);
  g_assert_no_error (m->error);
}

const SourceLayer *
model_layer (const Model *m, const char *name)
{
  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i);

      if (strcmp (s->name, name) == 0)
        return s;
    }
  g_error ("there is no layer %s", name);
}

static void
append_lines (GString *text, const GPtrArray *lines)
{
  for (guint i = 0; i < lines->len; i++)
    g_string_append_printf (text, "%s\n", (const char *) g_ptr_array_index (lines, i));
}

char *
model_warnings (const Model *m)
{
  GString *text = g_string_new (NULL);

  append_lines (text, qconv_directory_warnings (m->directory));
  if (m->claims != NULL)
    append_lines (text, qconv_claims_warnings (m->claims));
  return g_string_free (text, FALSE);
}

void
assert_opened (const Model *m)
{
  g_autofree char *warnings = model_warnings (m);

  g_assert_no_error (m->error);
  g_assert_cmpstr (warnings, ==, "");
}

void
assert_refused (const Model *m, const char *word)
{
  g_assert_nonnull (m->error);
  if (!g_error_matches (m->error, QCONV_ERROR, QCONV_ERROR_INPUT))
    g_assert_error (m->error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  if (strstr (m->error->message, word) == NULL)
    g_error ("\"%s\" says nothing of \"%s\"", m->error->message, word);
}

void
assert_warned (const Model *m, const char *word)
{
  g_autofree char *warnings = model_warnings (m);

  g_assert_no_error (m->error);
  if (strstr (warnings, word) == NULL)
    g_error ("\"%s\" says nothing of \"%s\"", warnings, word);
}
