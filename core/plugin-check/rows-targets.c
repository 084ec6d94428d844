/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows about conversions: of every target of a writer, and of every quantizer through the carrier's target. */
#include <math.h>
#include <string.h>

#include "plugin-check/carrier.h"
#include "plugin-check/option-values.h"

static gboolean
test_same_bytes (Check *c, const CheckRow *row, GError **error)
{
  g_autofree char *input = check_usual_model (c, error);

  return input != NULL && check_same_bytes (c, input, row->id, error);
}

/* Tests that decoding depends on nothing but the file */
static gboolean
test_decoding (Check *c, const CheckRow *row, GError **error)
{
  g_autofree char *input = check_usual_model (c, error), *coded = check_path (c, "coded.out");
  g_autoptr (GBytes) bytes = NULL;

  if (input != NULL)
    bytes = check_convert (c, input, &(CheckWay) { .target = row->id }, "coded.out", error);
  return bytes != NULL && check_same_bytes (c, coded, CHECK_DECODED, error);
}

/* Tests that converting an output to its own target, and an edit that changes nothing, write the same file */
static gboolean
test_again (Check *c, const CheckRow *row, GError **error)
{
  g_autofree char *input = check_usual_model (c, error), *once = check_path (c, "once.out");
  const CheckWay way = { .target = row->id }, edit = { 0 };
  g_autoptr (GBytes) want = NULL, got = NULL, edited = NULL;

  if (input != NULL)
    want = check_convert (c, input, &way, "once.out", error);
  if (want != NULL)
    got = check_convert (c, once, &way, "twice.out", error);
  if (got != NULL)
    edited = check_convert (c, once, &edit, "edited.out", error);
  if (edited == NULL)
    return FALSE;
  if (!g_bytes_equal (got, want))
    return check_fail (error, "converting an output to its own target changes its bytes");
  return g_bytes_equal (edited, want) || check_fail (error, "an edit that changes nothing changes the bytes");
}

/* Tests that hooks take no memory but the scratch memory that they state */
static gboolean
test_memory (Check *c, const CheckRow *row, GError **error)
{
  return check_memory (c, row->id, error);
}

/* ---- Shapes ---- */

/* Converts a model of every number of @rows and @cols, with all kinds of weights */
static gboolean
convert_shapes (Check *c, const char *target, const char *name, const guint64 *rows, guint n_rows, const guint64 *cols,
                guint n_cols, QconvDType dtype, GError **error)
{
  g_autofree CheckLayer *layers = g_new0 (CheckLayer, n_rows * n_cols + 1);
  g_autofree char *input = NULL, *file = g_strdup_printf ("%s-%s.model", name, qconv_dtype_name (dtype));
  g_autoptr (GBytes) bytes = NULL;

  for (guint i = 0; i < n_rows * n_cols; i++)
    layers[i] = (CheckLayer) { rows[i / n_cols], cols[i % n_cols], (CheckFill) (i % CHECK_N_FILLS) };
  input = check_model (c, file, layers, dtype, error);
  if (input != NULL)
    bytes = check_convert (c, input, &(CheckWay) { .target = target }, "shapes.out", error);
  return bytes != NULL;
}

static gboolean
test_shapes (Check *c, const CheckRow *row, GError **error)
{
  static const guint64 rows[] = { 1, 3, 16, 128, 257 }, cols[] = { 256, 512, 768 };
  static const QconvDType dtypes[] = { QCONV_F32, QCONV_F16, QCONV_BF16 };

  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
    if (!convert_shapes (c, row->id, "shapes", rows, G_N_ELEMENTS (rows), cols, G_N_ELEMENTS (cols), dtypes[i], error))
      return FALSE;
  return TRUE;
}

/* Returns whether @error refuses a shape, as components() may */
static gboolean
refuses_shape (const GError *error)
{
  return g_error_matches (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED)
         || g_error_matches (error, QCONV_ERROR, QCONV_ERROR_OPTION);
}

static gboolean
test_odd_shapes (Check *c, const CheckRow *row, GError **error)
{
  static const guint64 rows[] = { 1, 3, 17 }, cols[] = { 1, 5, 33, 255, 257, 384 };
  g_autoptr (GError) failed = NULL;

  if (convert_shapes (c, row->id, "odd", rows, G_N_ELEMENTS (rows), cols, G_N_ELEMENTS (cols), QCONV_F32, &failed)
      || refuses_shape (failed))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

/* ---- Numbers ---- */

/* Tests that one weight that is NaN or infinite fails the run and leaves no file */
static gboolean
test_not_finite (Check *c, const CheckRow *row, GError **error)
{
  static const guint32 wrong[] = { 0x7fc00000, 0x7f800000, 0xff800000 };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autofree char *input = check_model_of_bits (c, wrong[i], TRUE, error), *path = check_path (c, "wrong.out");
      g_autoptr (GError) failed = NULL;
      g_autoptr (GBytes) bytes = NULL;

      if (input == NULL)
        return FALSE;
      bytes = check_convert (c, input, &(CheckWay) { .target = row->id }, "wrong.out", &failed);
      if (bytes != NULL || g_file_test (path, G_FILE_TEST_EXISTS))
        return check_fail (error, "a weight that is not finite gives a file");
      if (!g_error_matches (failed, QCONV_ERROR, QCONV_ERROR_NON_FINITE))
        {
          g_propagate_error (error, g_steal_pointer (&failed));
          return FALSE;
        }
    }
  return TRUE;
}

