/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the way from claims to layers: each case is a reader of its own over one small directory. */
#include "graph/claims.h"

#include <string.h>

#include "io/directory.h"
#include "io/source.h"
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

typedef struct {
  QconvSource *source;
  QconvDirectory *d;
  QconvClaims *claims;
} World;

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

static const QconvTensor *
tensor (const World *w, const char *name)
{
  const QconvTensor *t = qconv_directory_find (w->d, name);

  g_assert_nonnull (t);
  return t;
}

static gboolean
load_anything (const QconvLoad *load, GError **error)
{
  return TRUE;
}

/* ---- Things that readers may do beside or instead of claiming the layer @l ---- */

static void
bind_given (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "input_scale", NULL, tensor (w, "a.input_scale"), NULL);
}

static void
bind_constant (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, NULL, NULL);
}

static void
bind_two_tensors (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, tensor (w, "a.scale"), tensor (w, "a.short_scale"), NULL);
}

static void
bind_again (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, tensor (w, "a.weight"), NULL);
}

static void
drop_weight (const World *w, QconvClaim *l)
{
  qconv_claims_drop (w->claims, tensor (w, "a.weight"));
}

static void
claim_parameters (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", "group=6", 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, tensor (w, "a.weight"), NULL);
  qconv_claim_bind (l, "scale", NULL, tensor (w, "a.short_scale"), NULL);
}

static void
claim_old_name (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "b", "half", NULL, 12, 16, QCONV_BF16);

  qconv_claim_bind (l, "codes", NULL, tensor (w, "model.b"), NULL);
  qconv_claim_bind (l, "scale", NULL, tensor (w, "b.scale"), NULL);
}

static void
claim_unknown_scheme (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "strange", "whatever", 12, 16, QCONV_F16);

  qconv_claim_bind (l, "anything", NULL, tensor (w, "a.weight"), NULL);
}

static void
set_rank (const World *w, QconvClaim *l)
{
  qconv_claim_shape (l, &(QconvShape) { 3, { 12, 4, 4 } });
}

static void
rename_tensor (const World *w, QconvClaim *none)
{
  qconv_claims_rename (w->claims, tensor (w, "c.weight"), "d.weight", &(QconvShape) { 3, { 4, 3, 2 } });
}

static void
rename_shape_only (const World *w, QconvClaim *none)
{
  qconv_claims_rename (w->claims, tensor (w, "c.weight"), NULL, &QCONV_SHAPE1 (24));
}

/* ---- Things that readers must not do ---- */

static void
claim_plain (const World *w, QconvClaim *none)
{
  qconv_claims_layer (w->claims, "a", "plain", NULL, 12, 16, QCONV_F16);
}

static void
claim_by_two (const World *w, QconvClaim *l)
{
  qconv_claim_bind (qconv_claims_layer (w->claims, "b", "half", NULL, 12, 16, QCONV_F16), "codes", NULL,
                    tensor (w, "a.weight"), NULL);
}

static void
bind_dropped (const World *w, QconvClaim *l)
{
  qconv_claims_drop (w->claims, tensor (w, "a.scale"));
  qconv_claim_bind (l, "scale", NULL, tensor (w, "a.scale"), NULL);
}

static void
bind_strange_component (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "zeros", NULL, tensor (w, "b.scale"), NULL);
}

static void
bind_two_without_load (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", NULL, tensor (w, "a.scale"), tensor (w, "a.short_scale"), NULL);
}

static void
bind_none_without_load (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", NULL, NULL, NULL);
}

static void
claim_sizes (const World *w, const char *parameters, guint64 rows, guint64 cols)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", parameters, rows, cols, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, tensor (w, "a.weight"), NULL);
  qconv_claim_bind (l, "scale", load_anything, NULL, NULL);
}

static void
claim_wrong_parameters (const World *w, QconvClaim *none)
{
  claim_sizes (w, "grope=4", 12, 16);
}

static void
claim_other_rows (const World *w, QconvClaim *none)
{
  claim_sizes (w, NULL, 13, 16);
}

static void
claim_overflow (const World *w, QconvClaim *none)
{
  claim_sizes (w, NULL, (guint64) 1 << 33, (guint64) 1 << 33);
}

