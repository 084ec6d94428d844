/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows about containers and readers: the user's samples and the files of the plugin's own writers, whole, cut and
   damaged. */
#include <string.h>

#include "plugin-check/carrier.h"
#include "plugin-check/option-values.h"

enum {
  HEAD = 64 << 10,  /* bytes that score() sees */
  N_FLIPS = 500,    /* damaged copies, of all files together */
  LEAST_FLIPS = 60, /* of one file */
  N_NOISE = 64,
};

/* ---- Files ---- */

/* Returns: (transfer full) (nullable): a file that @target of @writer writes. NULL if it fails: the target has rows of
   its own. A target that crashed or hung in an earlier child is not tried again */
static char *
own_file (Check *c, const QconvWriter *writer, const char *target, const char *input)
{
  g_autofree char *name = g_strconcat ("own-", target, writer->suffix, NULL), *path = check_path (c, name);
  g_autofree char *tried_name = g_strconcat ("tried-", target, NULL), *tried = check_path (c, tried_name);
  g_autoptr (GBytes) bytes = NULL;

  if (!g_file_test (tried, G_FILE_TEST_EXISTS) && check_target (target) != NULL
      && check_write (tried, (const guint8 *) "", 0, NULL))
    bytes = check_convert (c, input, &(CheckWay) { .target = target }, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

/* Returns: (transfer none) (element-type utf8): the samples, and a file that each target of the plugin writes */
static GPtrArray *
all_files (Check *c)
{
  static GPtrArray *files;
  const QconvWriter *const *list = c->plugin->writers;
  g_autofree char *input = files == NULL ? check_small_model (c, NULL) : NULL;

  if (files != NULL)
    return files;
  files = g_ptr_array_new ();
  for (guint i = 0; c->samples[i] != NULL; i++)
    g_ptr_array_add (files, c->samples[i]);
  for (guint i = 0; input != NULL && list != NULL && list[i] != NULL; i++)
    for (const QconvTarget *t = list[i]->targets; t->name != NULL; t++)
      {
        g_autofree char *target = g_strconcat (t->name, "-", list[i]->id, NULL);
        char *path = own_file (c, list[i], target, input);

        if (path != NULL)
          g_ptr_array_add (files, path);
      }
  return files;
}

static guint
score_file (const QconvContainer *f, const char *path, GBytes *bytes)
{
  g_autofree char *name = g_path_get_basename (path);
  gsize n;
  const guint8 *data = g_bytes_get_data (bytes, &n);
  guint score = f->score (f, name, data, MIN (n, HEAD), n) * 2;

  for (guint i = 0; score > 0 && f->suffixes[i] != NULL; i++)
    if (g_str_has_suffix (name, f->suffixes[i]))
      return score + 1;
  return score;
}

/* Returns whether @f is the container that core takes for the file */
static gboolean
is_best (const QconvContainer *f, const char *path, GBytes *bytes)
{
  GPtrArray *all = qconv_registry_containers ();
  guint own = score_file (f, path, bytes);

  for (guint i = 0; i < all->len; i++)
    if (all->pdata[i] != f && score_file (all->pdata[i], path, bytes) >= own)
      return FALSE;
  return own > 0;
}

/* Returns whether core takes the container or reader of @row for the file. A file at which a plugin breaks its contract
   belongs to every reader, so that the rows report it */
static gboolean
belongs (const CheckRow *row, const char *path, GBytes *bytes)
{
  const QconvContainer *container = qconv_registry_container (row->id);
  g_autoptr (GError) failed = NULL;
  g_autoptr (QconvModel) model = NULL;

  if (container == row->feature)
    return is_best (container, path, bytes);
  model = check_open (path, NULL, &failed);
  if (model == NULL)
    return g_error_matches (failed, QCONV_ERROR, QCONV_ERROR_BUG);
  return strcmp (qconv_model_format (model), row->id) == 0;
}

typedef gboolean (*FileFunc) (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files,
                              GError **error);

/* Calls @test for each file of the container or reader. Skips the row if there is none */
static gboolean
each_file (Check *c, const CheckRow *row, FileFunc test, GError **error)
{
  GPtrArray *files = all_files (c);
  g_autoptr (GPtrArray) own = g_ptr_array_new ();

  for (guint i = 0; i < files->len; i++)
    {
      const char *path = files->pdata[i];
      g_autoptr (GBytes) bytes = check_read (path, error);

      if (bytes == NULL)
        return FALSE;
      check_step (c, "%s", path);
      if (belongs (row, path, bytes))
        g_ptr_array_add (own, files->pdata[i]);
    }
  for (guint i = 0; i < own->len; i++)
    {
      g_autoptr (GBytes) bytes = check_read (own->pdata[i], error);

      if (bytes == NULL || !test (c, row, own->pdata[i], bytes, own->len, error))
        {
          g_prefix_error (error, "%s: ", (const char *) own->pdata[i]);
          return FALSE;
        }
    }
  return own->len > 0 || check_skip (error, "no SAMPLE is such a file");
}

/* ---- Scores ---- */

static gboolean
test_scores (Check *c, const CheckRow *row, GError **error)
{
  const QconvContainer *f = row->feature;
  g_autofree char *other = check_small_model (c, error);
  g_autoptr (GBytes) bytes = other != NULL ? check_read (other, error) : NULL;

  if (bytes == NULL)
    return FALSE;
  if (f->score (f, "model", (const guint8 *) "", 0, 0) != 0)
    return check_fail (error, "an empty file has a score");
  if (score_file (f, "model", bytes) != 0)
    return check_fail (error, "a file of another container has a score");
  for (guint32 seed = 0; seed < N_NOISE; seed++)
    {
      g_autoptr (GRand) random = g_rand_new_with_seed (seed);
      guint8 noise[N_NOISE * 97];
      gsize n = 1 + seed * 97;

      for (gsize i = 0; i < n; i++)
        noise[i] = (guint8) g_rand_int (random);
      check_step (c, "score of noise with the seed %u", seed);
      if (f->score (f, "model", noise, n, n) != 0)
        return check_fail (error, "noise with the seed %u has a score", seed);
    }
  return TRUE;
}

static gboolean
test_score_of_file (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  return score_file (row->feature, path, bytes) <= 2 * 100 + 1 || check_fail (error, "its score is above 100");
}

static gboolean
test_own_scores (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_score_of_file, error);
}

/* Tests that a reader gives no score above 100, whichever files it sees */
static gboolean
test_reader_scores (Check *c, const CheckRow *row, GError **error)
{
  const QconvReader *f = row->feature;
  g_autofree char *plain = check_small_model (c, error);
  g_autoptr (GPtrArray) files = g_ptr_array_copy (all_files (c), NULL, NULL);

  g_ptr_array_add (files, plain);
  for (guint i = 0; plain != NULL && i < files->len; i++)
    {
      const char *path = files->pdata[i];
      g_autoptr (QconvModel) model = check_open (path, NULL, NULL);
      guint score = 0;

      check_step (c, "score of %s", path);
      if (model != NULL)
        score = f->score (f, qconv_model_directory (model));
      if (score > 100)
        return check_fail (error, "%s: the score is %u, above 100", path, score);
    }
  return plain != NULL;
}

/* ---- Whole files ---- */

static gboolean
test_whole (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  g_autoptr (QconvModel) model = check_open (path, NULL, error);
  g_autoptr (QconvReport) report = model != NULL ? qconv_model_verify (model, NULL, error) : NULL;

  if (report == NULL)
    return FALSE;
  if (!report->ok && report->problems->len > 0)
    return check_fail (error, "%s", ((const QconvProblem *) g_ptr_array_index (report->problems, 0))->message);
  return check_same_bytes (c, path, CHECK_DECODED, error);
}

static gboolean
test_files (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_whole, error);
}

