/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns single bits anywhere in what each target writes: opening the file or verify, which has no original, must notice
   each of them. */
#include <glib/gstdio.h>

#include "sample.h"
#include "small.h"

/* Flips of one file, by where they are and who noticed them */
typedef struct {
  guint n, in_header, refused, reported, unnoticed;
} Flips;

static char *input, *family_input, *output;

static void
flip (guint64 offset, guint8 bit)
{
  FILE *file = g_fopen (output, "r+b");
  int byte;

  g_assert_nonnull (file);
  g_assert_cmpint (fseek (file, (long) offset, SEEK_SET), ==, 0);
  byte = fgetc (file);
  g_assert_cmpint (byte, !=, EOF);
  g_assert_cmpint (fseek (file, (long) offset, SEEK_SET), ==, 0);
  g_assert_cmpint (fputc (byte ^ bit, file), ==, byte ^ bit);
  g_assert_cmpint (fclose (file), ==, 0);
}

/* Verifies the output. Sets one of the counters, all of which may be of one struct */
static void
count_noticed (Flips *f)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (output, &(QconvOpenOptions) { .for_verify = TRUE }, &error);
  g_autoptr (QconvReport) report = model != NULL ? qconv_model_verify (model, NULL, &error) : NULL;

  f->n++;
  if (report == NULL)
    {
      g_assert_cmpuint (error->domain, ==, QCONV_ERROR);
      f->refused++;
    }
  else if (!report->ok)
    f->reported++;
  else
    f->unnoticed++;
}

static void
convert (const char *from, const char *to, const QconvJob *job)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (from, NULL, &error);
  g_autoptr (QconvPlan) plan = model != NULL ? qconv_plan_new (model, job, &error) : NULL;
  gboolean done = plan != NULL && qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (done);
}

/* Returns the number of bytes before the first tensor */
static guint64
header_size (void)
{
  g_autoptr (QconvModel) model = qconv_model_open (output, NULL, NULL);
  const QconvDirectory *d = qconv_model_directory (model);
  guint64 size = G_MAXUINT64;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    size = MIN (size, qconv_directory_tensor (d, i)->offset);
  return size;
}

/* Turns a bit in the whole file and a bit in the header, by turns: most of the file is data */
static void
test_target (gconstpointer data)
{
  const char *target = data;
  guint n_flips = test_is_small () ? 4 : 76;
  Flips f = { 0 };
  guint64 header;
  g_autoptr (GBytes) whole = NULL;

  convert (sample_needs_family (target) ? family_input : input, output,
           &(QconvJob) { .target = target,
                         .output = output,
                         .run.force = TRUE,
                         .run.n_threads = 2,
                         .rules.only = sample_only (target) });
  header = header_size ();
  count_noticed (&f);
  g_assert_cmpuint (f.unnoticed, ==, 1); /* there is nothing to notice yet */
  f = (Flips) { 0 };
  whole = sample_read (output);
  for (guint i = 0; i < n_flips; i++)
    {
      guint64 size = i % 2 == 0 ? g_bytes_get_size (whole) : header;
      guint64 offset = (guint64) g_test_rand_int_range (0, (gint32) size);
      guint8 bit = (guint8) (1 << g_test_rand_int_range (0, 8));
      guint before = f.unnoticed;

      f.in_header += offset < header;
      flip (offset, bit);
      count_noticed (&f);
      flip (offset, bit); /* turns it back */
      if (f.unnoticed > before)
        g_test_message ("nobody noticed bit %02x of byte %" G_GUINT64_FORMAT ", behind \"%.*s\"", bit, offset,
                        (int) MIN (offset, 60),
                        (const char *) g_bytes_get_data (whole, NULL) + offset - MIN (offset, 60));
    }
  g_test_message ("%s: %u flips, %u in the header, %u in data: opening noticed %u, verify %u, nobody %u", target, f.n,
                  f.in_header, f.n - f.in_header, f.refused, f.reported, f.unnoticed);
  if (f.unnoticed > 0)
    g_test_fail ();
}

int
main (int argc, char **argv)
{
  static const char *const metadata[]
      = { "config={\"model_type\": \"none\", \"n\": [1, 22, 333]}", "modelspec.title=Größe \"A\"", NULL };
  g_autofree char *plain = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  plain = sample_generate ("--layers 1 --rows 128 --cols 256", "plain.safetensors");
  input = g_build_filename (sample_folder (), "input.safetensors", NULL);
  output = g_build_filename (sample_folder (), "out.safetensors", NULL);
  family_input = sample_generate (SAMPLE_FAMILY_MODEL, "family.safetensors");
  convert (plain, input, &(QconvJob) { .output = input, .edit.metadata = metadata });
  sample_add_targets ("/flips/", test_target, "safetensors"); /* others keep no checksums */
  status = g_test_run ();
  g_free (input);
  g_free (family_input);
  g_free (output);
  sample_finish ();
  return status;
}
