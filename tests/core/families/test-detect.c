/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognizes every variant under each prefix and naming, packed, and with hostile shapes. */
#include <string.h>

#include "families/advice.h"
#include "graph-fixture.h"
#include "map-fixture.h"
#include "small.h"

/* The result of a test of names */
typedef struct {
  guint tried;
} Tried;

static void
assert_detected (const GraphModel *m, const Names *names, const char *naming, const char *prefix, gboolean with_dims)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Identity) id = qconv_identify (graph_families (), names, &error);

  g_assert_no_error (error);
  if (id->family != m->family || g_strcmp0 (id->variant, graph_detected_as (m)) != 0
      || g_strcmp0 (id->naming, naming) != 0 || g_strcmp0 (id->prefix, prefix) != 0)
    g_error ("%s %s, %s, prefix \"%s\" is taken for %s %s, %s, prefix \"%s\"", qconv_family_id (m->family), m->variant,
             naming, prefix, qconv_family_id (id->family), id->variant, id->naming, id->prefix);
  if (with_dims)
    graph_assert_missing (id, names, NULL);
  /* Other namings do not show the spelling of FLUX.1's norms; loaders take both spellings */
  if (strcmp (naming, "original") != 0)
    qconv_dims_set (id->dims, "norm_weight", qconv_dims_get (m->dims, "norm_weight"));
  if (with_dims && !qconv_dims_equal (id->dims, m->dims))
    g_error ("%s %s, %s, prefix \"%s\": other dimensions", qconv_family_id (m->family), m->variant, naming, prefix);
}

static FamilyTexts
prefixes_of (const GraphModel *m)
{
  return qconv_family_data (m->family)->prefixes;
}

static void
detect_prefixes (const GraphModel *m, gpointer data)
{
  FamilyTexts prefixes = prefixes_of (m);
  g_autoptr (Names) plain = graph_names (m->tensors, "");
  Tried *t = data;

  assert_detected (m, plain, "original", "", TRUE);
  t->tried++;
  for (guint i = 0, n = g_strv_length ((char **) prefixes); i < n; i++)
    {
      g_autoptr (Names) names = NULL;

      if (graph_skips (m, i, n))
        continue;
      names = graph_names (m->tensors, prefixes[i]);
      assert_detected (m, names, "original", prefixes[i], TRUE);
      t->tried++;
    }
}

/* Tests that every variant is recognized under every prefix of its family, and by no family before it */
static void
test_prefixes (void)
{
  Tried t = { 0 };

  graph_each_model (detect_prefixes, &t);
  g_test_message ("%u files", t.tried);
  g_assert_cmpuint (t.tried, >, test_is_small () ? 150 : 300);
}

/* The starts of names in shells of several models: pairs of the plain start and the start in the shell */
static const char *const shells[][6] = {
  { "model.", "model.language_model.", "visual.", "model.visual.", NULL },
  { "model.", "language_model.model.", "lm_head.", "language_model.lm_head.", NULL },
  { "model.", "model.language_model.", "lm_head.", "model.lm_head.", NULL },
};

static char *
in_shell (const char *const *shell, const char *name)
{
  for (; *shell != NULL; shell += 2)
    if (g_str_has_prefix (name, shell[0]))
      return g_strconcat (shell[1], name + strlen (shell[0]), NULL);
  return g_strdup (name);
}

static void
detect_shells (const GraphModel *m, gpointer data)
{
  if (qconv_family_data (m->family)->prefix_rewrites.at == NULL)
    return;
  for (guint s = 0; s < G_N_ELEMENTS (shells); s++)
    {
      g_autoptr (Names) names = qconv_names_new ();

      if (graph_skips (m, s, G_N_ELEMENTS (shells)))
        continue;
      for (guint i = 0; i < m->tensors->len; i++)
        {
          const GraphTensor *t = g_ptr_array_index (m->tensors, i);
          g_autofree char *name = in_shell (shells[s], t->name);

          qconv_names_add (names, name, &t->shape);
        }
      assert_detected (m, names, "original", "", TRUE);
      ((Tried *) data)->tried++;
    }
}

static void
test_shells (void)
{
  Tried t = { 0 };

  graph_each_model (detect_shells, &t);
  g_test_message ("%u files", t.tried);
  g_assert_cmpuint (t.tried, >, test_is_small () ? 20 : 50);
}

