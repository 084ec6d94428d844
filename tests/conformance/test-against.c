/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Damages what each target writes, and leaves out the checksums: verify must see it by the original alone. */
#include <glib/gstdio.h>
#include <string.h>

#include "sample.h"
#include "small.h"

static char *input, *other, *output;

/* ---- Runs ---- */

static QconvModel *
open_model (const char *path, GError **error)
{
  return qconv_model_open (path, &(QconvOpenOptions) { .for_verify = TRUE }, error);
}

static void
convert (const char *target, const char *const *drop)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = open_model (input, &error);
  QconvJob job = { .target = target, .options = sample_quick_options (target), .names.drop = drop };
  g_autoptr (QconvPlan) plan = NULL;

  g_assert_no_error (error);
  g_free (output);
  job.output = output = sample_output (target, "out");
  job.run.force = job.run.no_checksums = TRUE;
  job.run.n_threads = 2;
  plan = qconv_plan_new (model, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

/* Returns: (transfer full): the codes and layers of all problems, "code layer" each; the error if the file cannot be
   opened */
static char *
problems (const char *path, const char *original)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = open_model (path, &error), reference = NULL;
  g_autoptr (QconvReport) report = NULL;
  GString *text = g_string_new (NULL);

  if (model == NULL)
    return g_string_free (g_string_append (text, error->message), FALSE);
  reference = open_model (original, &error);
  g_assert_no_error (error);
  report = qconv_model_verify (
      model, &(QconvVerifyOptions) { .original = reference, .n_threads = 1, .allow_incomplete = TRUE }, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < report->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (report->problems, i);

      g_string_append_printf (text, "%s%s %s", i > 0 ? "\n" : "", p->code, p->layer != NULL ? p->layer : "(file)");
    }
  return g_string_free (text, FALSE);
}

/* ---- Faults ---- */

typedef void (*Damage) (guint8 *bytes, gsize n, gsize width);

static void
zero (guint8 *bytes, gsize n, gsize width)
{
  memset (bytes, 0, n);
}

/* Turns the signs of floats over */
static void
negate (guint8 *bytes, gsize n, gsize width)
{
  for (gsize i = width; i <= n; i += width)
    bytes[i - 1] ^= 0x80;
}

static void
reverse (guint8 *bytes, gsize n, gsize width)
{
  for (gsize i = 0, k = n - width; i < k; i += width, k -= width)
    for (gsize j = 0; j < width; j++)
      {
        guint8 byte = bytes[i + j];

        bytes[i + j] = bytes[k + j];
        bytes[k + j] = byte;
      }
}

/* Turns over one bit of an exponent */
static void
turn_one_bit (guint8 *bytes, gsize n, gsize width)
{
  bytes[n / width / 2 * width + width - 1] ^= 1;
}

static const Damage damages[] = { zero, negate, reverse, turn_one_bit };

static void
write_bytes (guint64 offset, const guint8 *bytes, gsize n)
{
  FILE *file = g_fopen (output, "r+b");

  g_assert_nonnull (file);
  g_assert_cmpint (fseek (file, (long) offset, SEEK_SET), ==, 0);
  g_assert_cmpuint (fwrite (bytes, 1, n, file), ==, n);
  g_assert_cmpint (fclose (file), ==, 0);
}

/* Tests one fault in @t. Returns whether it changed a byte */
static gboolean
is_seen (const char *target, const QconvTensor *t, const guint8 *file, guint damage)
{
  gsize width = MAX (qconv_dtype_bits (t->dtype) / 8, 1);
  g_autofree guint8 *bytes = g_memdup2 (file + t->offset, t->n_bytes);
  g_autofree char *found = NULL;

  damages[damage](bytes, t->n_bytes, width);
  if (memcmp (bytes, file + t->offset, t->n_bytes) == 0)
    return FALSE;
  write_bytes (t->offset, bytes, t->n_bytes);
  found = problems (output, input);
  write_bytes (t->offset, file + t->offset, t->n_bytes);
  if (*found == '\0')
    g_error ("%s: verify sees no difference in \"%s\" after damage %u", target, t->name, damage);
  return TRUE;
}

/* Returns whether loaders of nunchaku want @t, but use no number of it (nunchaku: src/Linear.cpp) */
static gboolean
has_no_effect (const QconvTensor *t)
{
  return g_str_has_suffix (t->name, ".smooth_orig");
}

/* Tests all tensors, each with another fault. Single codes stay within the bound of their scheme, so codes and scales
   become zero */
static void
test_target (gconstpointer data)
{
  const char *target = data;
  g_autofree char *sound = NULL;
  g_autoptr (GBytes) file = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) written = NULL, original = open_model (input, &error);
  const QconvDirectory *d;
  guint n = 0;

  g_assert_no_error (error);
  convert (target, NULL);
  sound = problems (output, input);
  g_assert_cmpstr (sound, ==, "");
  file = sample_read (output);
  written = open_model (output, &error);
  g_assert_no_error (error);
  d = qconv_model_directory (written);
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const QconvTensor *from = qconv_directory_find (qconv_model_directory (original), t->name);
      gboolean plain = from != NULL && qconv_dtype_is_float (t->dtype) && qconv_shape_equal (&from->shape, &t->shape);

      if (t->n_bytes > 0 && !has_no_effect (t) && !test_skips (0, 3, i, 3))
        n += is_seen (target, t, g_bytes_get_data (file, NULL), plain ? i % G_N_ELEMENTS (damages) : 0);
    }
  g_assert_cmpuint (n, >, test_is_small () ? 13 : 40);
}

