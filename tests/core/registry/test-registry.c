/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the registry with plugins of the test's own: ids that are taken, targets that cannot be made, and the
   components that are shown of a scheme. */
#include "registry/registry.h"

#include <string.h>

#include "registry/target.h"

static guint
score_container (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return 0;
}

static gboolean
open_nothing (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
              GError **error)
{
  return TRUE;
}

static gboolean
lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n, GByteArray *header,
         guint64 *file_size, GError **error)
{
  return TRUE;
}

#define CONTAINER \
  .summary = "files", .suffixes = (const char *const[]) { NULL }, .score = score_container, .open = open_nothing
static const QconvContainer box = { .id = "box", CONTAINER, .lay_out = lay_out };
static const QconvContainer chest = { .id = "chest", CONTAINER };
static const QconvContainer other_box = { .id = "box", CONTAINER };

static guint
score_reader (const QconvReader *self, const QconvDirectory *d)
{
  return 0;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  return TRUE;
}

static const QconvReader reader = { .id = "box", .summary = "layers", .score = score_reader, .claim = claim };
static const QconvReader other_reader = { .id = "box", .summary = "layers", .score = score_reader, .claim = claim };

/* Three components for layers of at least self->data columns */
static gboolean
components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvComponent all[] = { { "codes", QCONV_U4, layer->shape, QCONV_ROWWISE },
                                 { "scale", QCONV_F16, QCONV_SHAPE1 (layer->rows / 128), { 128, 1 } },
                                 { "input_scale", QCONV_F32, QCONV_SHAPE0, QCONV_WHOLE, QCONV_COMPONENT_GIVEN } };

  if (layer->cols < GPOINTER_TO_UINT (self->data))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the layer is too small");
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    qconv_components_add (out, &all[i]);
  return TRUE;
}

static gboolean
run_tile (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return TRUE;
}

static const QconvEncoder encoder = { .encode = run_tile };
static const QconvEncoder *const encoders[] = { &encoder, NULL };
#define QUANTIZER .summary = "numbers", .components = components, .decode = run_tile
static const QconvQuantizer both = { .id = "both", QUANTIZER, .encoders = encoders };
static const QconvQuantizer decoder = { .id = "decoder", QUANTIZER };
static const QconvQuantizer large = { .id = "large", QUANTIZER, .data = GUINT_TO_POINTER (600) };
static const QconvQuantizer huge = { .id = "huge", QUANTIZER, .data = GUINT_TO_POINTER (5000) };
static const QconvQuantizer other_both = { .id = "both", QUANTIZER };
static const QconvQuantizer third_both = { .id = "both", QUANTIZER };
static const QconvQuantizer extra = { .id = "extra", QUANTIZER };

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  return TRUE;
}

static const QconvRoleScheme roles[] = { { "modulation", "both" }, { NULL } };
static const QconvRoleScheme lost_roles[] = { { "modulation", "decoder" }, { NULL } };
static const QconvTarget targets[] = { { "plain", "floats", .scheme = "plain" },
                                       { "both", "numbers", .scheme = "both" },
                                       { "missing", "numbers", .scheme = "missing" },
                                       { "decoder", "numbers", .scheme = "decoder" },
                                       { "mixed", "numbers", .scheme = "both", .roles = roles },
                                       { "lost", "numbers", .scheme = "both", .roles = lost_roles },
                                       { "both", "again", .scheme = "decoder" },
                                       { NULL } };
#define WRITER .summary = "files", .suffix = ".box", .layer = write_layer
static const QconvTarget one_target[] = { { "both", "numbers", .scheme = "both" }, { NULL } };
static const QconvWriter boxes = { .id = "boxes", WRITER, .container = "box", .targets = targets };
static const QconvWriter crates = { .id = "crates", WRITER, .container = "crate", .targets = one_target };
static const QconvWriter chests = { .id = "chests", WRITER, .container = "chest", .targets = one_target };
static const QconvWriter other_boxes = { .id = "boxes", WRITER, .container = "box", .targets = one_target };

static const QconvPlugin plugins[]
    = { { QCONV_PLUGIN_ABI, QCONV_PLUGIN_API, "first", "everything", "LGPL-2.1-or-later", NULL,
          (const QconvContainer *const[]) { &box, &chest, NULL }, (const QconvReader *const[]) { &reader, NULL },
          (const QconvQuantizer *const[]) { &both, &decoder, &large, &huge, NULL },
          (const QconvWriter *const[]) { &boxes, &crates, &chests, NULL } },
        { QCONV_PLUGIN_ABI, QCONV_PLUGIN_API, "another", "the same again, and more", "LGPL-2.1-or-later", NULL,
          (const QconvContainer *const[]) { &other_box, NULL }, (const QconvReader *const[]) { &other_reader, NULL },
          (const QconvQuantizer *const[]) { &other_both, &extra, &third_both, &extra, NULL },
          (const QconvWriter *const[]) { &other_boxes, NULL } } };

/* The features that are left out, in the order of the warnings; targets come when all plugins are loaded */
static const struct {
  const char *module, *kind, *id, *reason;
} left_out[] = { { "another", "container", "box", "plugin first (first) has that id" },
                 { "another", "reader", "box", "plugin first (first) has that id" },
                 { "another", "quantizer", "both", "plugin first (first) has that id" },
                 { "another", "quantizer", "both", "plugin first (first) has that id" },
                 { "another", "quantizer", "extra", "the plugin offers that id twice" },
                 { "another", "writer", "boxes", "plugin first (first) has that id" },
                 { "first", "target", "both-boxes", "the plugin offers that id twice" } };

