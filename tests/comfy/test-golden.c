/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests every format, read and written, against the bytes of the programs that define it. */
#include "fixture.h"
#include "golden-file.h"

#include <math.h>
#include <string.h>

#define LAYER "blocks.0.lin"

/**
 * Kind: golden files whose names begin with @stem and a dot.
 * @mode: the one whose bytes are the reference
 * @rotated: sums in another order are as good: the last bits of scales and few codes may differ
 * @scheme: that must be loaded
 * @relative: slack of decoded numbers, where the peer divides by the inverse scale
 */
typedef struct {
  const char *stem, *mode, *target, *scheme;
  gboolean rotated;
  const char *options[6];
  float relative;
} Kind;

static const Kind kinds[] = {
  { "nvfp4", "A", "nvfp4-comfy", "nvfp4", FALSE, { "nvfp4.effort=rtn" } },
  { "mxfp8", "A", "mxfp8-comfy", "mxfp8", FALSE, { NULL } },
  { "float8_e4m3fn", "Q", "fp8-comfy", "fp8", FALSE, { "fp8.effort=rtn", "full-precision-mm=off" } },
  { "float8_e5m2", "Q", "fp8-comfy", "fp8", FALSE, { "fp8.effort=rtn", "fp8.dtype=e5m2", "full-precision-mm=off" } },
  { "float8_e4m3fn_rowwise",
    "X",
    "fp8-row-comfy",
    "fp8_row",
    FALSE,
    { "fp8_row.effort=rtn", "full-precision-mm=off" },
    0x1p-22f },
  { "float8_e4m3fn_blockwise",
    "X",
    "fp8-block-comfy",
    "fp8_block",
    FALSE,
    { "fp8_block.effort=rtn", "full-precision-mm=off" } },
  { "int8_tensor", "A", "int8-comfy", "int8", FALSE, { "int8.scaling=tensor" } },
  { "int8_row", "A", "int8-comfy", "int8", FALSE, { NULL } },
  { "int8_convrot4", "A", "int8-comfy", "int8", TRUE, { "int8.convrot=4" } },
  { "int8_convrot16", "A", "int8-comfy", "int8", TRUE, { "int8.convrot=16" } },
  { "int8_convrot64", "A", "int8-comfy", "int8", TRUE, { "int8.convrot=64" } },
  { "int8_convrot256", "A", "int8-comfy", "int8", TRUE, { "int8.convrot=256" } },
  { "int8_convrot1024", "A", "int8-comfy", "int8", TRUE, { "int8.convrot=1024" } },
  { "int8_blockwise", "X", "int8-block-comfy", "int8_block", FALSE, { "int8_block.block=32" } },
  { "convrot_w4a4_g16", "A", "convrot-w4a4-comfy", "convrot_w4a4", TRUE, { "convrot_w4a4.convrot=16" } },
  { "convrot_w4a4_g64", "A", "convrot-w4a4-comfy", "convrot_w4a4", TRUE, { "convrot_w4a4.convrot=64" } },
  { "convrot_w4a4_g256", "A", "convrot-w4a4-comfy", "convrot_w4a4", TRUE, { "convrot_w4a4.convrot=256" } },
  { "w4a8_g16_r16", "A", "w4a8-comfy", "w4a8", TRUE, { "w4a8.convrot=16" } },
  { "w4a8_g16_r16_nocb", "A", "w4a8-comfy", "w4a8", TRUE, { "w4a8.convrot=16", "w4a8.codebook=none" } },
  { "w4a8_g16_r256", "A", "w4a8-comfy", "w4a8", TRUE, { "w4a8.convrot=256" } },
  { "w4a8_g32_r64_f32",
    "A",
    "w4a8-comfy",
    "w4a8",
    TRUE,
    { "w4a8.convrot=64", "w4a8.group=32", "w4a8.scale-dtype=f32" } },
  { "w6a8_g16_r256", "A", "w6a8-comfy", "w6a8", TRUE, { "w6a8.convrot=256" } },
  { "w6a8_g16_r64_nosearch", "A", "w6a8-comfy", "w6a8", TRUE, { "w6a8.convrot=64", "w6a8.effort=rtn" } },
  { "awq_w4a16", "Q", "awq-comfy", "awq", FALSE, { NULL } },
  { "nf4", "N", "nf4-comfy", "nf4", FALSE, { "nf4.effort=rtn" } },
};

static const GoldenTensor *
find (const GoldenFile *file, const char *name)
{
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (file->tensors, i);

      if (g_str_equal (t->name, name))
        return t;
    }
  return NULL;
}

/* ---- Decoding ---- */