static void
claim_odd_columns (const World *w, QconvClaim *none)
{
  claim_sizes (w, NULL, 32, 6);
}

static void
set_area (const World *w, QconvClaim *l)
{
  qconv_claim_shape (l, &(QconvShape) { 3, { 12, 4, 5 } });
}

static void
rename_onto_another (const World *w, QconvClaim *none)
{
  qconv_claims_rename (w->claims, tensor (w, "c.weight"), "a.bias", NULL);
}

static void
claim_a_name_twice (const World *w, QconvClaim *first)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", NULL, 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, tensor (w, "a.bytes"), NULL);
  qconv_claim_bind (l, "scale", NULL, tensor (w, "a.row_scale"), NULL);
}

/* ---- Cases ---- */

/**
 * Case: a reader claims layer "a" with these tensors, if @codes is set, then does @claim.
 * @scale, @claim: (nullable)
 * @opaque: the reader does not claim the opaque tensor
 * @error: (nullable): the message of qconv_claims_finish(), with @code; else a layer that must come out:
 * @gone: tensors that are no layers of their own
 */
typedef struct {
  const char *title, *codes, *scale;
  void (*claim) (const World *w, QconvClaim *l);
  const char *error;
  QconvError code;
  gboolean opaque;
  guint gone;
  const char *layer, *plain_name, *scheme;
  const char *components[4];
  guint64 bytes;
} Case;

#define LAYER_A .layer = "a", .plain_name = "a.weight", .scheme = "half", .components = { "codes", "scale" }