/* ---- Damaged files ---- */

/* Returns whether @error is one that a bad file may give */
static gboolean
is_decent (const GError *error)
{
  return error->domain == G_IO_ERROR || (error->domain == QCONV_ERROR && error->code != QCONV_ERROR_BUG);
}

/* Verifies the file as `qconv verify` would, which asks check() of the readers. Fails if an error blames anything but
   the file */
static gboolean
verifies (const char *path, const char *from, GError **error)
{
  const QconvOpenOptions options = { .from = from, .for_verify = TRUE };
  g_autoptr (GError) failed = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &options, &failed);
  g_autoptr (QconvReport) report = NULL;

  if (model != NULL)
    report = qconv_model_verify (model, &(QconvVerifyOptions) { .n_threads = 1, .memory = 64 << 20 }, &failed);
  if (report != NULL || is_decent (failed))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

/* How damaged files are decoded */
static const CheckWay junk_way = { .target = CHECK_DECODED, .n_threads = 1, .memory = 64 << 20, .unverified = TRUE };

/* Opens the file and decodes all layers. Fails if an error blames anything but the file. *opened: it opens */
static gboolean
survives (Check *c, const char *path, const char *from, gboolean *opened, GError **error)
{
  g_autofree char *output = check_path (c, "junk.out");
  g_autoptr (GError) failed = NULL;
  g_autoptr (QconvModel) model = check_open (path, from, &failed);
  g_autoptr (QconvPlan) plan = NULL;

  *opened = model != NULL;
  if (model != NULL)
    plan = check_plan (model, &junk_way, output, &failed);
  if (plan != NULL)
    qconv_plan_run (plan, NULL, NULL, NULL, NULL, &failed);
  if (failed == NULL || is_decent (failed))
    return verifies (path, from, error);
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

/* Tests that a shorter file does not open */
static gboolean
test_cut_file (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  g_autofree char *cut = check_path (c, "cut");
  gsize end, step;
  const guint8 *data = g_bytes_get_data (bytes, &end);

  /* A file may lack zeros at its end: they can be padding */
  while (end > 0 && data[end - 1] == 0)
    end--;
  step = MAX (end / 512, 1);
  for (gsize n = 0; n < end; n += n < 1024 ? 1 : step)
    {
      gboolean opened = FALSE;

      check_step (c, "the first %" G_GSIZE_FORMAT " bytes of %s", n, path);
      if (!check_write (cut, data, n, error) || !survives (c, cut, row->id, &opened, error))
        return FALSE;
      if (opened)
        return check_fail (error, "its first %" G_GSIZE_FORMAT " bytes open without an error", n);
    }
  return TRUE;
}

static gboolean
test_cut (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_cut_file, error);
}

