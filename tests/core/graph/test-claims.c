/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the way from claims to layers: each case is a reader of its own over one small directory. */
#include <string.h>

#include "claim-cases.h"
#include "graph/codes.h"
#include "qconv.h"
#include "toy.h"

/* The directory that all cases claim in */
static const struct {
  const char *name;
  QconvDType dtype;
  QconvShape shape;
} tensors[] = {
  { "a.weight", QCONV_I8, { 2, { 12, 16 } } },      { "a.scale", QCONV_F32, { 1, { 3 } } },
  { "a.bias", QCONV_F32, { 1, { 12 } } },           { "a.row_scale", QCONV_F32, { 2, { 3, 1 } } },
  { "a.short_scale", QCONV_F32, { 1, { 2 } } },     { "a.narrow_scale", QCONV_BF16, { 1, { 3 } } },
  { "a.wide_scale", QCONV_F64, { 1, { 3 } } },      { "a.bytes", QCONV_U8, { 2, { 12, 16 } } },
  { "a.turned", QCONV_I8, { 2, { 16, 12 } } },      { "a.input_scale", QCONV_F32, { 1, { 1 } } },
  { "model.b", QCONV_I8, { 2, { 12, 16 } } },       { "b.scale", QCONV_F32, { 1, { 3 } } },
  { "blocks.weight", QCONV_OPAQUE, { 1, { 64 } } }, { "c.weight", QCONV_F16, { 2, { 4, 6 } } },
  { "a.scalar", QCONV_F32, { 2, { 1, 1 } } },
};

static void
world_init (World *w)
{
  g_autoptr (GBytes) bytes = g_bytes_new_take (g_malloc0 (4096), 4096);
  g_autoptr (GError) error = NULL;

  w->source = qconv_source_new_for_bytes (bytes, "test");
  w->d = qconv_directory_new ("box", w->source);
  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    {
      QconvTensor t = {
        .name = tensors[i].name, .dtype = tensors[i].dtype, .type = "Q1", .shape = tensors[i].shape, .source = w->source
      };

      qconv_shape_bytes (&t.shape, t.dtype, &t.n_bytes);
      qconv_directory_add (w->d, &t, &error);
      g_assert_no_error (error);
    }
  w->claims = qconv_claims_new (w->d, FALSE);
}

static void
world_clear (World *w)
{
  qconv_claims_free (w->claims);
  qconv_directory_free (w->d);
  qconv_source_free (w->source);
}

static QconvClaim *
claim_a (const World *w, const char *codes, const char *scale)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", NULL, 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, world_tensor (w, codes), NULL);
  if (scale != NULL)
    qconv_claim_bind (l, "scale", NULL, world_tensor (w, scale), NULL);
  return l;
}

