/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what a writer's tables may ask of core: other schemes for roles, complete targets, biases of layers, a
   component of the model; and what its hooks may ask: facts about the model. */
#include <math.h>
#include <string.h>

#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }
#define VECTOR(n, length)                                     \
  {                                                           \
    .name = n, .dtype = QCONV_F32, .shape = { 1, { length } } \
  }

/* A model that families/toyland.json knows */
static const ToyTensor toyland[] = {
  FLOATS ("model.door.weight", 16, 16),
  VECTOR ("model.door.bias", 16),
  FLOATS ("model.mat.weight", 16, 16),
  FLOATS ("model.stairs.weight", 16, 16),
  FLOATS ("model.tables.0.up.weight", 4, 8),
  VECTOR ("model.tables.0.up.bias", 4),
  FLOATS ("model.tables.0.mod.weight", 16, 16),
  FLOATS ("model.tables.1.up.weight", 4, 8),
  FLOATS ("model.tables.1.mod.weight", 16, 16),
  VECTOR ("model.tables.1.mod.bias", 16),
  { NULL },
};
/* Of no family, beside a second model */
static const ToyTensor two_models[]
    = { FLOATS ("a.weight", 16, 16), FLOATS ("small.weight", 4, 16), FLOATS ("vae.part.weight", 16, 16), { NULL } };

/* ---- A plugin with two writers and a scheme ---- */

/* The scheme all: one scale for the layer, which encode() finds itself */
static gboolean
all_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (l->rows, l->cols), .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) { .name = "scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (1), .run = QCONV_WHOLE });
  return TRUE;
}

static void
all_work (const QconvQuantizer *self, const QconvLayer *l, QconvWork *work)
{
  work->whole = TRUE;
}

static gboolean
all_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  guint64 n = t->layer->rows * t->layer->cols;

  *scale = 0;
  for (guint64 i = 0; i < n; i++)
    *scale = MAX (*scale, ABS (x[i]) / 127);
  for (guint64 i = 0; i < n; i++)
    codes[i] = (gint8) (x[i] / *scale + (x[i] < 0 ? -0.5f : 0.5f));
  return TRUE;
}

static gboolean
all_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  float *x = qconv_buffer_data (t->floats);

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    x[i] = (float) codes[i] * *scale;
  return TRUE;
}

static double
all_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 1e-3;
}

static const QconvEncoder all_encoder = { .work = all_work, .encode = all_encode };
static const QconvQuantizer all = { .id = "all",
                                    .summary = "a scale that encode() finds",
                                    .components = all_components,
                                    .bound = all_bound,
                                    .encoders = (const QconvEncoder *const[]) { &all_encoder, NULL },
                                    .decode = all_decode };

/* Writes the bias of the rows at hand, plus one */
static gboolean
pack_bias (const QconvPack *p, GError **error)
{
  const float *bias = qconv_pack_component (p, QCONV_BIAS);
  float *dst = (float *) p->dst;

  g_assert_cmpuint (p->n_dst, ==, p->n_rows * sizeof (float));
  for (guint64 i = 0; i < p->n_rows; i++)
    dst[i] = bias[p->first_row + i] + 1;
  return TRUE;
}

static gboolean
bundle_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  const QconvPlanned bias
      = { .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (l->rows), .pack = pack_bias, .run = { 1, sizeof (float) } };

  return toy_plan_layer (o, l, error)
         && (qconv_layer_component (l, QCONV_BIAS) == NULL || qconv_output_add (o, l, ".shifted", &bias, error));
}

/* Writes the facts into the metadata */
static gboolean
bundle_end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  static const char *const names[] = { "family", "variant", "naming", "prefix", "n", "nonsense" };
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      const char *fact = qconv_output_fact (o, names[i]);

      g_string_append_printf (text, "%s/", fact != NULL ? fact : "?");
    }
  qconv_output_set_metadata (o, "facts", text->str);
  return TRUE;
}

static const QconvRoleScheme to_half[] = { { "modulation", "half", "rounding=down" }, { NULL } };
static const QconvTarget bundle_targets[] = { { "all", "another scheme for a role", .scheme = "all", .roles = to_half },
                                              { "once", "complete", .scheme = "once", .complete = TRUE },
                                              { "half", "codes", .scheme = "half" },
                                              { NULL } };
static const QconvTarget part_targets[]
    = { { "plain", "as they are", .scheme = "plain", .dtype = QCONV_OPAQUE }, { NULL } };