static float
largest_of (const float *x, guint64 n)
{
  float top = 0.0f;

  for (guint64 i = 0; i < n; i++)
    top = MAX (top, fabsf (x[i]));
  return top;
}

/* Asserts that rows and columns of padding decode to zeros, unless their scale is NaN. */
static void
assert_decoded (const Kind *kind, const QconvModel *m, const char *layer, const GoldenTensor *want)
{
  g_autofree char *name = g_strconcat (layer, ".weight", NULL);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  const float *got = g_bytes_get_data (bytes, NULL), *expected = (const float *) want->data;
  float slack = kind->rotated ? ldexpf (largest_of (expected, want->n_items), -19) : 0.0f;

  g_assert_cmpuint (t->shape.dim[0], >=, want->shape[0]);
  g_assert_cmpuint (t->shape.dim[1], >=, want->shape[1]);
  for (guint64 row = 0; row < t->shape.dim[0]; row++)
    for (guint64 col = 0; col < t->shape.dim[1]; col++)
      {
        gboolean inside = row < want->shape[0] && col < want->shape[1];
        float a = got[row * t->shape.dim[1] + col], b = inside ? expected[row * want->shape[1] + col] : 0.0f;

        if (isnan (a) && (isnan (b) || !inside))
          continue;
        if (!(fabsf (a - b) <= MAX (slack, kind->relative * fabsf (b))))
          g_error ("%s [%u, %u]: %.9g instead of %.9g", name, (guint) row, (guint) col, (double) a, (double) b);
      }
}

/* Checks decoding. ComfyUI loads the file, except for the names of its layers. */
static guint
check_decode (const Kind *kind, const char *path, const GoldenFile *file)
{
  g_autofree char *plain = scratch_path ("decoded.safetensors");
  QconvJob job = { .target = "f32-safetensors", .output = plain, .run.force = TRUE, .run.allow_nonfinite = TRUE };
  QconvOpenOptions options = { .allow_nonfinite = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &options, &error), decoded = NULL;
  g_autoptr (QconvPlan) plan = m != NULL ? qconv_plan_new (m, &job, &error) : NULL;
  guint n = 0;

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  decoded = open_model (plain, NULL);
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (file->tensors, i);
      g_autofree char *layer
          = g_str_has_suffix (t->name, ".decoded") ? g_strndup (t->name, strlen (t->name) - strlen (".decoded")) : NULL;

      if (layer == NULL)
        continue;
      assert_decoded (kind, decoded, layer, t);
      n++;
    }
  return n;
}

/* ---- Encoding ---- */

static gint64
ordered (guint32 bits)
{
  return bits >> 31 != 0 ? -(gint64) (bits & 0x7fffffff) : (gint64) bits;
}

/* Compares bytes as they are, and zeros of either sign as equal; @ulps: of F32 */
static void
assert_same (const char *name, const GoldenTensor *want, const guint8 *got, guint ulps)
{
  gboolean f32 = g_str_equal (want->dtype, "F32"), f16 = g_str_equal (want->dtype, "F16");

  for (gsize i = 0; f32 && i < want->n_items; i++)
    if (ABS (ordered (((const guint32 *) got)[i]) - ordered (((const guint32 *) want->data)[i])) > ulps)
      g_error ("%s: item %zu is %08x instead of %08x", name, i, ((const guint32 *) got)[i],
               ((const guint32 *) want->data)[i]);
  for (gsize i = 0; (f16 || g_str_equal (want->dtype, "BF16")) && i < want->n_items; i++)
    {
      guint a = ((const guint16 *) got)[i], b = ((const guint16 *) want->data)[i];

      g_assert_true (a == b || ((a | b) & 0x7fff) == 0);
    }
  if (qconv_dtype_is_float (f32 ? QCONV_F32 : f16 ? QCONV_F16 : QCONV_U8) || g_str_equal (want->dtype, "BF16"))
    return;
  if (memcmp (got, want->data, want->size) != 0)
    g_error ("%s differs", name);
}

/* Compares codes of rotated weights: @allowed bytes may differ */
static void
assert_codes (const char *name, const GoldenTensor *want, const guint8 *got, guint64 allowed)
{
  guint64 n = 0;

  for (gsize i = 0; i < want->size; i++)
    n += got[i] != want->data[i];
  if (n > allowed)
    g_error ("%s: %u of %zu bytes differ", name, (guint) n, want->size);
}