static void
load (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (plugins); i++)
    qconv_registry_add_built_in (&plugins[i]);
  for (guint i = 0; i < G_N_ELEMENTS (left_out); i++)
    {
      g_autofree char *text = g_strdup_printf ("plugin %s: %s \"%s\" is left out: %s", left_out[i].module,
                                               left_out[i].kind, left_out[i].id, left_out[i].reason);

      g_test_expect_message ("qconv", G_LOG_LEVEL_WARNING, text);
    }
  g_assert_cmpuint (qconv_registry_modules ()->len, ==, G_N_ELEMENTS (plugins));
  g_test_assert_expected_messages ();
}

/* Tests that only the features whose ids are taken are left out, and that the module remembers them */
static void
test_left_out (void)
{
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (plugins); i++)
    {
      const QconvModule *m = g_ptr_array_index (qconv_registry_modules (), i);

      g_assert_nonnull (m->plugin);
      g_assert_null (m->reason);
      for (guint j = 0; j < m->left_out->len; j++, n++)
        {
          const QconvLeftOut *l = g_ptr_array_index (m->left_out, j);

          g_assert_cmpstr (m->name, ==, left_out[n].module);
          g_assert_cmpstr (l->kind, ==, left_out[n].kind);
          g_assert_cmpstr (l->id, ==, left_out[n].id);
          g_assert_cmpstr (l->reason, ==, left_out[n].reason);
        }
    }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (left_out));
  g_assert_true (qconv_registry_container ("box") == &box);
  g_assert_true (qconv_registry_reader ("box") == &reader);
  g_assert_true (qconv_registry_quantizer ("both") == &both);
  g_assert_true (qconv_registry_quantizer ("extra") == &extra);
  g_assert_true (qconv_registry_writer ("boxes") == &boxes);
  g_assert_cmpuint (qconv_registry_containers ()->len, ==, 2);
  g_assert_cmpuint (qconv_registry_readers ()->len, ==, 1);
  g_assert_cmpuint (qconv_registry_quantizers ()->len, ==, 5);
  g_assert_cmpuint (qconv_registry_writers ()->len, ==, 3);
}

/* Tests the targets that are offered, and what --to says of the others */
static void
test_targets (void)
{
  static const struct {
    const char *name, *error; /* NULL: the target is offered */
  } rows[] = {
    { "both-boxes", NULL },
    { "plain-boxes", NULL },
    { "both-chests", "target \"both-chests\" is not offered: the container \"chest\" is only read" },
    { "both-crates", "target \"both-crates\" is not offered: no loaded plugin has the container \"crate\"" },
    { "decoder-boxes", "target \"decoder-boxes\" is not offered: the scheme \"decoder\" only decodes" },
    { "missing-boxes", "target \"missing-boxes\" is not offered: no loaded plugin has the scheme \"missing\"" },
    { "mixed-boxes", NULL },
    { "lost-boxes",
      "target \"lost-boxes\" is not offered: no loaded plugin makes the scheme \"decoder\", which it needs for layers "
      "with the role \"modulation\"" },
    { "both-boxen", "unknown target \"both-boxen\"; did you mean both-boxes?" },
  };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL, checked = NULL;
      const QconvTargetInfo *t = qconv_target_find (rows[i].name, &error);
      gboolean known = rows[i].error == NULL || strstr (rows[i].error, "unknown") != NULL;

      g_assert_cmpint (qconv_registry_check_target (rows[i].name, &checked), ==, known);
      n += t != NULL;
      if (rows[i].error == NULL)
        {
          g_assert_no_error (error);
          g_assert_cmpstr (t->name, ==, rows[i].name);
          g_assert_null (t->reason);
          continue;
        }
      g_assert_null (t);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NO_PLUGIN);
      g_assert_cmpstr (error->message, ==, rows[i].error);
      if (!known)
        g_assert_cmpstr (checked->message, ==, rows[i].error);
    }
  g_assert_cmpuint (qconv_registry_targets ()->len, ==, n);
  g_assert_cmpuint (qconv_registry_targets_not_offered ()->len, ==, G_N_ELEMENTS (rows) - n - 1);
}

/* Tests that the sample grows until the quantizer takes it */
static void
test_sample (void)
{
  static const struct {
    const QconvQuantizer *quantizer;
    guint64 side; /* 0: it refuses all samples */
  } rows[] = { { &both, 256 }, { &large, 1024 }, { &huge, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      guint64 side;
      g_autoptr (GPtrArray) all = qconv_quantizer_sample (rows[i].quantizer, &side);
      const QconvComponent *scale;

      g_assert_cmpuint (all->len, ==, rows[i].side > 0 ? 3 : 0);
      if (all->len == 0)
        continue;
      scale = g_ptr_array_index (all, 1);
      g_assert_cmpuint (side, ==, rows[i].side);
      g_assert_cmpstr (scale->name, ==, "scale");
      g_assert_cmpuint (scale->shape.dim[0], ==, side / 128);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  load ();
  g_test_add_func ("/registry/left-out", test_left_out);
  g_test_add_func ("/registry/targets", test_targets);
  g_test_add_func ("/registry/sample", test_sample);
  return g_test_run ();
}