static const QconvWriter bundle = { .id = "bundle",
                                    .summary = "layers with their biases",
                                    .container = "box",
                                    .suffix = ".box",
                                    .reader = "toy",
                                    .targets = bundle_targets,
                                    .layer = bundle_layer,
                                    .end = bundle_end,
                                    .takes_bias = TRUE };
static const QconvWriter part = { .id = "part",
                                  .summary = "one part of a model",
                                  .container = "box",
                                  .suffix = ".box",
                                  .targets = part_targets,
                                  .component = "diffusion" };
static const QconvPlugin plugin = { .abi = QCONV_PLUGIN_ABI,
                                    .api = QCONV_PLUGIN_API,
                                    .name = "bundle",
                                    .summary = "writers that ask for much",
                                    .license = "LGPL-2.1-or-later",
                                    .quantizers = (const QconvQuantizer *const[]) { &all, NULL },
                                    .writers = (const QconvWriter *const[]) { &bundle, &part, NULL } };

/* ---- Helpers ---- */

/* Returns: (transfer full): the output of a conversion of @tensors with @job */
static char *
convert (const ToyTensor *tensors, const QconvJob *job)
{
  g_autofree char *in = toy_path ("in.box");
  char *out = toy_path ("out.box");

  toy_reset ();
  toy_write (in, tensors, NULL);
  toy_convert (in, out, job);
  return out;
}

/* Tests how the marker of layer @name in @path begins; @text NULL: the layer is plain */
static void
check_scheme (const char *path, const char *name, const char *text)
{
  g_autofree char *marker = g_strconcat (name, ".scheme", NULL);
  g_autoptr (GBytes) bytes = toy_tensor (path, marker);

  if (text == NULL)
    g_assert_null (bytes);
  else
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), MIN (g_bytes_get_size (bytes), strlen (text)), text,
                     strlen (text));
}

static gboolean
has_tensor (const char *path, const char *name)
{
  g_autoptr (GBytes) bytes = toy_tensor (path, name);

  return bytes != NULL;
}

/* Tests that @got in file @path holds the numbers of @want in file @from, plus @add */
static void
check_numbers (const char *path, const char *got, const char *from, const char *want, float add)
{
  g_autoptr (GBytes) a = toy_tensor (path, got), b = toy_tensor (from, want);
  const float *x = g_bytes_get_data (a, NULL), *y = g_bytes_get_data (b, NULL);

  g_assert_cmpuint (g_bytes_get_size (a), ==, g_bytes_get_size (b));
  for (gsize i = 0; i < g_bytes_get_size (a) / sizeof *x; i++)
    g_assert_cmpfloat (x[i], ==, y[i] + add);
}

/* ---- Roles, and targets that encode all ---- */

/* Tests that a role has its scheme with the parameters of the target, unless the family keeps the layer */
static void
test_roles (void)
{
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "all-bundle" });

  check_scheme (out, "model.tables.0.mod", "half|group=4,rounding=down|");
  check_scheme (out, "model.tables.1.mod", "half|group=4,rounding=down|");
  check_scheme (out, "model.tables.0.up", "all|");
  check_scheme (out, "model.stairs", NULL);
}

/* Tests that no other target of the writer has the roles, and that a model of no family has none */
static void
test_no_roles (void)
{
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "half-bundle" });

  check_scheme (out, "model.tables.0.mod", "half|group=4,rounding=even|");
  g_free (out);
  out = convert (two_models, &(QconvJob) { .target = "all-bundle" });
  check_scheme (out, "a", "all|");
}

static void
test_role_options (void)
{
  static const struct {
    const char *option, *error;
  } wrong[] = { { "group=8", "option \"group=8\"*" }, { "half.rounding=even", "*half with rounding=down*" } };
  const char *mine[] = { "half.group=8", NULL };
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "all-bundle", .options = mine });
  g_autofree char *in = toy_path ("in.box");
  g_autoptr (QconvModel) m = NULL;

  check_scheme (out, "model.tables.0.mod", "half|group=8,rounding=down|");
  toy_write (in, toyland, NULL);
  m = toy_open (in);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      const char *options[] = { wrong[i].option, NULL };
      g_autoptr (GError) error = NULL;

      g_assert_false (
          toy_run (m, &(QconvJob) { .target = "all-bundle", .output = "no.box", .options = options }, NULL, &error));
      toy_assert_error (error, QCONV_ERROR_OPTION, wrong[i].error);
    }
}