/* Returns the names of @m in another naming. Tensors that the family's keymap does not know keep theirs. */
static Names *
map_names (const GraphModel *m, const char *naming, const char *prefix)
{
  g_autoptr (Names) original = graph_names (m->tensors, "");
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) maps
      = qconv_keymap (MAP (m->family, m->variant, m->dims, original, "original", naming), &error);
  g_autoptr (GHashTable) used = g_hash_table_new (g_str_hash, g_str_equal);
  Names *names = qconv_names_new ();

  g_assert_no_error (error);
  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);
      g_autofree char *name = g_strconcat (prefix, map->name, NULL);

      qconv_names_add (names, name, &map->shape);
      for (guint k = 0; k < map->parts->len; k++)
        g_hash_table_add (used, g_array_index (map->parts, NamePart, k).name);
    }
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autofree char *name = g_strconcat (prefix, t->name, NULL);

      if (!g_hash_table_contains (used, t->name))
        qconv_names_add (names, name, &t->shape);
    }
  return names;
}

static void
detect_namings (const GraphModel *m, gpointer data)
{
  const FamilyDetectRules *namings = &qconv_family_data (m->family)->detect.namings;
  FamilyTexts prefixes = prefixes_of (m);
  guint n = g_strv_length ((char **) prefixes) + 1;

  for (guint i = 0; i < namings->n; i++)
    {
      const char *naming = namings->at[i].result;

      if (strcmp (naming, "original") == 0 || !qconv_keymap_exists (m->family, m->variant, "original", naming))
        continue;
      for (guint k = 0; k < n; k++)
        {
          const char *prefix = k > 0 ? prefixes[k - 1] : "";
          g_autoptr (Names) names = NULL;

          if (graph_skips (m, i * n + k, namings->n * n))
            continue;
          names = map_names (m, naming, prefix);
          assert_detected (m, names, naming, prefix, TRUE);
          ((Tried *) data)->tried++;
        }
    }
}

static void
test_namings (void)
{
  Tried t = { 0 };

  graph_each_model (detect_namings, &t);
  g_test_message ("%u files", t.tried);
  g_assert_cmpuint (t.tried, >, test_is_small () ? 30 : 100);
}

/* Tests that every model is recognised behind a prefix that nobody knows */
static void
detect_foreign (const GraphModel *m, gpointer data)
{
  g_autoptr (Names) names = graph_names (m->tensors, "my.trainer.");
  g_autoptr (GError) error = NULL;
  g_autoptr (Identity) id = qconv_identify (graph_families (), names, &error);

  g_assert_no_error (error);
  assert_detected (m, names, "original", "my.trainer.", TRUE);
  g_assert_cmpuint (id->foreign, ==, strlen ("my.trainer."));
  ((Tried *) data)->tried++;
}

static void
test_foreign (void)
{
  Tried t = { 0 };

  graph_each_model (detect_foreign, &t);
  g_assert_cmpuint (t.tried, >, 50);
}