/* ---- Names, types and shapes ---- */

/* Replaces @from in the header, behind the name of tensor @tensor. Both texts have one length */
static void
patch_header (const char *tensor, const char *from, const char *to)
{
  g_autoptr (GBytes) file = sample_read (output);
  const char *bytes = g_bytes_get_data (file, NULL);
  g_autofree char *quoted = g_strdup_printf ("\"%s\"", tensor);
  const char *at = g_strstr_len (bytes + 8, (gssize) g_bytes_get_size (file) - 8, quoted);

  g_assert_nonnull (at);
  at = strstr (at, from);
  g_assert_nonnull (at);
  g_assert_cmpuint (strlen (from), ==, strlen (to));
  write_bytes ((guint64) (at - bytes), (const guint8 *) to, strlen (to));
}

static void
check_patch (const char *target, const char *tensor, const char *from, const char *to, const char *want)
{
  g_autofree char *found = NULL;

  convert (target, NULL);
  patch_header (tensor, from, to);
  found = problems (output, input);
  g_assert_cmpstr (found, ==, want);
}

#define BLOCK "double_blocks.0.img_attn."

static void
test_headers (void)
{
  const char *bf16 = "bf16-safetensors", *fp8 = "fp8-comfy";

  check_patch (bf16, BLOCK "proj.weight", "\"BF16\"", "\"I16\" ", "type " BLOCK "proj");
  check_patch (bf16, BLOCK "proj.bias", "\"BF16\"", "\"F16\" ", "differs " BLOCK "proj.bias");
  check_patch (bf16, BLOCK "qkv.weight", "[384,128]", "[128,384]", "shape " BLOCK "qkv");
  check_patch (bf16, BLOCK "proj.bias", "proj.bias", "proj.bhas",
               "extra " BLOCK "proj.bhas\nmissing " BLOCK "proj.bias");
  if (sample_has_target (fp8))
    check_patch (fp8, BLOCK "proj.weight_scale", "weight_scale", "weight_scald", "missing " BLOCK "proj");
}

/* Tests that a tensor which is not there is a problem, and one that was added */
static void
test_lost (void)
{
  g_autofree char *lost = NULL, *extra = NULL;

  convert ("bf16-safetensors", (const char *const[]) { "img_attn\\.proj\\.bias$", NULL });
  lost = problems (output, input);
  g_assert_cmpstr (lost, ==, "missing " BLOCK "proj.bias");
  extra = problems (input, output);
  g_assert_cmpstr (extra, ==, "extra " BLOCK "proj.bias");
}

/* Tests that bytes count, not only numbers: the sign of a zero differs */
static void
test_sign_of_zero (void)
{
  g_autofree char *copy = g_build_filename (sample_folder (), "copy.safetensors", NULL), *found = NULL;
  g_autofree guint8 *zeros = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) written = NULL;
  g_autoptr (GBytes) file = NULL;
  const QconvTensor *t;

  convert ("bf16-safetensors", NULL);
  written = open_model (output, &error);
  g_assert_no_error (error);
  t = qconv_directory_find (qconv_model_directory (written), BLOCK "proj.bias");
  zeros = g_malloc0 (t->n_bytes);
  write_bytes (t->offset, zeros, t->n_bytes);
  file = sample_read (output);
  g_assert_true (g_file_set_contents (copy, g_bytes_get_data (file, NULL), (gssize) g_bytes_get_size (file), NULL));
  write_bytes (t->offset + 1, (const guint8 *) "\x80", 1);
  found = problems (output, copy);
  g_assert_cmpstr (found, ==, "differs " BLOCK "proj.bias");
}

/* Tests that other weights are one problem, not one for each layer */
static void
test_other (gconstpointer target)
{
  g_autofree char *found = NULL;

  convert (target, NULL);
  found = problems (output, other);
  g_assert_cmpstr (found, ==, "other-model (file)");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  input = sample_generate (SAMPLE_FAMILY_MODEL " --seed 1", "input.safetensors");
  other = sample_generate (SAMPLE_FAMILY_MODEL " --seed 2", "other.safetensors");
  sample_add_targets ("/against/", test_target, NULL);
  sample_add_targets ("/against/other-model/", test_other, NULL);
  g_test_add_func ("/against/headers", test_headers);
  g_test_add_func ("/against/lost", test_lost);
  g_test_add_func ("/against/sign-of-zero", test_sign_of_zero);
  status = g_test_run ();
  g_free (input);
  g_free (other);
  g_free (output);
  sample_finish ();
  return status;
}
