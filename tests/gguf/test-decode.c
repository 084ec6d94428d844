/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests whole files, decoded to F32 through all modules, against ggml's numbers. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "build.h"
#include "golden-file.h"
#include "qconv.h"

#define F32 "f32-safetensors"

/* A converted file */
typedef struct {
  char *path;
  QconvModel *model;
} Result;

static void
result_clear (Result *r)
{
  g_clear_pointer (&r->model, qconv_model_free);
  if (r->path != NULL)
    g_remove (r->path);
  g_clear_pointer (&r->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

/* Converts a file. @option: "key=value", or NULL */
static gboolean
convert (const char *path, const char *target, const char *option, gboolean force, Result *r, GError **error)
{
  g_autofree char *file = g_strdup_printf ("qconv-test-%08x.safetensors", g_random_int ());
  const char *const options[] = { option, NULL };
  QconvOpenOptions open = { .options = options, .allow_nonfinite = force };
  g_autoptr (QconvModel) model = qconv_model_open (path, &open, error);
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (QconvReport) report = NULL;
  QconvJob job = { .target = target, .options = options, .run.allow_nonfinite = force };

  if (model == NULL)
    return FALSE;
  r->path = g_build_filename (g_get_tmp_dir (), file, NULL);
  job.output = r->path;
  plan = qconv_plan_new (model, &job, error);
  if (plan == NULL || !qconv_plan_run (plan, NULL, NULL, NULL, &report, error))
    return FALSE;
  r->model = qconv_model_open (r->path, NULL, error);
  return r->model != NULL;
}

static double
half_at (const guint8 *bytes)
{
  guint half = bytes[0] | (guint) bytes[1] << 8, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
  double size = exponent == 0 ? ldexp (mantissa, -24) : ldexp (mantissa + 1024, (int) exponent - 25);

  if (exponent == 31)
    size = mantissa == 0 ? (double) INFINITY : (double) NAN;
  return (half & 0x8000) != 0 ? -size : size;
}

/* Returns an item of a plain tensor as F32, rounded to nearest even */
static float
number_at (const guint8 *item, QconvDType dtype)
{
  guint width = qconv_dtype_bits (dtype) / 8;
  guint64 bits = 0;
  guint32 narrow;
  double wide;
  float f;

  for (guint k = 0; k < width; k++)
    bits |= (guint64) item[k] << 8 * k;
  narrow = (guint32) (dtype == QCONV_BF16 ? bits << 16 : bits);
  memcpy (&f, &narrow, sizeof f);
  memcpy (&wide, &bits, sizeof wide);
  if (dtype == QCONV_F32 || dtype == QCONV_BF16)
    return f;
  if (dtype == QCONV_F16)
    return (float) half_at (item);
  if (dtype == QCONV_F64)
    return (float) wide;
  return (float) ((gint64) (bits << (64 - 8 * width)) >> (64 - 8 * width));
}

static void
compare_tensor (const QconvDirectory *d, const GoldenTensor *want)
{
  const QconvTensor *t = qconv_directory_find (d, want->name);
  g_autofree guint8 *bytes = NULL;
  g_autofree float *floats = g_new0 (float, want->n_items);

  if (t == NULL)
    g_error ("there is no tensor %s", want->name);
  g_assert_cmpuint (t->shape.rank, ==, want->rank);
  for (guint i = 0; i < want->rank; i++)
    g_assert_cmpuint (t->shape.dim[i], ==, want->shape[i]);
  bytes = g_malloc (t->n_bytes);
  g_assert_true (qconv_tensor_read (t, 0, t->n_bytes, bytes, NULL));
  for (guint64 i = 0; i < want->n_items; i++)
    floats[i] = number_at (bytes + i * (qconv_dtype_bits (t->dtype) / 8), t->dtype);
  golden_assert_same_floats (floats, (const float *) (gconstpointer) want->data, want->n_items);
}

static void
compare_file (const char *relative, const char *expected, const char *target, const char *option, gboolean force)
{
  g_autoptr (GoldenFile) want = golden_file_open (expected);
  g_autofree char *path = golden_path (relative);
  g_auto (Result) r = { 0 };
  g_autoptr (GError) error = NULL;
  guint n = 0;

  convert (path, target, option, force, &r, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < want->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (want->tensors, i);

      if (g_str_has_suffix (t->name, ".source"))
        continue;
      compare_tensor (qconv_model_directory (r.model), t);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (r.model)), ==, n);
}

static void
test_container (gconstpointer data)
{
  const char *const *row = data;
  g_autofree char *file = g_strconcat ("gguf/", row[0], NULL);
  g_autofree char *expected = g_strconcat ("gguf/", row[1], ".expected.safetensors", NULL);

  compare_file (file, expected, row[3] != NULL ? row[3] : F32, row[2], FALSE);
}

static gboolean
all_finite (const float *row, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    if (!isfinite (row[i]))
      return FALSE;
  return TRUE;
}

/* Tests one type. The largest scales of two types decode to infinities, which needs --allow-nonfinite. */
static void
test_type (gconstpointer data)
{
  g_autofree char *file = g_strdup_printf ("gguf/types/%s.gguf", (const char *) data);
  g_autofree char *expected = g_strdup_printf ("gguf/types/%s.expected.safetensors", (const char *) data);
  g_autoptr (GoldenFile) want = golden_file_open (expected);
  gboolean finite = TRUE;

  for (guint i = 0; i < want->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (want->tensors, i);

      finite = finite && all_finite ((const float *) (gconstpointer) t->data, t->n_items);
    }
  g_assert_true (finite == (strcmp (data, "MXFP4") != 0 && strcmp (data, "Q8_K") != 0));
  compare_file (file, expected, F32, NULL, !finite);
}

/* Copies rows of @want without infinities to @floats, and their blocks to a tensor of @b. Returns how many there are.
 */
static guint
add_finite_rows (Build *b, const GoldenTensor *blocks, const GoldenTensor *want, GArray *floats)
{
  guint64 cols = want->shape[1];
  guint row_bytes = (guint) (cols / 32 * 17), n = 0;
  g_autoptr (GByteArray) rows = g_byte_array_new ();

  for (guint64 row = 0; row < want->shape[0]; row++)
    {
      const float *values = (const float *) (gconstpointer) want->data + row * cols;

      if (!all_finite (values, cols))
        continue;
      g_byte_array_append (rows, blocks->data + row * row_bytes, row_bytes);
      g_array_append_vals (floats, values, (guint) cols);
      n++;
    }
  build_tensor (b, want->name, 39, rows->data, rows->len, (int) cols, (int) n, -1);
  return n;
}

/* Tests MXFP4 as codes and scales, which move to other formats. */
static void
test_unpacked_mxfp4 (void)
{
  static const char *const names[] = { "real.ggml", "rand", "edge", "quirk" };
  g_autoptr (GoldenFile) file = golden_file_open ("gguf/types/MXFP4.gguf");
  g_autoptr (GoldenFile) expected = golden_file_open ("gguf/types/MXFP4.expected.safetensors");
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "qconv-test-mxfp4.gguf", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      GoldenTensor want = *golden_file_tensor (expected, names[i]);
      g_autoptr (GArray) floats = g_array_new (FALSE, FALSE, sizeof (float));
      g_autoptr (Build) b = build_new (FALSE);
      g_autoptr (GByteArray) bytes = NULL;
      g_auto (Result) r = { 0 };
      g_autoptr (GError) error = NULL;

      want.shape[0] = add_finite_rows (b, golden_file_tensor (file, names[i]), &want, floats);
      want.n_items = floats->len;
      want.data = (const guint8 *) floats->data;
      bytes = build_file (b);
      g_assert_true (g_file_set_contents (path, (const char *) bytes->data, bytes->len, NULL));
      convert (path, F32, NULL, FALSE, &r, &error);
      g_assert_no_error (error);
      compare_tensor (qconv_model_directory (r.model), &want);
    }
  g_remove (path);
}