/* Tests that the user's rules outrank roles */
static void
test_role_kept (void)
{
  const char *keep[] = { "tables\\.0\\.mod$", NULL };
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "all-bundle", .rules.keep = keep });

  check_scheme (out, "model.tables.0.mod", NULL);
  check_scheme (out, "model.tables.1.mod", "half|");
}

/* Tests that a complete target encodes layers whose shape tells models apart, small ones, and those that the source
   keeps beside quantized ones */
static void
test_complete (void)
{
  g_autofree char *in
      = convert (toyland, &(QconvJob) { .target = "half-toy", .rules.keep = (const char *[]) { "tables", NULL } });
  g_autofree char *beside = toy_path ("beside.box"), *out = NULL;

  toy_convert (in, beside, &(QconvJob) { .target = "once-toy" });
  check_scheme (beside, "model.tables.0.up", NULL);
  toy_convert (in, beside, &(QconvJob) { .target = "once-bundle", .run.force = TRUE });
  check_scheme (beside, "model.tables.0.up", "once|");
  out = convert (toyland, &(QconvJob) { .target = "once-toy" });
  check_scheme (out, "model.door", NULL);
  g_free (out);
  out = convert (toyland, &(QconvJob) { .target = "once-bundle" });
  check_scheme (out, "model.door", "once|");
  g_free (out);
  out = convert (two_models, &(QconvJob) { .target = "once-bundle", .names.component = "all" });
  check_scheme (out, "small", "once|");
}

/* ---- Biases ---- */

/* Tests that layer() gets the biases of encoded layers and keep() all others, with any number of rows in a tile */
static void
test_biases (void)
{
  static const guint64 memory[] = { 0, 1100 << 10 };

  for (guint i = 0; i < G_N_ELEMENTS (memory); i++)
    {
      g_autofree char *out
          = convert (toyland, &(QconvJob) { .target = "all-bundle", .run.memory = memory[i], .run.n_threads = 3 });
      g_autofree char *in = toy_path ("in.box");

      toy_write (in, toyland, NULL);
      check_numbers (out, "model.tables.0.up.shifted", in, "model.tables.0.up.bias", 1);
      check_numbers (out, "model.tables.1.mod.shifted", in, "model.tables.1.mod.bias", 1);
      g_assert_false (has_tensor (out, "model.tables.0.up.bias"));
      g_assert_false (has_tensor (out, "model.tables.1.mod.bias"));
      g_assert_false (has_tensor (out, "model.tables.0.mod.shifted"));
      g_assert_false (has_tensor (out, "model.tables.1.up.shifted"));
    }
}

/* Tests that the bias of a layer that stays plain comes to keep() */
static void
test_kept_bias (void)
{
  const char *keep[] = { "tables\\.0\\.up$", NULL };
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "all-bundle", .rules.keep = keep });
  g_autofree char *in = toy_path ("in.box");

  toy_write (in, toyland, NULL);
  g_assert_false (has_tensor (out, "model.tables.0.up.shifted"));
  check_numbers (out, "model.tables.0.up.bias", in, "model.tables.0.up.bias", 0);
}

/* Copies the model to @tensors with @values as the bias of "tables.0.up". Returns: (transfer none): that bias */
static ToyTensor *
set_bias (ToyTensor *tensors, const float *values)
{
  guint i = 0;

  memcpy (tensors, toyland, sizeof toyland);
  while (strcmp (tensors[i].name, "model.tables.0.up.bias") != 0)
    i++;
  tensors[i].values = values;
  return &tensors[i];
}

/* Tests that layers whose components are moved hand over their biases, too. The form toy keeps them as BF16 */
static void
test_moved_bias (void)
{
  static const float values[] = { 1, -2, 0.5f, 4 };
  ToyTensor tensors[G_N_ELEMENTS (toyland)];
  g_autofree char *coded = NULL, *out = toy_path ("moved.box");
  g_autoptr (GBytes) a = NULL, b = NULL, bias = NULL;

  set_bias (tensors, values);
  coded = convert (tensors, &(QconvJob) { .target = "half-toy" });
  toy_convert (coded, out, &(QconvJob) { .target = "half-bundle" });
  a = toy_tensor (coded, "model.tables.0.up.weight");
  b = toy_tensor (out, "model.tables.0.up.weight");
  g_assert_true (g_bytes_equal (a, b));
  bias = toy_tensor (out, "model.tables.0.up.shifted");
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    g_assert_cmpfloat (((const float *) g_bytes_get_data (bias, NULL))[i], ==, values[i] + 1);
  g_assert_false (has_tensor (out, "model.tables.0.up.bias"));
}

