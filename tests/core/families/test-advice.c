/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Advice for layers: against the counts in family files, and single cases of every rule. */
#include <string.h>

#include <json-glib/json-glib.h>

#include "families/advice.h"
#include "graph-fixture.h"
#include "small.h"

/* The sums of the advice about the layers of a model */
typedef struct {
  guint64 n[3], params[3];
} Totals;

static Totals
advise_all (const GraphModel *m, const char *scheme, guint bits)
{
  Totals totals = { { 0 }, { 0 } };

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autofree char *layer = graph_is_layer (t) ? graph_layer_name (t) : NULL;
      Advice advice;

      if (layer == NULL)
        continue;
      advice = qconv_family_advise (m->family, m->dims, scheme, bits, layer);
      totals.n[advice.kind]++;
      totals.params[advice.kind] += graph_n_items (t);
      g_assert_true ((advice.fallback != NULL) == (advice.kind == ADVICE_FALLBACK));
      g_assert_true (advice.why != NULL || advice.kind == ADVICE_TARGET);
    }
  return totals;
}

static void
assert_count (const GraphModel *m, const char *scheme, JsonObject *want, const char *member, guint64 got)
{
  if (json_object_has_member (want, member) && (guint64) json_object_get_int_member (want, member) != got)
    g_error ("%s %s %s: %s is %" G_GUINT64_FORMAT ", not %" G_GINT64_FORMAT, qconv_family_id (m->family), m->variant,
             scheme, member, got, json_object_get_int_member (want, member));
}

/* Returns the counts that the family file gives for the variant, which nothing but tests reads. Parses each file once.
 */
static JsonObject *
statistics_of (const GraphModel *m)
{
  static GHashTable *files; /* Family -> JsonNode */
  JsonNode *root = files != NULL ? g_hash_table_lookup (files, m->family) : NULL, *all;

  if (files == NULL)
    files = g_hash_table_new (NULL, NULL);
  if (root == NULL)
    {
      g_autofree char *text = NULL;
      g_autoptr (GError) error = NULL;

      g_file_get_contents (qconv_family_path (m->family), &text, NULL, &error);
      g_assert_no_error (error);
      root = json_from_string (text, &error);
      g_assert_no_error (error);
      g_hash_table_insert (files, (gpointer) m->family, root);
    }
  all = json_object_get_member (json_node_get_object (root), "preset_stats");
  return all != NULL && json_object_has_member (json_node_get_object (all), m->variant)
             ? json_object_get_object_member (json_node_get_object (all), m->variant)
             : NULL;
}

static void
check_statistics (const GraphModel *m, gpointer data)
{
  JsonObject *stats = statistics_of (m);
  g_autoptr (GList) schemes = stats != NULL ? json_object_get_members (stats) : NULL;

  guint way = 0, n_ways = g_list_length (schemes);

  for (GList *l = schemes; l != NULL; l = l->next, way++)
    {
      const char *scheme = l->data;
      guint bits = strstr (scheme, "fp4") != NULL || strcmp (scheme, "nf4") == 0 ? 4 : 8;
      JsonObject *want;
      Totals got;

      if (graph_skips (m, way, n_ways) || !JSON_NODE_HOLDS_OBJECT (json_object_get_member (stats, scheme)))
        continue;
      want = json_object_get_object_member (stats, scheme);
      got = advise_all (m, scheme, bits);
      assert_count (m, scheme, want, "quantized", got.n[ADVICE_TARGET]);
      assert_count (m, scheme, want, "quantized_params", got.params[ADVICE_TARGET]);
      assert_count (m, scheme, want, "fallback_fp8", got.n[ADVICE_FALLBACK]);
      assert_count (m, scheme, want, "kept", got.n[ADVICE_KEEP]);
      assert_count (m, scheme, want, "kept_params", got.params[ADVICE_KEEP]);
      assert_count (m, scheme, want, "w4a4", got.n[ADVICE_TARGET]);
      assert_count (m, scheme, want, "awq_int4", got.n[ADVICE_FALLBACK]);
      (*(guint *) data)++;
    }
}

/* Tests that the advice agrees with the counts in the family files */
static void
test_statistics (void)
{
  guint n = 0;

  graph_each_model (check_statistics, &n);
  g_test_message ("%u models and schemes", n);
  g_assert_cmpuint (n, >, test_is_small () ? 100 : 600);
}