/* Tests four rows of NVFP4 as two matrices with a scale each, or with one scale for both */
static void
test_experts (gconstpointer data)
{
  static const float scales[] = { 0.3f, 7.1f };
  guint n_scales = GPOINTER_TO_UINT (data);
  g_autoptr (GoldenFile) file = golden_file_open ("gguf/types/NVFP4.gguf");
  g_autoptr (GoldenFile) expected = golden_file_open ("gguf/types/NVFP4.expected.safetensors");
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "qconv-test-experts.gguf", NULL);
  GoldenTensor want = *golden_file_tensor (expected, "rand");
  g_autofree float *floats = g_memdup2 (want.data, want.n_items * sizeof (float));
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) bytes = NULL;
  g_auto (Result) r = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (want.n_items, ==, 4 * 512);
  build_tensor (b, "e.weight", 40, golden_file_tensor (file, "rand")->data, 4 * 8 * 36, 512, 2, 2, -1);
  build_tensor (b, "e.scale", 0, scales, n_scales * 4, (int) n_scales, -1);
  bytes = build_file (b);
  g_assert_true (g_file_set_contents (path, (const char *) bytes->data, bytes->len, NULL));
  for (guint64 i = 0; i < want.n_items; i++)
    floats[i] *= scales[n_scales == 2 ? i / 1024 : 0];
  want.name = "e.weight";
  want.rank = 3;
  want.shape[0] = want.shape[1] = 2;
  want.shape[2] = 512;
  want.data = (const guint8 *) floats;
  convert (path, F32, NULL, FALSE, &r, &error);
  g_assert_no_error (error);
  compare_tensor (qconv_model_directory (r.model), &want);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (r.model)), ==, 1);
  g_remove (path);
}

