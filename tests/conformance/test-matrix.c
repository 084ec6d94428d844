/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts every readable form to every target. The written file must pass its check, stay within the bound of its
 * scheme, and be no further from the first weights than both conversions add up to. */
#include <math.h>

#include "sample.h"
#include "small.h"

/* A file in one form. @option: (nullable): of the conversion that made it; @target NULL: the generator's own
 * @arguments */
typedef struct {
  const char *target, *option, *arguments;
} Form;

/* @target: the target that made it, or NULL; @original: the file of the first weights */
typedef struct {
  char *path;
  const char *target, *original;
  GHashTable *errors; /* layer -> relative MSE against the first weights, as gdouble */
} Source;

/* Forms besides those that each target writes without options */
static const Form variants[] = {
  { "fp8-comfy", "dtype=e5m2", NULL },
  { "fp8-legacy", "range=unit", NULL },
  { "fp8-legacy", "full-precision-mm=off", NULL },
  { "mxfp8-comfy", "hybrid", NULL },
  { "int8-comfy", "scaling=tensor", NULL },
  { "int8-comfy", "convrot", NULL },
  { "w4a8-comfy", "codebook=none", NULL },
  { "w4a8-comfy", "scale-dtype=f32", NULL },
  { "nf4-comfy", "layout=extension", NULL },
  { "nf4-bnb", "double-quant", NULL },
  { "fp4-bnb", "block=128", NULL },
  { NULL, NULL, "--format gguf --type q8_0" },
  { NULL, NULL, "--format gguf --type q4_0" },
  { NULL, NULL, "--format gguf --type q5_1" },
  { NULL, NULL, "--format shards" },
  { NULL, NULL, "--type f16" },
};

/* What other forms a model of a family is converted from and to, besides those whose loaders know only such models */
static const char *const family_targets[] = { "bf16-safetensors", "nvfp4-comfy", NULL };

static char *first, *family; /* the first weights: of a model of no family, and of one */
static GPtrArray *sources;   /* Source */

/* Returns the generator's arguments for the size of the model that all forms hold */
static const char *
size_of_model (void)
{
  return test_is_small () ? "--layers 1 --rows 256 --cols 768" : "--layers 3 --rows 256 --cols 768";
}

static QconvModel *
open_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *model = qconv_model_open (path, NULL, &error);

  g_assert_no_error (error);
  return model;
}

/* Returns: (transfer full): the check's report, or NULL with @error if the conversion is refused */
static QconvReport *
convert (const char *input, const char *target, const char *option, const char *output, GError **error)
{
  g_autoptr (QconvModel) model = open_model (input);
  const char *options[] = { option, NULL };
  QconvJob job = { .target = target, .output = output, .options = options, .run.force = TRUE, .run.n_threads = 2 };
  g_autoptr (QconvPlan) plan = qconv_plan_new (model, &job, error);
  g_autoptr (QconvReport) report = NULL;

  if (plan == NULL || !qconv_plan_run (plan, NULL, NULL, NULL, &report, error))
    return NULL;
  return g_steal_pointer (&report);
}

/* Returns: (transfer full): relative MSE of each layer of @path against the first weights */
static GHashTable *
measure (const char *path, const char *first_weights)
{
  g_autoptr (QconvModel) model = open_model (path), original = open_model (first_weights);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report
      = qconv_model_verify (model, &(QconvVerifyOptions) { .original = original, .n_threads = 2 }, &error);
  GHashTable *errors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  g_assert_no_error (error);
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *l = g_ptr_array_index (report->layers, i);

      g_assert_cmpfloat (l->relmse, >=, 0);
      g_hash_table_insert (errors, g_strdup (l->name), g_memdup2 (&l->relmse, sizeof l->relmse));
    }
  g_assert_cmpuint (g_hash_table_size (errors), >, 0);
  return errors;
}