static void
compare_tensor (const Kind *kind, const QconvModel *m, const char *suffix, const GoldenTensor *want, gboolean outlier)
{
  g_autofree char *name = g_strconcat (LAYER, ".", suffix, NULL);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  const guint8 *got = g_bytes_get_data (bytes, NULL);
  gboolean weight = g_str_equal (suffix, "weight");
  guint64 few = want->size / 250000 + 1;

  g_assert_cmpstr (qconv_dtype_name (t->dtype), ==, want->dtype);
  g_assert_cmpuint (t->shape.rank, ==, want->rank);
  for (guint i = 0; i < want->rank; i++)
    g_assert_cmpuint (t->shape.dim[i], ==, want->shape[i]);
  if (weight && g_str_equal (kind->stem, "nf4"))
    {
      /* if the number of codes is odd, the last nibble holds no code */
      g_assert_cmpmem (got, want->size - 1, want->data, want->size - 1);
      g_assert_cmphex (got[want->size - 1] >> 4, ==, want->data[want->size - 1] >> 4);
    }
  else if (weight && kind->rotated)
    assert_codes (name, want, got, outlier && g_str_equal (kind->stem, "w6a8_g16_r256") ? want->size / 50 : 2 * few);
  else
    assert_same (name, want, got, kind->rotated && !g_str_equal (suffix, "weight_codebook") ? 8 : 0);
}

/* Converts without the check, because the reference formulas turn values below their smallest scales into zeros. */
static void
encode (const Kind *kind, const char *input, const char *output, const char *dtype)
{
  const char *options[8] = { NULL };
  QconvJob job = { .target = kind->target,
                   .output = output,
                   .options = options,
                   .rules.only = QCONV_LIST (".*"),
                   .run.force = TRUE,
                   .run.no_verify = TRUE };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  guint n = 0;

  for (; kind->options[n] != NULL; n++)
    options[n] = kind->options[n];
  if (g_str_equal (kind->scheme, "awq") && g_str_equal (dtype, "f32"))
    options[n] = "awq.scale-dtype=f32";
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

/* Returns FALSE if the file has no such layer, or if the layer is no reference. */
static gboolean
check_encode (const Kind *kind, const char *path, GoldenFile *file, const char *dtype)
{
  g_autofree char *source_name = g_strconcat ("src.", dtype, NULL), *layer = g_strjoin (".", dtype, kind->mode, NULL);
  g_autofree char *prefix = g_strconcat (layer, ".", NULL), *output = scratch_path ("out.safetensors"), *input = NULL;
  g_autofree char *shape = NULL, *problems = NULL;
  const GoldenTensor *source = find (file, source_name);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  guint n = 0;

  if (source == NULL || golden_file_informative (file, layer))
    return FALSE;
  shape = g_strdup_printf ("[%u,%u]", (guint) source->shape[0], (guint) source->shape[1]);
  builder_add (b, LAYER ".weight", source->dtype, shape, source->data, source->size);
  input = builder_write (b, "in.safetensors");
  encode (kind, input, output, dtype);
  m = open_model (output, NULL);
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (file->tensors, i);

      if (!g_str_has_prefix (t->name, prefix) || g_str_has_suffix (t->name, ".decoded"))
        continue;
      compare_tensor (kind, m, t->name + strlen (prefix), t, strstr (path, "outlier") != NULL);
      n++;
    }
  problems = model_problems (m);
  g_assert_cmpstr (problems, ==, "");
  return n > 0;
}

static void
test_kind (gconstpointer data)
{
  static const char *const dtypes[] = { "bf16", "f16", "f32" };
  const Kind *kind = data;
  g_autofree char *folder = golden_path ("comfy"), *prefix = g_strconcat (kind->stem, ".", NULL);
  g_autoptr (GDir) dir = NULL;
  guint decoded = 0, encoded = 0;

  if (qconv_registry_quantizer (kind->scheme) == NULL)
    {
      g_autofree char *reason = g_strdup_printf ("no plugin has the scheme %s", kind->scheme);

      g_test_skip (reason);
      return;
    }
  dir = g_dir_open (folder, 0, NULL);
  g_assert_nonnull (dir);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *relative = g_build_filename ("comfy", name, NULL), *path = golden_path (relative);
      g_autoptr (GoldenFile) file = NULL;

      if (!g_str_has_prefix (name, prefix))
        continue;
      g_test_message ("%s", name);
      file = golden_file_open (relative);
      decoded += check_decode (kind, path, file);
      for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
        encoded += check_encode (kind, path, file, dtypes[i]);
    }
  if (decoded == 0 && encoded == 0)
    g_test_skip ("the repository carries no golden file of it");
  g_test_message ("%u decoded, %u encoded", decoded, encoded);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *name = g_strconcat ("/comfy/golden/", kinds[i].stem, NULL);

      g_test_add_data_func (name, &kinds[i], test_kind);
    }
  status = g_test_run ();
  scratch_end ();
  return status;
}