static const struct {
  const char *id;
  guint bits;
} schemes[] = { { "fp8", 8 },   { "fp8_row", 8 },      { "fp8_block", 8 }, { "int8", 8 }, { "int8_block", 8 },
                { "mxfp8", 8 }, { "bnb_int8", 8 },     { "nvfp4", 4 },     { "nf4", 4 },  { "fp4", 4 },
                { "af4", 4 },   { "convrot_w4a4", 4 }, { "w4a8", 4 },      { "w6a8", 6 }, { "awq", 4 },
                { "mxfp4", 4 }, { "unheard_of", 3 },   { "unheard_of", 8 } };

static void
check_probed (const GraphModel *m, gpointer data)
{
  FamilyTexts list = qconv_family_data (m->family)->never_pack;

  for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
    for (guint i = 0; list != NULL && list[i] != NULL; i++)
      {
        const char *name = list[i];
        g_autofree char *layer = g_strndup (name, strlen (name) - strlen (".weight"));
        Advice advice = qconv_family_advise (m->family, m->dims, schemes[s].id, schemes[s].bits, layer);

        g_assert_true (g_str_has_suffix (name, ".weight"));
        g_assert_true (qconv_family_is_probed (m->family, layer));
        if (schemes[s].bits < 8)
          g_assert_cmpint (advice.kind, ==, ADVICE_KEEP);
        (*(guint *) data)++;
      }
}

/* Weights by whose shape loaders tell models apart are never packed */
static void
test_probed (void)
{
  guint n = 0;

  graph_each_model (check_probed, &n);
  g_test_message ("%u layers and schemes", n);
  g_assert_cmpuint (n, >, 1000);
  g_assert_false (qconv_family_is_probed (qconv_families_find (graph_families (), "flux1"), "img"));
}

static void
check_operations (const GraphModel *m, gpointer data)
{
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autofree char *layer = g_str_has_suffix (t->name, ".weight") ? graph_layer_name (t) : NULL;
      Advice advice;

      if (layer == NULL || strcmp (t->op, "linear") == 0)
        continue;
      advice = qconv_family_advise (m->family, m->dims, "fp8", 8, layer);
      g_assert_cmpint (advice.kind, ==, ADVICE_KEEP);
      g_assert_cmpstr (advice.why, ==, t->op);
      (*(guint *) data)++;
    }
}

/* Convolutions, norms, embeddings and layers that loaders cannot build quantized are kept */
static void
test_operations (void)
{
  guint n = 0;

  graph_each_model (check_operations, &n);
  g_test_message ("%u tensors", n);
  g_assert_cmpuint (n, >, 10000);
}

/* A question: the advice about @layer of @variant (nullable) of @family for @scheme */
typedef struct {
  const char *family, *variant, *scheme;
  guint bits;
  const char *layer;
} Question;

#define ASK(...) (&(Question) { __VA_ARGS__ })

static void
assert_advice (const Question *q, AdviceKind kind, const char *fallback)
{
  const Family *f = qconv_families_find (graph_families (), q->family);
  g_autoptr (Dims) dims = q->variant != NULL ? qconv_family_variant_dims (f, q->variant, NULL) : NULL;
  Advice advice;

  g_assert_nonnull (f);
  advice = qconv_family_advise (f, dims, q->scheme, q->bits, q->layer);
  if (advice.kind != kind || g_strcmp0 (advice.fallback, fallback) != 0)
    g_error ("%s %s %s: %d %s, not %d %s", q->family, q->scheme, q->layer, advice.kind, advice.fallback, kind,
             fallback);
}