static void
free_source (gpointer data)
{
  Source *s = data;

  g_hash_table_unref (s->errors);
  g_free (s->path);
  g_free (s);
}

static Source *
new_source (char *path, const char *target, const char *original)
{
  Source *s = g_new0 (Source, 1);

  s->path = path;
  s->target = target;
  s->original = original;
  s->errors = measure (path, original);
  return s;
}

static char *
file_name (const char *a, const char *b)
{
  g_autofree char *name = g_strdup_printf ("%s %s", a, b != NULL ? b : "");

  return sample_output (a, g_strdelimit (name, "= ", '_'));
}

static void
add_source (const char *original, const char *target, const char *option)
{
  g_autofree char *path = file_name (target, option != NULL ? option : original == family ? "family" : NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report = convert (original, target, option, path, &error);

  g_assert_no_error (error);
  g_assert_true (report->ok);
  g_ptr_array_add (sources, new_source (g_steal_pointer (&path), target, original));
}

/* Returns whether @target is tried with forms of the model @original */
static gboolean
belongs (const char *target, const char *original)
{
  if (sample_needs_family (target))
    return original == family;
  return original != family || g_strv_contains (family_targets, target);
}

static void
make_sources (void)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const char *target = ((const QconvTargetInfo *) g_ptr_array_index (targets, i))->name;

      if (!sample_needs_family (target) && !sample_is_like_another (i))
        add_source (first, target, NULL);
      if (belongs (target, family))
        add_source (family, target, NULL);
    }
  for (guint i = 0; i < G_N_ELEMENTS (variants); i++)
    if (variants[i].target == NULL)
      {
        g_autofree char *arguments = g_strconcat (size_of_model (), " ", variants[i].arguments, NULL);
        g_autofree char *name = g_strdup_printf ("generated-%u", i);

        g_ptr_array_add (sources, new_source (sample_generate (arguments, name), NULL, first));
      }
    else if (sample_has_target (variants[i].target))
      add_source (first, variants[i].target, variants[i].option);
}

/* Returns the largest error of @s: other targets have other names, and other layers side by side */
static const double *
largest_error (const Source *s)
{
  const double *most = NULL;
  GHashTableIter i;
  gpointer value;

  g_hash_table_iter_init (&i, s->errors);
  while (g_hash_table_iter_next (&i, NULL, &value))
    if (most == NULL || *(const double *) value > *most)
      most = value;
  return most;
}

/* Checks that ‖w − c‖ ≤ ‖w − b‖ + ‖b − c‖, and ‖b‖ ≤ ‖w‖ + ‖w − b‖ */
static void
check_path (const Source *from, const QconvReport *step, const char *path)
{
  g_autoptr (GHashTable) total = measure (path, from->original);
  guint n = 0;

  for (guint i = 0; i < step->layers->len; i++)
    {
      const QconvLayerError *l = g_ptr_array_index (step->layers, i);
      const double *before = g_hash_table_lookup (from->errors, l->name), *after = g_hash_table_lookup (total, l->name);
      double most;

      if (before == NULL)
        before = largest_error (from);
      if (after == NULL)
        continue;
      most = sqrt (*before) + sqrt (MAX (l->relmse, 0)) * (1 + sqrt (*before));
      g_assert_cmpfloat (sqrt (*after), <=, most * 1.000001 + 1e-9);
      n++;
    }
  if (step->layers->len > 0)
    g_assert_cmpuint (n, >, 0);
}

/* Checks that a conversion to the same form moves the bytes, with any parameters: its error is 0 */
static void
check_moved (const QconvReport *step)
{
  for (guint i = 0; i < step->layers->len; i++)
    g_assert_cmpfloat (((const QconvLayerError *) g_ptr_array_index (step->layers, i))->relmse, ==, 0);
}

/* Returns whether @s stands for the forms that are read by the same code: one of GGUF's block types of each size of
   block. The others are tried with their own target */
