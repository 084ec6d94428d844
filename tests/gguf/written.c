/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs conversions and looks into their files; written.h describes the functions. */
#include "written.h"

#include <glib/gstdio.h>
#include <string.h>

const BlockType block_types[N_BLOCK_TYPES] = {
  { 2, "Q4_0", "q4_0-gguf", 32, 18 },      { 3, "Q4_1", "q4_1-gguf", 32, 20 },
  { 6, "Q5_0", "q5_0-gguf", 32, 22 },      { 7, "Q5_1", "q5_1-gguf", 32, 24 },
  { 8, "Q8_0", "q8_0-gguf", 32, 34 },      { 10, "Q2_K", "q2_k-gguf", 256, 84 },
  { 11, "Q3_K", "q3_k-gguf", 256, 110 },   { 12, "Q4_K", "q4_k-gguf", 256, 144 },
  { 13, "Q5_K", "q5_k_s-gguf", 256, 176 }, { 14, "Q6_K", "q6_k-gguf", 256, 210 },
  { 20, "IQ4_NL", "iq4_nl-gguf", 32, 18 }, { 23, "IQ4_XS", "iq4_xs-gguf", 256, 136 },
  { 34, "TQ1_0", "tq1_0-gguf", 256, 54 },  { 35, "TQ2_0", "tq2_0-gguf", 256, 66 },
  { 39, "MXFP4", "mxfp4-gguf", 32, 17 },   { 40, "NVFP4", "nvfp4-gguf", 64, 36 },
};

guint8 *
random_blocks (const BlockType *type, guint rows, gsize *n)
{
  guint8 *blocks;
  guint64 state = 1;

  *n = (gsize) rows * COLS / type->items * type->bytes;
  blocks = g_malloc (*n);
  for (gsize i = 0; i < *n; i++)
    {
      state = state * 6364136223846793005u + 1442695040888963407u;
      blocks[i] = (guint8) (state >> 33) & (type->id == 39 ? 0x37 : 0x3f);
      if (type->id == 40 && i % type->bytes < 4)
        blocks[i] = (guint8) (0x40 + blocks[i] % 24);
    }
  return blocks;
}

char *
write_build (const Build *b, const char *name)
{
  g_autoptr (GByteArray) file = build_file (b);
  g_autoptr (GError) error = NULL;
  char *path = scratch_path (name);

  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

static void
add_warning (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

void
written_clear (Written *w)
{
  g_clear_pointer (&w->model, qconv_model_free);
  g_string_free (w->how, TRUE);
  g_ptr_array_unref (w->warnings);
}

Written
write_job (const char *input, const char *name, QconvJob job)
{
  Written w = { NULL, g_string_new (NULL), g_ptr_array_new_with_free_func (g_free) };
  g_autofree char *output = scratch_path (name);
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autoptr (GPtrArray) odd = g_ptr_array_new_with_free_func (g_free);
  GStatBuf info;

  job.output = output;
  job.run.force = TRUE;
  job.run.n_threads = 2;
  job.warn = add_warning;
  job.warn_data = w.warnings;
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  for (guint i = 0; i < weights->len; i++)
    g_string_append_printf (w.how, "%s\n", g_array_index (weights, QconvPlannedInfo, i).how);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (output, &info), ==, 0);
  g_assert_cmpuint ((guint64) info.st_size, ==, qconv_plan_output_bytes (plan));
  w.model = open_model (output, odd);
  g_assert_cmpuint (odd->len, ==, 0);
  return w;
}

Written
write_all (const char *input, const char *name, const char *target)
{
  gboolean floats = strstr (target, "16-") != NULL || strstr (target, "32-") != NULL;

  return write_job (input, name, (QconvJob) { .target = target, .rules.only = floats ? NULL : QCONV_LIST (".*") });
}

const QconvTensor *
find (const Written *w, const char *name)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (w->model), name);

  if (t == NULL)
    g_error ("there is no tensor %s", name);
  return t;
}

void
assert_bytes (const Written *w, const char *name, gconstpointer want, gsize n)
{
  g_autoptr (GBytes) bytes = tensor_bytes (w->model, name);

  if (g_bytes_get_size (bytes) != n || memcmp (g_bytes_get_data (bytes, NULL), want, n) != 0)
    g_error ("tensor %s of type %s has other bytes", name, find (w, name)->type);
}

GVariant *
metadata (const Written *w, const char *key)
{
  return qconv_directory_metadata (qconv_model_directory (w->model), key);
}

void
assert_value (const Written *w, const char *key, const char *expected)
{
  g_autofree char *text = metadata (w, key) != NULL ? g_variant_print (metadata (w, key), TRUE) : NULL;

  g_assert_cmpstr (text, ==, expected);
}