/* Tests the weights that loaders probe, in models of no known family */
static void
test_probed (void)
{
  static const struct {
    const char *prefix, *removed, *layer;
    gboolean probed;
  } cases[] = { { "", "", "cap_embedder.1", TRUE },
                { "_orig_mod.module.", "_orig_mod.module.", "cap_embedder.1", TRUE },
                { "_orig_mod.model.", "_orig_mod.model.", "cap_embedder.1", TRUE },
                { "my.trainer.", "", "my.trainer.cap_embedder.1", TRUE },
                { "my.trainer.", "", "my.trainer.other.cap_embedder.1", TRUE },
                { "my.trainer.", "", "my.trainer.layers.0.cap_embedder.1", FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      static const char *const ends[] = { "cap_embedder.1.weight", "other.cap_embedder.1.weight", "q.weight" };
      g_autoptr (GError) error = NULL;
      g_autoptr (Names) names = qconv_names_new ();
      g_autoptr (Identity) id = NULL;

      for (guint k = 0; k < G_N_ELEMENTS (ends); k++)
        {
          g_autofree char *name = g_strconcat (cases[i].prefix, ends[k], NULL);

          qconv_names_add (names, name, &QCONV_SHAPE2 (256, 256));
        }
      id = qconv_identify (graph_families (), names, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (id->prefix, ==, cases[i].removed);
      g_assert_cmpint (qconv_identity_probes (id, cases[i].layer), ==, cases[i].probed);
    }
}

/* Returns the tensors as a file of 4-bit weights has them: two items in a byte, scales beside them */
static Names *
pack_names (const GraphModel *m, gboolean keep_weight)
{
  Names *names = qconv_names_new ();

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autofree char *layer = graph_is_layer (t) ? graph_layer_name (t) : NULL;
      g_autofree char *packed = g_strconcat (layer, keep_weight ? ".weight" : ".qweight", NULL);
      g_autofree char *scale = g_strconcat (layer, keep_weight ? ".weight_scale" : ".scales", NULL);
      QconvShape shape = t->shape;

      if (layer == NULL || qconv_family_advise (m->family, m->dims, "nvfp4", 4, layer).kind != ADVICE_TARGET)
        {
          qconv_names_add (names, t->name, &shape);
          continue;
        }
      shape.dim[1] /= 2;
      qconv_names_add (names, packed, &shape);
      shape.dim[1] = (shape.dim[1] + 7) / 8;
      qconv_names_add (names, scale, &shape);
    }
  return names;
}

static void
detect_packed (const GraphModel *m, gpointer data)
{
  for (guint renamed = 0; renamed < 2; renamed++)
    {
      g_autoptr (Names) packed = NULL;

      if (graph_skips (m, renamed, 2))
        continue;
      packed = pack_names (m, renamed == 0);
      assert_detected (m, packed, "original", "", FALSE);
      ((Tried *) data)->tried++;
    }
}

static void
test_packed (void)
{
  Tried t = { 0 };

  graph_each_model (detect_packed, &t);
  g_test_message ("%u files", t.tried);
  g_assert_cmpuint (t.tried, >, test_is_small () ? 100 : 200);
}

static Names *
some_names (const char *prefix, guint n, const char *others, guint n_others)
{
  const QconvShape shape = { .rank = 2, .dim = { 512, 512 } };
  Names *names = qconv_names_new ();

  for (guint i = 0; i < n + n_others; i++)
    {
      g_autofree char *name = g_strdup_printf ("%slayers.%u.weight", i < n ? prefix : others, i);

      qconv_names_add (names, name, &shape);
    }
  return names;
}

static void
assert_generic (Names *names, const char *prefix)
{
  g_autoptr (Names) owned = names;
  g_autoptr (GError) error = NULL;
  g_autoptr (Identity) id = qconv_identify (graph_families (), owned, &error);

  g_assert_no_error (error);
  g_assert_true (id->family == qconv_families_generic (graph_families ()));
  g_assert_null (id->variant);
  g_assert_cmpstr (id->naming, ==, "original");
  g_assert_cmpstr (id->prefix, ==, prefix);
}

static void
test_generic (void)
{
  assert_generic (some_names ("", 3, "", 0), "");
  assert_generic (some_names ("model.", 3, "", 0), "model.");
  assert_generic (some_names ("model.", 2, "", 3), "");
  assert_generic (some_names ("model.diffusion_model.", 6, "first_stage_model.", 30), "model.diffusion_model.");
  assert_generic (some_names ("model.diffusion_model.", 6, "model.", 5), "model.diffusion_model.");
  assert_generic (some_names ("net.", 2, "", 0), "net.");
  assert_generic (qconv_names_new (), "");
}

/* Sizes that no model has lead to an error or to other sizes, not to a crash */
static void
test_hostile_shapes (void)
{
  const Family *f = qconv_families_find (graph_families (), "flux1");
  g_autoptr (Dims) dims = qconv_family_variant_dims (f, "dev", NULL);
  g_autoptr (GPtrArray) tensors = qconv_family_expand (f, dims, NULL);
  g_autoptr (Names) names = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < tensors->len; i++)
    {
      GraphTensor *t = g_ptr_array_index (tensors, i);

      t->shape = (QconvShape) { .rank = i % 3, .dim = { G_MAXUINT64 - i, G_MAXUINT64 } };
    }
  names = graph_names (tensors, "");
  g_assert_null (qconv_identify (graph_families (), names, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, "impossible shape"));
}

static void
test_spellings (void)
{
  const Family *f = qconv_families_find (graph_families (), "flux2");
  g_autoptr (Dims) dims = qconv_family_variant_dims (f, "klein-4b", NULL);
  g_autoptr (GPtrArray) tensors = qconv_family_expand (f, dims, NULL);
  g_autoptr (Names) names = qconv_names_new ();
  GraphModel m = { f, 0, "klein-4b", qconv_family_variant (f, "klein-4b"), dims, tensors };

  for (guint i = 0; i < tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (tensors, i);
      g_autoptr (GString) name = g_string_new (t->name);

      g_string_replace (name, "_norm.scale", "_norm.weight", 0);
      qconv_names_add (names, name->str, &t->shape);
    }
  assert_detected (&m, names, "original", "", TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/detect/prefixes", test_prefixes);
  g_test_add_func ("/graph/detect/shells", test_shells);
  g_test_add_func ("/graph/detect/namings", test_namings);
  g_test_add_func ("/graph/detect/packed", test_packed);
  g_test_add_func ("/graph/detect/generic", test_generic);
  g_test_add_func ("/graph/detect/hostile-shapes", test_hostile_shapes);
  g_test_add_func ("/graph/detect/spellings", test_spellings);
  g_test_add_func ("/graph/detect/foreign", test_foreign);
  g_test_add_func ("/graph/detect/probed", test_probed);
  return g_test_run ();
}