static gboolean
stands_for_its_kind (const Source *s)
{
  static const char *const kinds[] = { "bf16-gguf", "mxfp4-gguf", "nvfp4-gguf", "q4_k-gguf", "q8_0-gguf", NULL };

  return s->target == NULL || !g_str_has_suffix (s->target, "-gguf") || g_strv_contains (kinds, s->target);
}

static void
test_target (gconstpointer data)
{
  const char *target = data;
  g_autofree char *path = sample_output (target, "out");

  for (guint i = 0; i < sources->len; i++)
    {
      const Source *s = g_ptr_array_index (sources, i);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvReport) report = NULL;
      gboolean verbatim = g_str_has_prefix (target, "copy-");

      if (!belongs (target, s->original) || (g_strcmp0 (s->target, target) != 0 && !stands_for_its_kind (s)))
        continue;
      report = convert (s->path, target, NULL, path, &error);
      if (verbatim && report == NULL) /* a GGUF block type has no safetensors dtype to be copied to */
        {
          g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
          if (!g_str_has_suffix (s->path, ".gguf") && strstr (s->path, "generated") == NULL)
            g_error ("%s: %s: %s", target, s->path, error->message);
          continue;
        }
      if (error != NULL)
        g_test_message ("%s: %s", s->path, error->message);
      g_assert_no_error (error);
      g_assert_true (report->ok);
      if (!verbatim)
        check_path (s, report, path);
      if (g_strcmp0 (s->target, target) == 0)
        check_moved (report);
    }
}

/* Tests that an edit that changes nothing writes the same file */
static void
test_edit (void)
{
  g_autofree char *path = g_build_filename (sample_folder (), "edited.safetensors", NULL);
  guint n = 0;

  for (guint i = 0; i < sources->len; i++)
    {
      const Source *s = g_ptr_array_index (sources, i);
      g_autoptr (GBytes) before = NULL, after = NULL;
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvReport) report = NULL;

      if (s->target == NULL)
        continue;
      report = convert (s->path, NULL, NULL, path, &error);
      g_assert_no_error (error);
      g_assert_true (report->ok);
      before = sample_read (s->path);
      after = sample_read (path);
      if (!g_bytes_equal (before, after))
        g_error ("%s: an edit without changes wrote other bytes", s->path);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}

/* Scales of 96 rows each, so that the chunks of a pass end in the middle of one */
static void
test_uneven (void)
{
  static const char *const through = "fp8-block-comfy", *const targets[] = { "nvfp4-comfy", "fp8-comfy", "awq-comfy" };
  g_autofree char *out = g_build_filename (sample_folder (), "out.safetensors", NULL);
  g_autofree char *tall = NULL;

  if (!sample_has_target (through))
    {
      g_test_skip ("fp8-block-comfy was not built");
      return;
    }
  tall = sample_generate ("--layers 1 --rows 1152 --cols 768", "tall.safetensors");
  add_source (tall, through, "block=96");
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    if (sample_has_target (targets[i]))
      {
        const Source *s = g_ptr_array_index (sources, sources->len - 1);
        g_autoptr (GError) error = NULL;
        g_autoptr (QconvReport) report = convert (s->path, targets[i], NULL, out, &error);

        g_assert_no_error (error);
        g_assert_true (report->ok);
        check_path (s, report, out);
      }
  g_ptr_array_set_size (sources, (gint) sources->len - 1);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  first = sample_generate (size_of_model (), "first.safetensors");
  family = sample_generate (SAMPLE_FAMILY_MODEL, "family.safetensors");
  sources = g_ptr_array_new_with_free_func (free_source);
  make_sources ();
  sample_add_targets ("/matrix/", test_target, NULL);
  g_test_add_func ("/matrix/edit", test_edit);
  g_test_add_func ("/matrix/uneven", test_uneven);
  status = g_test_run ();
  g_ptr_array_unref (sources);
  g_free (first);
  g_free (family);
  sample_finish ();
  return status;
}