/* Tests that @tensors are refused with @code and @text */
static void
check_refused (const ToyTensor *tensors, gint code, const char *text)
{
  g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, tensors, NULL);
  m = toy_open (in);
  g_assert_false (toy_run (m, &(QconvJob) { .target = "all-bundle", .output = out }, NULL, &error));
  toy_assert_error (error, code, text);
}

static void
test_bad_bias (void)
{
  static const float values[] = { 1, 2, INFINITY, 4 };
  ToyTensor tensors[G_N_ELEMENTS (toyland)];

  set_bias (tensors, values);
  check_refused (tensors, QCONV_ERROR_NON_FINITE, "*model.tables.0.up.bias*");
  set_bias (tensors, NULL)->shape = QCONV_SHAPE1 (5);
  check_refused (tensors, QCONV_ERROR_INPUT,
                 "*\"model.tables.0.up.bias\" has the shape *5], but its weight has 4 rows*");
}

/* ---- The whole model ---- */

/* Tests that the writer's component is written under bare names, unless the user names one */
static void
test_component (void)
{
  static const ToyTensor vae = FLOATS ("vae.part.weight", 16, 16);
  ToyTensor tensors[G_N_ELEMENTS (toyland) + 1] = { [G_N_ELEMENTS (toyland) - 1] = vae };
  g_autofree char *out = NULL;

  memcpy (tensors, toyland, sizeof toyland - sizeof *toyland);
  out = convert (tensors, &(QconvJob) { .target = "plain-part" });
  g_assert_true (has_tensor (out, "door.weight"));
  g_assert_false (has_tensor (out, "model.door.weight") || has_tensor (out, "vae.part.weight"));
  g_free (out);
  out = convert (tensors, &(QconvJob) { .target = "plain-part", .names.component = "all" });
  g_assert_true (has_tensor (out, "model.door.weight") && has_tensor (out, "vae.part.weight"));
}

static void
check_facts (const char *path, const char *want)
{
  g_autoptr (QconvModel) m = toy_open (path);
  GVariant *facts = qconv_directory_metadata (qconv_model_directory (m), "facts");

  g_assert_cmpstr (g_variant_get_string (facts, NULL), ==, want);
}

/* Tests the facts of a conversion, of an edit, which leaves names as they are, and of a model of no family */
static void
test_facts (void)
{
  g_autofree char *out = convert (toyland, &(QconvJob) { .target = "half-bundle" }), *edited = toy_path ("edited.box");

  check_facts (out, "toyland/only/original/model./2/?/");
  toy_convert (out, edited, &(QconvJob) { .edit.metadata = (const char *[]) { "a=b", NULL } });
  check_facts (edited, "toyland/only/original/model./2/?/");
  g_free (out);
  out = convert (two_models, &(QconvJob) { .target = "half-bundle" });
  check_facts (out, "?/?/?//?/?/");
}

/* Tests that an encoder which gets all rows may fill a component of the whole layer */
static void
test_whole (void)
{
  static const float values[256] = { 0.5f, -12.7f, 3 };
  const ToyTensor tensors[]
      = { { .name = "a.weight", .dtype = QCONV_F32, .shape = { 2, { 16, 16 } }, .values = values }, { NULL } };
  g_autofree char *out = convert (tensors, &(QconvJob) { .target = "all-bundle", .run.n_threads = 2 });
  g_autoptr (GBytes) scale = toy_tensor (out, "a.scale");

  g_assert_cmpuint (g_bytes_get_size (scale), ==, sizeof (float));
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (scale, NULL), ==, 12.7f / 127);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  qconv_registry_add (&plugin);
  g_test_add_func ("/core/writer/roles", test_roles);
  g_test_add_func ("/core/writer/no-roles", test_no_roles);
  g_test_add_func ("/core/writer/role-options", test_role_options);
  g_test_add_func ("/core/writer/role-kept", test_role_kept);
  g_test_add_func ("/core/writer/complete", test_complete);
  g_test_add_func ("/core/writer/biases", test_biases);
  g_test_add_func ("/core/writer/kept-bias", test_kept_bias);
  g_test_add_func ("/core/writer/moved-bias", test_moved_bias);
  g_test_add_func ("/core/writer/bad-bias", test_bad_bias);
  g_test_add_func ("/core/writer/component", test_component);
  g_test_add_func ("/core/writer/facts", test_facts);
  g_test_add_func ("/core/writer/whole", test_whole);
  return g_test_run ();
}