/* Checks that all weights of the decoded file @path are finite numbers of @most at most */
static gboolean
check_vanished (const char *path, double most, GError **error)
{
  g_autoptr (QconvModel) model = check_open (path, NULL, error);
  const QconvDirectory *d = model != NULL ? qconv_model_directory (model) : NULL;

  for (guint i = 0; d != NULL && i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree float *x = g_malloc (t->n_bytes);

      if (!qconv_tensor_read (t, 0, t->n_bytes, x, error))
        return FALSE;
      for (guint64 k = 0; k < t->n_bytes / sizeof *x; k++)
        if (!(fabs ((double) x[k]) <= most))
          return check_fail (error, "a weight of layer \"%s\" comes back as %g", t->name, (double) x[k]);
    }
  return d != NULL;
}

/* Tests that zeros of both signs come back as zeros, and tiny numbers as tiny numbers */
static gboolean
test_vanishing (Check *c, const CheckRow *row, GError **error)
{
  static const guint32 numbers[] = { 0, 0x80000000, 1, 0x00400000, 0x03800000 };
  g_autofree char *coded = check_path (c, "vanishing.out"), *decoded = check_path (c, "vanished.out");

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autofree char *input = check_model_of_bits (c, numbers[i], FALSE, error);
      g_autoptr (GBytes) bytes = NULL, back = NULL;

      if (input != NULL)
        bytes = check_convert (c, input, &(CheckWay) { .target = row->id }, "vanishing.out", error);
      if (bytes != NULL)
        back = check_convert (c, coded, &(CheckWay) { .target = CHECK_DECODED }, "vanished.out", error);
      if (back == NULL || !check_vanished (decoded, i < 2 ? 0 : 1e-30, error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Rows in another order ---- */

/* A family whose second naming exchanges the halves of the rows of layer 0. Layer 1 is empty, so it stays plain, and
   the family is recognised by it */
static const char turned_family[]
    = "{\"schema\": \"qconv-model-family\", \"schema_version\": 1, \"family\": \"plugincheck\","
      " \"title\": \"rows in another order\", \"kind\": \"diffusion\", \"prefixes\": [], \"presets\": {},"
      " \"detect\": {\"priority\": 1, \"namings\": ["
      "{\"naming\": \"original\", \"all_of\": [\"layers.1.weight\"], \"counts\": [{\"stem\": \"layers.\", \"ge\": 1}]},"
      " {\"naming\": \"turned\", \"all_of\": [\"layers.1.weight\"], \"counts\": [{\"stem\": \"turned.\", \"ge\": 1}]}],"
      " \"variants\": [{\"variant\": \"only\"}]},"
      " \"dims\": {}, \"variants\": {\"only\": {\"dims\": {}}},"
      " \"layers\": [{\"name\": \"layers.0.weight\", \"shape\": [96, 256], \"op\": \"linear\"}],"
      " \"keymaps\": [{\"a\": \"original\", \"b\": \"turned\", \"unmapped\": [\"layers.1.weight\"], \"rules\": ["
      "{\"a\": \"layers.0.weight\", \"b\": \"turned.0.weight\", \"swap_halves\": true}]}]}";
enum { TURNED_ROWS = 96, TURNED_COLS = 256 };
/* Relative squared error that one more rounding of scales may have. Codes under scales in their old order have more */
#define TURNED_ERROR 1e-2

/* Returns: (transfer full): the weights of tensor @name of the decoded file @path */
static float *
read_decoded (const char *path, const char *name, GError **error)
{
  g_autoptr (QconvModel) model = check_open (path, NULL, error);
  const QconvTensor *t = model != NULL ? qconv_directory_find (qconv_model_directory (model), name) : NULL;
  g_autofree float *x = NULL;

  if (model == NULL)
    return NULL;
  if (t == NULL || t->n_bytes != TURNED_ROWS * TURNED_COLS * sizeof *x)
    return check_fail (error, "the decoded file has no tensor \"%s\" of the layer's size", name), NULL;
  x = g_malloc (t->n_bytes);
  return qconv_tensor_read (t, 0, t->n_bytes, x, error) ? g_steal_pointer (&x) : NULL;
}

/* Returns the relative squared error of @b against @a with its halves exchanged */
static double
turned_error (const float *a, const float *b)
{
  const guint n = TURNED_ROWS * TURNED_COLS;
  double sum = 0, all = 0;

  for (guint i = 0; i < n; i++)
    {
      double want = (double) a[(i + n / 2) % n], d = (double) b[i] - want;

      sum += d * d;
      all += want * want;
    }
  return sum / all;
}

/* Compares the weights of both files, of which @turned has its halves exchanged */
static gboolean
compare_turned (Check *c, const char *straight, const char *turned, GError **error)
{
  g_autofree char *straight_back = check_path (c, "straight.f32"), *turned_back = check_path (c, "turned.f32");
  const CheckWay back = { CHECK_DECODED, .naming = "keep" };
  g_autoptr (GBytes) a = check_convert (c, straight, &back, "straight.f32", error), b = NULL;
  g_autofree float *want = NULL, *got = NULL;
  double e;

  if (a != NULL)
    b = check_convert (c, turned, &back, "turned.f32", error);
  if (b != NULL)
    want = read_decoded (straight_back, "layers.0.weight", error);
  if (want != NULL)
    got = read_decoded (turned_back, "turned.0.weight", error);
  if (got == NULL)
    return FALSE;
  e = turned_error (want, got);
  return e <= TURNED_ERROR || check_fail (error, "with its halves exchanged, the layer has an error of %g", e);
}

/* Converts a model, then the result to the same target with its halves exchanged. The check of core compares both; the
   row looks at the default options by itself, too */
static gboolean
test_turned_option (Check *c, const CheckRow *row, const char *option, gboolean good, GError **error)
{
  static const CheckLayer layers[] = { { TURNED_ROWS, TURNED_COLS, CHECK_OUTLIERS }, { 1, 0 }, { 0 } };
  g_autofree char *input = good ? check_model (c, "turned.model", layers, QCONV_F32, error) : NULL;
  g_autofree char *coded = check_path (c, "coded.out"), *family = check_path (c, "family.json");
  g_autofree char *turned = check_path (c, "turned.out");
  const CheckWay way = { row->id, option }, turn = { row->id, option, .family_file = family, .naming = "turned" };
  g_autoptr (GError) failed = NULL;
  g_autoptr (GBytes) bytes = NULL, again = NULL;

  if (input == NULL)
    return !good;
  bytes = check_convert (c, input, &way, "coded.out", &failed);
  if (bytes == NULL && refuses_shape (failed))
    return TRUE;
  if (bytes == NULL)
    g_propagate_error (error, g_steal_pointer (&failed));
  else if (check_write (family, (const guint8 *) turned_family, sizeof turned_family - 1, error))
    again = check_convert (c, coded, &turn, "turned.out", error);
  return again != NULL && (option != NULL || compare_turned (c, coded, turned, error));
}

/* Tests with every option that a layer whose rows the names exchange keeps its weights */
static gboolean
test_turned (Check *c, const CheckRow *row, GError **error)
{
  const QconvTargetInfo *t = check_target (row->id);

  return test_turned_option (c, row, NULL, TRUE, error)
         && check_each_option (c, row, t->quantizer->id, t->quantizer->options, test_turned_option, error);
}

/* ---- Options ---- */

static gboolean
test_option (Check *c, const CheckRow *row, const char *option, gboolean good, GError **error)
{
  const CheckWay way = { .target = row->id, .option = option };
  g_autofree char *input = check_small_model (c, error);
  g_autoptr (GError) failed = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (input == NULL)
    return FALSE;
  bytes = check_convert (c, input, &way, "option.out", &failed);
  if (!good)
    return (failed != NULL && qconv_error_exit_status (failed) == 2)
           || check_fail (error, "a value that the table does not allow is not refused");
  if (bytes != NULL || refuses_shape (failed))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

static gboolean
test_options (Check *c, const CheckRow *row, GError **error)
{
  const QconvTargetInfo *t = check_target (row->id);

  return check_each_option (c, row, t->writer->id, t->writer->options, test_option, error)
         && (t->quantizer == NULL
             || check_each_option (c, row, t->quantizer->id, t->quantizer->options, test_option, error))
         && test_option (c, row, "no-such-option=1", FALSE, error);
}

/* ---- Hooks without a place for an error ---- */

static gboolean
test_no_error (Check *c, const CheckRow *row, GError **error)
{
  static const CheckLayer layers[] = { { 1, 1 }, { 1, 3 }, { 3, 5 }, { 7, 33 }, { 16, 1 }, { 257, 255 }, { 0 } };
  const QconvQuantizer *q = row->feature;
  g_autofree char *target = g_strconcat (PROBE, q->id, "-" CARRIER, NULL), *output = check_path (c, "probe.out");
  g_autofree char *input = check_model (c, "probe.model", layers, QCONV_F32, error);
  g_autoptr (QconvModel) model = input != NULL ? check_open (input, NULL, error) : NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) refused = NULL;

  if (model == NULL)
    return FALSE;
  /* Any other error comes before rules ask components() for every layer */
  plan = check_plan (model, &(CheckWay) { .target = target }, output, &refused);
  return g_error_matches (refused, QCONV_ERROR, QCONV_ERROR_OPTION)
         || check_fail (error, "the probe of components() was not asked: %s",
                        refused != NULL ? refused->message : "there is a plan");
}

/* ---- Lists of rows ---- */

static const char decoding[] = "decoding gives the same numbers with any threads and memory";

static const struct {
  const char *what;
  CheckFunc run;
  gboolean encodes, decodes; /* the row needs a scheme that can be encoded, decoded */
  gboolean any_names;        /* the row needs a writer without namings of its own */
} target_rows[] = {
  { "same bytes with any threads and memory", test_same_bytes },
  { decoding, test_decoding, TRUE, TRUE },
  { "an output is converted and edited without a change", test_again },
  { "no more memory than planned", test_memory, TRUE, TRUE },
  { "every shape and kind of weights", test_shapes, TRUE, FALSE },
  { "odd shapes work or are refused", test_odd_shapes, TRUE, FALSE },
  { "options in every range", test_options },
  { "weights that are not finite are refused", test_not_finite, TRUE, FALSE },
  { "zeros come back as zeros", test_vanishing, TRUE, TRUE },
  { "rows in another order keep their weights", test_turned, TRUE, TRUE, TRUE },
};

static void
add_rows (Check *c, const char *kind, const QconvTargetInfo *t)
{
  for (guint i = 0; i < G_N_ELEMENTS (target_rows); i++)
    if ((t->quantizer != NULL || !target_rows[i].encodes) && (t->writer->spellings == NULL || !target_rows[i].any_names)
        && (t->quantizer == NULL || t->quantizer->decode != NULL || !target_rows[i].decodes))
      check_add_row (c, kind, t->name, target_rows[i].what, target_rows[i].run, t);
}

void
check_add_quantizer_rows (Check *c)
{
  const QconvQuantizer *const *list = c->plugin->quantizers;

  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    {
      gboolean encodes = list[i]->encoders != NULL;
      g_autofree char *name = g_strconcat (encodes ? "" : RANDOM, list[i]->id, "-" CARRIER, NULL);
      const QconvTargetInfo *t = check_target (name);

      check_add_row (c, "quantizer", list[i]->id, "components() needs no place for an error", test_no_error, list[i]);
      if (t != NULL && encodes)
        add_rows (c, "target", t);
      else if (t != NULL)
        check_add_row (c, "target", name, decoding, test_decoding, t);
    }
}

static gboolean
test_not_offered (Check *c, const CheckRow *row, GError **error)
{
  return check_skip (error, "this target is not offered: its quantizer or container is not loaded");
}

/* The models of this program are of no family */
static gboolean
test_families_only (Check *c, const CheckRow *row, GError **error)
{
  return check_skip (error, "its loader knows only models of some families");
}

/* The models of this program have no roles, by which mixtures of one scheme differ */
static gboolean
test_mixture (Check *c, const CheckRow *row, GError **error)
{
  return check_skip (error, "it differs from an earlier target only for roles of layers of some families");
}

static gboolean
is_mixture (const QconvWriter *w, const QconvTarget *t)
{
  for (const QconvTarget *before = w->targets; before < t; before++)
    if (t->scheme != NULL && g_strcmp0 (before->scheme, t->scheme) == 0 && !t->complete
        && g_strcmp0 (before->parameters, t->parameters) == 0 && before->dtype == t->dtype)
      return TRUE;
  return FALSE;
}

void
check_add_writer_rows (Check *c)
{
  const QconvWriter *const *list = c->plugin->writers;

  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    for (const QconvTarget *t = list[i]->targets; t->name != NULL; t++)
      {
        g_autofree char *name = g_strconcat (t->name, "-", list[i]->id, NULL);
        const QconvTargetInfo *info = check_target (name);

        if (info != NULL && t->complete)
          check_add_row (c, "target", name, "conversion", test_families_only, NULL);
        else if (info != NULL && is_mixture (list[i], t))
          check_add_row (c, "target", name, "conversion", test_mixture, NULL);
        else if (info != NULL)
          add_rows (c, "target", info);
        else
          check_add_row (c, "target", name, "conversion", test_not_offered, NULL);
      }
}
