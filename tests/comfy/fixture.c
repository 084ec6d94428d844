/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds safetensors files, converts them, and reads results for the tests of comfy and legacy. */
#include "fixture.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

static char *folder;

void
scratch_begin (void)
{
  g_autoptr (GError) error = NULL;

  folder = g_dir_make_tmp ("qconv-comfy-XXXXXX", &error);
  g_assert_no_error (error);
}

void
scratch_end (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);

  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *path = scratch_path (name);

      g_unlink (path);
    }
  g_rmdir (folder);
  g_clear_pointer (&folder, g_free);
}

char *
scratch_path (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

Builder *
builder_new (void)
{
  Builder *b = g_new0 (Builder, 1);

  b->tensors = g_string_new (NULL);
  b->metadata = g_string_new (NULL);
  b->data = g_byte_array_new ();
  return b;
}

void
builder_free (Builder *b)
{
  g_string_free (b->tensors, TRUE);
  g_string_free (b->metadata, TRUE);
  g_byte_array_unref (b->data);
  g_free (b);
}

/* Returns: (transfer full): @text as a JSON string, in quotes */
static char *
quote (const char *text)
{
  g_autoptr (JsonNode) node = json_node_init_string (json_node_alloc (), text);

  return json_to_string (node, FALSE);
}

void
builder_add (Builder *b, const char *name, const char *dtype, const char *shape, gconstpointer data, gsize n)
{
  guint start = b->data->len;
  g_autofree char *quoted = quote (name);

  g_string_append_printf (b->tensors, ",%s:{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%u,%" G_GSIZE_FORMAT "]}",
                          quoted, dtype, shape, start, start + n);
  if (data != NULL)
    g_byte_array_append (b->data, data, (guint) n);
  else if (n > 0)
    {
      g_byte_array_set_size (b->data, start + (guint) n);
      memset (b->data->data + start, 0, n);
    }
}

void
builder_add_text (Builder *b, const char *name, const char *text)
{
  g_autofree char *shape = g_strdup_printf ("[%zu]", strlen (text));

  builder_add (b, name, "U8", shape, text, strlen (text));
}

void
builder_add_metadata (Builder *b, const char *key, const char *value)
{
  g_autofree char *quoted_key = quote (key), *quoted_value = quote (value);

  g_string_append_printf (b->metadata, "%s%s:%s", b->metadata->len > 0 ? "," : "", quoted_key, quoted_value);
}

GByteArray *
builder_bytes (const Builder *b)
{
  g_autoptr (GString) header = g_string_new (NULL);
  GByteArray *file = g_byte_array_new ();
  guint64 n;

  g_string_append_printf (header, "{\"__metadata__\":{%s}%s}", b->metadata->str, b->tensors->str);
  while (header->len % 8 != 0)
    g_string_append_c (header, ' ');
  n = GUINT64_TO_LE (header->len);
  g_byte_array_append (file, (const guint8 *) &n, sizeof n);
  g_byte_array_append (file, (const guint8 *) header->str, (guint) header->len);
  g_byte_array_append (file, b->data->data, b->data->len);
  return file;
}

char *
builder_write (const Builder *b, const char *name)
{
  g_autoptr (GByteArray) file = builder_bytes (b);
  g_autoptr (GError) error = NULL;
  char *path = scratch_path (name);

  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

static void
collect_warning (const char *message, gpointer data)
{
  if (data != NULL)
    g_ptr_array_add (data, g_strdup (message));
}

QconvModel *
open_model (const char *path, GPtrArray *warnings)
{
  QconvOpenOptions options = { .warn = collect_warning, .warn_data = warnings };
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, &options, &error);

  g_assert_no_error (error);
  return m;
}

void
convert (const char *input, const char *output, const char *target, const char *const *options)
{
  QconvOpenOptions open = { .options = options, .warn = collect_warning };
  QconvJob job = { .target = target,
                   .output = output,
                   .options = options,
                   .run.n_threads = 2,
                   .run.force = TRUE,
                   .rules.only = g_str_has_suffix (target, "-safetensors") ? NULL : QCONV_LIST (".*"),
                   .warn = collect_warning };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (input, &open, &error);
  g_autoptr (QconvPlan) plan = m != NULL ? qconv_plan_new (m, &job, &error) : NULL;
  g_autoptr (QconvReport) report = NULL;
  gboolean done = plan != NULL && qconv_plan_run (plan, NULL, NULL, NULL, &report, &error);

  g_assert_no_error (error);
  g_assert_true (done);
}

char *
job_refusal (const char *input, const QconvJob *job, QconvError code)
{
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, job, &error);

  if (plan != NULL)
    g_assert_false (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
  g_assert_error (error, QCONV_ERROR, (gint) code);
  g_assert_false (g_file_test (job->output, G_FILE_TEST_EXISTS));
  return g_strdup (error->message);
}

void
assert_job_refused (const char *input, const QconvJob *job, QconvError code, const char *text)
{
  g_autofree char *message = job_refusal (input, job, code);

  if (strstr (message, text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", message, text);
}

GBytes *
tensor_bytes (const QconvModel *m, const char *name)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autoptr (GError) error = NULL;
  guint8 *bytes;

  if (t == NULL)
    g_error ("there is no tensor %s", name);
  bytes = g_malloc (t->n_bytes + 1);
  g_assert_true (qconv_tensor_read (t, 0, t->n_bytes, bytes, &error));
  g_assert_no_error (error);
  return g_bytes_new_take (bytes, t->n_bytes);
}

char *
model_problems (QconvModel *m)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report = qconv_model_verify (m, &(QconvVerifyOptions) { .n_threads = 1 }, &error);
  GString *lines = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < report->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (report->problems, i);

      g_string_append_printf (lines, "%s %s\n", p->code, p->layer != NULL ? p->layer : "-");
    }
  return g_string_free (lines, FALSE);
}

char *
problems_of (const char *path)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);

  return model_problems (m);
}

float *
noise (gsize n, guint32 seed)
{
  float *x = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    {
      seed = seed * 1664525u + 1013904223u;
      x[i] = ((float) (seed >> 8) / 8388608.0f - 1.0f) * 0.05f;
    }
  return x;
}