static const Case cases[] = {
  { "what is left is plain", .gone = 1, .layer = "c", .plain_name = "c.weight", .scheme = "plain",
    .components = { "weight" }, .bytes = 48 },
  { "layer", "a.weight", "a.scale", .gone = 2, LAYER_A, .bytes = 204 },
  { "bias stays plain", "a.weight", "a.scale", .gone = 2, .layer = "a.bias", .plain_name = "a.bias", .scheme = "plain",
    .components = { "weight" }, .bytes = 48 },
  { "ones in a shape", "a.weight", "a.row_scale", .gone = 2, LAYER_A, .bytes = 204 },
  { "narrower float", "a.weight", "a.narrow_scale", .gone = 2, LAYER_A, .bytes = 198 },
  { "another kind of byte", "a.bytes", "a.scale", drop_weight, .gone = 3, LAYER_A, .bytes = 204 },
  { "optional component", "a.weight", "a.scale", bind_given, .gone = 3, .layer = "a", .plain_name = "a.weight",
    .scheme = "half", .components = { "codes", "scale", "input_scale" }, .bytes = 208 },
  { "constant component", "a.weight", NULL, bind_constant, .gone = 1, LAYER_A, .bytes = 192 },
  { "component of two tensors", "a.weight", NULL, bind_two_tensors, .gone = 3, LAYER_A, .bytes = 212 },
  { "tensor of two components", "a.weight", NULL, bind_again, .gone = 1, LAYER_A, .bytes = 192 },
  { "parameters", NULL, NULL, claim_parameters, .gone = 2, LAYER_A, .bytes = 200 },
  { "the tensor has the layer's name", NULL, NULL, claim_old_name, .gone = 2, .layer = "b", .plain_name = "b",
    .scheme = "half", .components = { "codes", "scale" }, .bytes = 204 },
  { "scheme without plugin", NULL, NULL, claim_unknown_scheme, .gone = 1, .layer = "a", .plain_name = "a.weight",
    .scheme = "strange", .bytes = 192 },
  { "other rank", "a.weight", "a.scale", set_rank, .gone = 2, LAYER_A, .bytes = 204 },
  { "renamed", NULL, NULL, rename_tensor, .gone = 1, .layer = "d", .plain_name = "d.weight", .scheme = "plain",
    .components = { "weight" }, .bytes = 48 },
  { "reshaped", NULL, NULL, rename_shape_only, .gone = 1, .layer = "c", .plain_name = "c.weight", .scheme = "plain",
    .components = { "weight" }, .bytes = 48 },
  { "plain is claimed", NULL, NULL, claim_plain, "layer \"a\"*plain*", QCONV_ERROR_BUG },
  { "tensor of two layers", "a.weight", "a.scale", claim_by_two, "tensor \"a.weight\" belongs to two layers",
    QCONV_ERROR_INPUT },
  { "dropped tensor is claimed", "a.weight", NULL, bind_dropped, "tensor \"a.scale\" belongs to two layers",
    QCONV_ERROR_INPUT },
  { "opaque tensor is left", "a.weight", "a.scale", NULL, "tensor \"blocks.weight\": its type Q1*",
    QCONV_ERROR_UNSUPPORTED, .opaque = TRUE },
  { "component is missing", "a.weight", NULL, NULL, "layer \"a\": component scale is missing", QCONV_ERROR_INPUT },
  { "too few items", "a.weight", "a.short_scale", NULL,
    "layer \"a\": tensor \"a.short_scale\" has 2 items where 3 are needed", QCONV_ERROR_INPUT },
  { "wider float", "a.weight", "a.wide_scale", NULL, "layer \"a\": tensor \"a.wide_scale\" is F64 where F32 is needed",
    QCONV_ERROR_INPUT },
  { "wider codes", "c.weight", "a.scale", NULL, "layer \"a\": tensor \"c.weight\" is F16 where I8 is needed",
    QCONV_ERROR_INPUT },
  { "transposed", "a.turned", "a.scale", NULL, "layer \"a\": tensor \"a.turned\" *", QCONV_ERROR_INPUT },
  { "component that the scheme lacks", "a.weight", "a.scale", bind_strange_component,
    "layer \"a\": scheme half has no component zeros", QCONV_ERROR_BUG },
  { "two tensors without load", "a.weight", NULL, bind_two_without_load, "layer \"a\": component scale *",
    QCONV_ERROR_BUG },
  { "no tensor without load", "a.weight", NULL, bind_none_without_load, "layer \"a\": component scale *",
    QCONV_ERROR_BUG },
  { "unknown parameter", NULL, NULL, claim_wrong_parameters, "*grope*", QCONV_ERROR_OPTION },
  { "other rows", NULL, NULL, claim_other_rows, "layer \"a\": tensor \"a.weight\" has 192 items where 208 are needed",
    QCONV_ERROR_INPUT },
  { "overflow", NULL, NULL, claim_overflow, "layer \"a\": *", QCONV_ERROR_INPUT },
  { "other area", "a.weight", "a.scale", set_area, "layer \"a\": its shape does not hold its rows", QCONV_ERROR_INPUT },
  { "shape that the scheme refuses", NULL, NULL, claim_odd_columns, "layer \"a\": columns come in fours",
    QCONV_ERROR_UNSUPPORTED },
  { "renamed to a name that is there", NULL, NULL, rename_onto_another, "two layers are called \"a.bias\"",
    QCONV_ERROR_INPUT },
  { "two layers of one name", "a.weight", "a.scale", claim_a_name_twice, "two layers are called \"a.weight\"",
    QCONV_ERROR_INPUT },
};

static QconvClaim *
claim_a (const World *w, const char *codes, const char *scale)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", NULL, 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, tensor (w, codes), NULL);
  if (scale != NULL)
    qconv_claim_bind (l, "scale", NULL, tensor (w, scale), NULL);
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
    qconv_claims_drop (w.claims, tensor (&w, "blocks.weight"));
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
  qconv_claims_drop (w.claims, tensor (&w, "blocks.weight"));
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
  qconv_claims_drop (w.claims, tensor (&w, "blocks.weight"));
  l = claim_a (&w, "a.weight", "a.scale");
  qconv_claim_cost (l, 6, 100);
  qconv_claim_hint (l, "colour", "red");
  qconv_claim_hint (l, "colour", "blue");
  qconv_claims_warn (w.claims, "tensor %u", 1u);
  qconv_claims_drop_metadata (w.claims, "key");
  g_assert_true (qconv_claims_taken (w.claims, tensor (&w, "a.scale")));
  g_assert_true (qconv_claims_taken (w.claims, tensor (&w, "blocks.weight")));
  g_assert_false (qconv_claims_taken (w.claims, tensor (&w, "a.bias")));
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

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/claims/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/core/claims/order", test_order);
  g_test_add_func ("/core/claims/said", test_said);
  return g_test_run ();
}