static void
test_presets (void)
{
  /* A scheme without a preset of its own takes the preset that the base names, else the preset for its number of
     bits */
  assert_advice (ASK ("flux1", "dev", "awq", 4, "double_blocks.0.img_mod.lin"), ADVICE_FALLBACK, "fp8");
  assert_advice (ASK ("flux1", "dev", "fp8_row", 8, "double_blocks.0.img_mod.lin"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("flux1", "dev", "unheard_of", 6, "double_blocks.0.img_mod.lin"), ADVICE_FALLBACK, "fp8");
  assert_advice (ASK ("flux1", "dev", "unheard_of", 7, "double_blocks.0.img_mod.lin"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("flux1", "dev", "unheard_of", 7, "final_layer.linear"), ADVICE_KEEP, NULL);
  /* A partition quantizes only the layers that it lists */
  assert_advice (ASK ("flux1", "dev", "svdq_fp4", 4, "double_blocks.0.img_mlp.0"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("flux1", "dev", "svdq_fp4", 4, "double_blocks.0.img_mod.lin"), ADVICE_FALLBACK, "awq");
  assert_advice (ASK ("flux1", "ovis-image", "svdq_fp4", 4, "double_blocks.0.img_mlp.gate_proj"), ADVICE_KEEP, NULL);
}

static void
test_blocks (void)
{
  const Family *f = qconv_families_find (graph_families (), "ltx2");

  g_assert_nonnull (f);
  for (guint i = 0; i < 48; i++)
    {
      g_autofree char *layer = g_strdup_printf ("transformer_blocks.%u.attn1.to_q", i);

      assert_advice (ASK ("ltx2", "2.0-19b", "nvfp4", 4, layer), i < 2 || i >= 46 ? ADVICE_KEEP : ADVICE_TARGET, NULL);
      /* Without dimensions no block counts as one of the last */
      assert_advice (ASK ("ltx2", NULL, "nvfp4", 4, layer), i < 2 ? ADVICE_KEEP : ADVICE_TARGET, NULL);
    }
  /* If there are only two blocks, both are first */
  assert_advice (ASK ("ltx2", "tiny", "nvfp4", 4, "transformer_blocks.1.attn1.to_q"), ADVICE_KEEP, NULL);
  assert_advice (ASK ("ltx2", "tiny", "nvfp4", 4, "transformer_blocks.2.attn1.to_q"), ADVICE_TARGET, NULL);
}

static void
test_unknown_names (void)
{
  /* Names without a template: the family's role rules decide, then the lists for all families */
  assert_advice (ASK ("flux1", "dev", "fp8", 8, "double_blocks.99.img_mlp.0"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("wan", "2.1-t2v-14b", "fp8", 8, "motion_encoder.more"), ADVICE_KEEP, NULL);
  assert_advice (ASK ("wan", "2.1-t2v-14b", "fp8", 8, "x_embedder.proj"), ADVICE_KEEP, NULL);
  assert_advice (ASK ("generic", NULL, "fp8", 8, "img_in"), ADVICE_KEEP, NULL);
  assert_advice (ASK ("generic", NULL, "nvfp4", 4, "blocks.3.attn.to_q"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("generic", NULL, "fp8", 8, "blocks.3.img_mod.1"), ADVICE_TARGET, NULL);
  assert_advice (ASK ("generic", NULL, "nvfp4", 4, "blocks.3.img_mod.1"), ADVICE_FALLBACK, "fp8");
  assert_advice (ASK ("generic", NULL, "fp8", 8, ""), ADVICE_TARGET, NULL);
  g_assert_cmpuint (qconv_family_least_dim (qconv_families_find (graph_families (), "flux1")), ==, 256);
}

static void
test_roles (void)
{
  const Family *f = qconv_families_find (graph_families (), "flux1");
  const Family *generic = qconv_families_generic (graph_families ());

  g_assert_cmpstr (qconv_family_role (f, NULL, "double_blocks.3.img_attn.qkv.weight"), ==, "attn_qkv");
  g_assert_cmpstr (qconv_family_class (f, NULL, "double_blocks.3.img_attn.qkv.weight"), ==, "core");
  g_assert_cmpstr (qconv_family_class (f, NULL, "img_in.weight"), ==, "io");
  g_assert_cmpstr (qconv_family_role (f, NULL, "somewhere.down_proj.weight"), ==, "ffn_down");
  g_assert_cmpstr (qconv_family_role (generic, NULL, "layers.0.q_proj.weight"), ==, "attn_q");
  g_assert_null (qconv_family_role (generic, NULL, "nothing"));
  g_assert_null (qconv_family_class (generic, NULL, "layers.0.q_proj.weight"));
}

static void
test_full_precision (void)
{
  const Family *f = qconv_families_find (graph_families (), "wan");
  const char *cross = "blocks.3.cross_attn.q", *self = "blocks.3.self_attn.q";

  g_assert_true (qconv_family_advise (f, NULL, "nvfp4", 4, cross).full_precision_mm);
  g_assert_false (qconv_family_advise (f, NULL, "nvfp4", 4, self).full_precision_mm);
  g_assert_false (qconv_family_advise (f, NULL, "fp8", 8, cross).full_precision_mm);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/advice/statistics", test_statistics);
  g_test_add_func ("/graph/advice/probed", test_probed);
  g_test_add_func ("/graph/advice/operations", test_operations);
  g_test_add_func ("/graph/advice/presets", test_presets);
  g_test_add_func ("/graph/advice/blocks", test_blocks);
  g_test_add_func ("/graph/advice/unknown-names", test_unknown_names);
  g_test_add_func ("/graph/advice/roles", test_roles);
  g_test_add_func ("/graph/advice/full-precision", test_full_precision);
  return g_test_run ();
}