static gboolean
test_flips (Check *c, const char *path, const char *from, GBytes *bytes, guint n_flips, GError **error)
{
  gsize n;
  const guint8 *data = g_bytes_get_data (bytes, &n);
  g_autofree char *damaged = check_path (c, "damaged");
  g_autoptr (GRand) random = g_rand_new_with_seed (1);

  if (!check_write (damaged, data, n, error))
    return FALSE;
  for (guint i = 0; n > 0 && i < n_flips; i++)
    {
      gboolean opened;
      /* Every other time in the first 4 KiB, where headers are */
      gsize at = (gsize) g_rand_int (random) % (i % 2 == 0 ? MIN (n, 4096) : n);
      guint8 wrong = data[at] ^ (guint8) g_rand_int_range (random, 1, 256);

      check_step (c, "byte %" G_GSIZE_FORMAT " of %s is 0x%02x", at, path, wrong);
      if (!check_write_byte (damaged, at, wrong, error) || !survives (c, damaged, from, &opened, error))
        {
          g_prefix_error (error, "byte %" G_GSIZE_FORMAT " is 0x%02x: ", at, wrong);
          return FALSE;
        }
      if (!check_write_byte (damaged, at, data[at], error))
        return FALSE;
    }
  return TRUE;
}

/* Tests files that begin with zeros */
static gboolean
test_zeroed (Check *c, const char *path, const char *from, GBytes *bytes, GError **error)
{
  static const gsize lengths[] = { 1, 4, 8, 16, 64, 512, 4096 };
  gsize n;
  const guint8 *whole = g_bytes_get_data (bytes, &n);
  g_autofree guint8 *data = g_memdup2 (whole, n);
  g_autofree char *damaged = check_path (c, "damaged");

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      gboolean opened;

      memset (data, 0, MIN (lengths[i], n));
      check_step (c, "the first %" G_GSIZE_FORMAT " bytes of %s are zeros", lengths[i], path);
      if (!check_write (damaged, data, n, error) || !survives (c, damaged, from, &opened, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
test_damaged_file (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  return test_flips (c, path, row->id, bytes, MAX (N_FLIPS / n_files, LEAST_FLIPS), error)
         && test_zeroed (c, path, row->id, bytes, error);
}

static gboolean
test_damaged (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_damaged_file, error);
}

/* ---- Hooks without a place for an error ---- */

static gboolean
test_probe (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  g_autofree char *probe = g_strconcat (PROBE, row->id, NULL), *cut = check_path (c, "cut");
  gsize n;
  const guint8 *data = g_bytes_get_data (bytes, &n);

  for (gsize k = 1; k < MIN (n, 256); k += 3)
    {
      gboolean opened;

      check_step (c, "the first %" G_GSIZE_FORMAT " bytes of %s without a place for an error", k, path);
      if (!check_write (cut, data, k, error) || !survives (c, cut, probe, &opened, error))
        return FALSE;
    }
  return test_flips (c, path, probe, bytes, LEAST_FLIPS, error);
}

static gboolean
test_no_error (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_probe, error);
}

/* ---- Options ---- */

/* The file that test_option() opens; all options of a row are tried on one */
static const char *option_file;

static gboolean
test_option (Check *c, const CheckRow *row, const char *option, gboolean good, GError **error)
{
  const char *options[] = { option, NULL };
  g_autoptr (GError) failed = NULL;
  g_autoptr (QconvModel) model
      = qconv_model_open (option_file, &(QconvOpenOptions) { .from = row->id, .options = options }, &failed);

  if (!good)
    return (failed != NULL && qconv_error_exit_status (failed) == 2)
           || check_fail (error, "a value that the table does not allow is not refused");
  if (model != NULL || is_decent (failed))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

static gboolean
test_options_of_file (Check *c, const CheckRow *row, const char *path, GBytes *bytes, guint n_files, GError **error)
{
  const QconvContainer *container = qconv_registry_container (row->id);
  const QconvOption *table = container == row->feature ? container->options : qconv_registry_reader (row->id)->options;

  option_file = path;
  return check_each_option (c, row, row->id, table, test_option, error);
}

static gboolean
test_options (Check *c, const CheckRow *row, GError **error)
{
  return each_file (c, row, test_options_of_file, error);
}

/* ---- List of rows ---- */

static const struct {
  const char *what;
  CheckFunc run;
  gboolean for_container, for_reader;
} file_rows[] = {
  { "other files have no score", test_scores, TRUE, FALSE },
  { "its files have the highest score", test_own_scores, TRUE, FALSE },
  { "no file has a score above 100", test_reader_scores, FALSE, TRUE },
  { "its files open and decode", test_files, TRUE, TRUE },
  { "options in every range", test_options, TRUE, TRUE },
  { "a cut file is refused", test_cut, TRUE, FALSE },
  { "a damaged file does no harm", test_damaged, TRUE, TRUE },
  { "hooks need no place for an error", test_no_error, TRUE, TRUE },
};

static void
add_rows (Check *c, const char *kind, gboolean reader, gconstpointer const *features)
{
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    for (guint k = 0; k < G_N_ELEMENTS (file_rows); k++)
      if (reader ? file_rows[k].for_reader : file_rows[k].for_container)
        check_add_row (c, kind, *(const char *const *) features[i], file_rows[k].what, file_rows[k].run, features[i]);
}

void
check_add_file_rows (Check *c)
{
  add_rows (c, "container", FALSE, (gconstpointer const *) c->plugin->containers);
  add_rows (c, "reader", TRUE, (gconstpointer const *) c->plugin->readers);
}