static const SourceLayer *
find_layer (GPtrArray *layers, const char *name)
{
  for (guint i = 0; i < layers->len; i++)
    if (strcmp (((const SourceLayer *) g_ptr_array_index (layers, i))->name, name) == 0)
      return g_ptr_array_index (layers, i);
  return NULL;
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autoptr (GPtrArray) layers = NULL;
  g_autoptr (GError) error = NULL;
  const SourceLayer *s;
  QconvClaim *l;
  World w;

  toy_reset ();
  world_init (&w);
  if (!k->opaque)
    qconv_claims_drop (w.claims, world_tensor (&w, "blocks.weight"));
  l = k->codes != NULL ? claim_a (&w, k->codes, k->scale) : NULL;
  if (k->claim != NULL)
    k->claim (&w, l);
  layers = qconv_claims_finish (w.claims, &error);
  if (k->error != NULL)
    {
      g_assert_null (layers);
      toy_assert_error (error, (gint) k->code, k->error);
      world_clear (&w);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpuint (layers->len, ==, G_N_ELEMENTS (tensors) - k->gone);
  s = find_layer (layers, k->layer);
  g_assert_nonnull (s);
  g_assert_cmpstr (s->plain_name, ==, k->plain_name);
  g_assert_cmpstr (s->layer->pub.scheme, ==, k->scheme);
  g_assert_cmpuint (s->bytes, ==, k->bytes);
  g_assert_cmpuint (s->layer->pub.n_components, ==, g_strv_length ((char **) k->components));
  for (guint i = 0; k->components[i] != NULL; i++)
    g_assert_cmpstr (s->layer->pub.components[i]->name, ==, k->components[i]);
  world_clear (&w);
}

/* Tests that a claimed layer takes the place of its first tensor */
static void
test_order (void)
{
  static const char *const names[] = { "a", "a.bias", "a.row_scale" };
  g_autoptr (GPtrArray) layers = NULL;
  World w;

  toy_reset ();
  world_init (&w);
  qconv_claims_drop (w.claims, world_tensor (&w, "blocks.weight"));
  claim_a (&w, "a.weight", "a.scale");
  layers = qconv_claims_finish (w.claims, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_cmpstr (((const SourceLayer *) g_ptr_array_index (layers, i))->name, ==, names[i]);
  world_clear (&w);
}

/* Tests that statements of a reader about a layer arrive */
static void
test_said (void)
{
  static const QconvReader reader = { .id = "mine" };
  g_autoptr (GPtrArray) layers = NULL;
  const SourceLayer *s;
  QconvClaim *l;
  World w;

  toy_reset ();
  world_init (&w);
  qconv_claims_set_reader (w.claims, &reader);
  qconv_claims_drop (w.claims, world_tensor (&w, "blocks.weight"));
  l = claim_a (&w, "a.weight", "a.scale");
  qconv_claim_cost (l, 6, 100);
  qconv_claim_hint (l, "colour", "red");
  qconv_claim_hint (l, "colour", "blue");
  qconv_claims_warn (w.claims, "tensor %u", 1u);
  qconv_claims_drop_metadata (w.claims, "key");
  g_assert_true (qconv_claims_taken (w.claims, world_tensor (&w, "a.scale")));
  g_assert_true (qconv_claims_taken (w.claims, world_tensor (&w, "blocks.weight")));
  g_assert_false (qconv_claims_taken (w.claims, world_tensor (&w, "a.bias")));
  g_assert_false (qconv_claims_allow_nonfinite (w.claims));
  g_assert_true (qconv_claims_metadata_dropped (w.claims, "key"));
  g_assert_false (qconv_claims_metadata_dropped (w.claims, "other"));
  g_assert_cmpstr (g_ptr_array_index (qconv_claims_warnings (w.claims), 0), ==, "tensor 1");
  layers = qconv_claims_finish (w.claims, NULL);
  s = find_layer (layers, "a");
  g_assert_cmpuint (s->min_rows, ==, 6);
  g_assert_cmpuint (s->scratch, ==, 100);
  g_assert_cmpstr (s->reader->id, ==, "mine");
  g_assert_cmpint (s->layer->pub.dtype, ==, QCONV_F16);
  g_assert_cmpstr (qconv_layer_hint (&s->layer->pub, "colour"), ==, "blue");
  g_assert_null (find_layer (layers, "c")->reader);
  world_clear (&w);
}

/* Tests that unclaimed tensors which may be codes are no numbers, unless a reader or the user states it */
static void
test_judged (void)
{
  g_autoptr (GPtrArray) layers = NULL;
  g_autoptr (GError) error = NULL;
  const SourceLayer *s;
  World w;

  toy_reset ();
  world_init (&w);
  qconv_claims_drop (w.claims, world_tensor (&w, "blocks.weight"));
  g_assert_true (qconv_claims_judge (w.claims, QCONV_LIST ("^a\\.turned$"), &error));
  g_assert_no_error (error);
  qconv_claims_state_plain (w.claims, world_tensor (&w, "a.bytes"));
  g_assert_true (qconv_claims_stated_plain (w.claims, world_tensor (&w, "a.bytes")));
  g_assert_true (qconv_claims_stated_plain (w.claims, world_tensor (&w, "a.turned")));
  g_assert_false (qconv_claims_stated_plain (w.claims, world_tensor (&w, "a.weight")));
  layers = qconv_claims_finish (w.claims, &error);
  g_assert_no_error (error);
  s = find_layer (layers, "a");
  g_assert_cmpstr (s->layer->pub.scheme, ==, QCONV_UNKNOWN_SCALED);
  g_assert_nonnull (strstr (qconv_layer_hint (&s->layer->pub, QCONV_HINT_UNDECODED), "\"a.input_scale\""));
  g_assert_false (qconv_source_layer_decodes (s));
  g_assert_cmpstr (find_layer (layers, "a.bytes")->layer->pub.scheme, ==, "plain");
  g_assert_cmpstr (find_layer (layers, "a.turned")->layer->pub.scheme, ==, "plain");
  g_assert_cmpstr (find_layer (layers, "model.b")->layer->pub.scheme, ==, "plain"); /* b.scale is of another module */
  g_assert_false (qconv_claims_judge (w.claims, QCONV_LIST ("^nobody$"), &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "--allow-unscaled ^nobody$ matches no tensor");
  world_clear (&w);
}

/* Tests which neighbours make codes of a tensor */
static void
test_suspects (void)
{
  static const struct {
    QconvTensor codes, other;
    const char *why;
  } cases[] = {
    { { "m.weight", QCONV_F8_E4M3, .shape = { 2, { 8, 8 } } }, { "m.weight_scale_inv", QCONV_F32 }, "scale_inv" },
    { { "m.weight", QCONV_F8_E4M3, .shape = { 1, { 8 } } }, { "m.scale", QCONV_F32 }, "m.scale" },
    { { "m.weight._data._data", QCONV_U8, .shape = { 2, { 8, 8 } } }, { "m.weight._scale", QCONV_F32 }, "_scale" },
    { { "m.qweight", QCONV_I64, .shape = { 2, { 8, 8 } } }, { "m.scales", QCONV_F16 }, "m.scales" },
    { { "up", QCONV_U8, .shape = { 2, { 8, 8 } } }, { "up.scale", QCONV_F16 }, "up.scale" },
    { { "m.weight", QCONV_F4, .shape = { 2, { 8, 8 } } }, { "n.weight", QCONV_F16 }, QCONV_NO_NUMBERS },
    { { "m.weight", QCONV_F8_E4M3, .shape = { 2, { 8, 8 } } }, { "m.bias", QCONV_F32 }, NULL },
    { { "m.weight", QCONV_F8_E4M3, .shape = { 2, { 8, 8 } } }, { "m.inner.scale", QCONV_F32 }, NULL },
    { { "m.weight", QCONV_F8_E4M3, .shape = { 2, { 8, 8 } } }, { "mm.scale", QCONV_F32 }, NULL },
    { { "m.weight", QCONV_BF16, .shape = { 2, { 8, 8 } } }, { "m.scale", QCONV_F32 }, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GPtrArray) list = g_ptr_array_new ();
      g_autofree char *why = NULL;

      g_ptr_array_add (list, (gpointer) &cases[i].codes);
      g_ptr_array_add (list, (gpointer) &cases[i].other);
      why = qconv_codes_suspect (list, &cases[i].codes);
      g_assert_true (cases[i].why == NULL ? why == NULL : why != NULL && strstr (why, cases[i].why) != NULL);
    }
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < n_claim_cases; i++)
    {
      g_autofree char *path = g_strconcat ("/core/claims/", claim_cases[i].title, NULL);

      g_test_add_data_func (path, &claim_cases[i], test_case);
    }
  g_test_add_func ("/core/claims/order", test_order);
  g_test_add_func ("/core/claims/said", test_said);
  g_test_add_func ("/core/claims/judged", test_judged);
  g_test_add_func ("/core/claims/suspects", test_suspects);
  return g_test_run ();
}