static void
test_nonfinite (gconstpointer data)
{
  g_autofree char *file = g_strdup_printf ("gguf/nonfinite/%s.gguf", (const char *) data);
  g_autofree char *expected = g_strdup_printf ("gguf/nonfinite/%s.expected.safetensors", (const char *) data);
  g_autofree char *path = golden_path (file);
  g_auto (Result) r = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (convert (path, F32, NULL, FALSE, &r, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  compare_file (file, expected, F32, NULL, TRUE);
}

int
main (int argc, char **argv)
{
  static const char *const containers[][4] = {
    { "plain.gguf", "plain", NULL, "copy-safetensors" },
    { "container/kv-all.gguf", "container/kv-all" },
    { "container/dims.gguf", "container/dims" },
    { "container/v2.gguf", "container/dims" },
    { "container/v1.gguf", "container/v1" },
    { "container/no-kv.gguf", "container/no-kv" },
    { "container/orig-shape.gguf", "container/orig-shape" },
    { "container/split-00001-of-00003.gguf", "container/split" },
    { "container/splite-00001-of-00003.gguf", "container/splite" },
    { "container/nvfp4-scale.gguf", "container/nvfp4-scale" },
    { "container/big-endian.gguf", "container/big-endian" },
    { "container/big-endian-writer.gguf", "container/big-endian", "byte-order=raw" },
  };
  static const char *const types[]
      = { "IQ1_M", "IQ1_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ3_S", "IQ3_XXS", "IQ4_NL", "IQ4_XS",
          "MXFP4", "NVFP4", "Q1_0",  "Q2_0",   "Q2_K",    "Q3_K",  "Q4_0",    "Q4_1",   "Q4_K",
          "Q5_0",  "Q5_1",  "Q5_K",  "Q6_K",   "Q8_0",    "Q8_K",  "TQ1_0",   "TQ2_0" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (containers); i++)
    {
      g_autofree char *name = g_strconcat ("/gguf/decode/", containers[i][0], NULL);

      g_test_add_data_func (name, containers[i], test_container);
    }
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autofree char *name = g_strconcat ("/gguf/decode/types/", types[i], NULL);
      g_autofree char *broken = g_strconcat ("/gguf/decode/nonfinite/", types[i], NULL);

      g_test_add_data_func (name, types[i], test_type);
      g_test_add_data_func (broken, types[i], test_nonfinite);
    }
  g_test_add_func ("/gguf/decode/unpacked-mxfp4", test_unpacked_mxfp4);
  g_test_add_data_func ("/gguf/decode/experts/scale-each", GUINT_TO_POINTER (2), test_experts);
  g_test_add_data_func ("/gguf/decode/experts/one-scale", GUINT_TO_POINTER (1), test_experts);
  return g_test_run ();
}
