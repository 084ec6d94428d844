/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The things that readers do in the tests of claims, right and wrong ones. */
#include "claim-cases.h"

const QconvTensor *
world_tensor (const World *w, const char *name)
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
  qconv_claim_bind (l, "input_scale", NULL, world_tensor (w, "a.input_scale"), NULL);
}

static void
bind_constant (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, NULL, NULL);
}

static void
bind_two_tensors (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, world_tensor (w, "a.scale"), world_tensor (w, "a.short_scale"), NULL);
}

static void
state_error (const World *w, QconvClaim *l)
{
  qconv_claim_error (l, load_anything);
}

static void
bind_again (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", load_anything, world_tensor (w, "a.weight"), NULL);
}

static void
drop_weight (const World *w, QconvClaim *l)
{
  qconv_claims_drop (w->claims, world_tensor (w, "a.weight"));
}

static void
claim_parameters (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", "group=6", 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, world_tensor (w, "a.weight"), NULL);
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "a.short_scale"), NULL);
}

static void
claim_old_name (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "b", "half", NULL, 12, 16, QCONV_BF16);

  qconv_claim_bind (l, "codes", NULL, world_tensor (w, "model.b"), NULL);
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "b.scale"), NULL);
}

static void
claim_unknown_scheme (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "strange", "whatever", 12, 16, QCONV_F16);

  qconv_claim_bind (l, "anything", NULL, world_tensor (w, "a.weight"), NULL);
}

static void
set_rank (const World *w, QconvClaim *l)
{
  qconv_claim_shape (l, &(QconvShape) { 3, { 12, 4, 4 } });
}

static void
rename_tensor (const World *w, QconvClaim *none)
{
  qconv_claims_rename (w->claims, world_tensor (w, "c.weight"), "d.weight", &(QconvShape) { 3, { 4, 3, 2 } });
}

static void
rename_shape_only (const World *w, QconvClaim *none)
{
  qconv_claims_rename (w->claims, world_tensor (w, "c.weight"), NULL, &QCONV_SHAPE1 (24));
}

static void
claim_plain_as (const World *w, QconvDType dtype, QconvLoadFunc load)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a.weight", "plain", NULL, 12, 16, dtype);

  qconv_claim_bind (l, "weight", load, world_tensor (w, "a.weight"), NULL);
}

static void
claim_plain (const World *w, QconvClaim *none)
{
  claim_plain_as (w, QCONV_F16, load_anything);
}

/* ---- Things that readers must not do ---- */

static void
claim_plain_stored (const World *w, QconvClaim *none)
{
  claim_plain_as (w, QCONV_F16, NULL);
}

static void
claim_plain_nibbles (const World *w, QconvClaim *none)
{
  claim_plain_as (w, QCONV_U4, load_anything);
}

static void
claim_no_rows (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", NULL, 0, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", load_anything, world_tensor (w, "a.weight"), NULL);
}

static void
claim_no_tensor (const World *w, QconvClaim *none)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "n", "half", NULL, 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", load_anything, NULL, NULL);
}

static void
claim_unknown_type (const World *w, QconvClaim *none)
{
  claim_plain_as (w, QCONV_N_DTYPES, load_anything);
}

static void
bind_copy (const World *w, QconvClaim *l)
{
  QconvTensor copy = *world_tensor (w, "a.scale");

  qconv_claim_bind (l, "scale", NULL, &copy, NULL);
}

static void
drop_copy (const World *w, QconvClaim *l)
{
  QconvTensor copy = *world_tensor (w, "a.bias");

  qconv_claims_drop (w->claims, &copy);
}

static void
rename_copy (const World *w, QconvClaim *l)
{
  QconvTensor copy = *world_tensor (w, "a.bias");

  qconv_claims_rename (w->claims, &copy, "b.bias", NULL);
}

static void
rename_items (const World *w, QconvClaim *l)
{
  qconv_claims_rename (w->claims, world_tensor (w, "a.bias"), NULL, &QCONV_SHAPE1 (6));
}

static void
drop_bound (const World *w, QconvClaim *l)
{
  qconv_claims_drop (w->claims, world_tensor (w, "a.weight"));
}

static void
bind_twice (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "b.scale"), NULL);
}

static void
set_high_rank (const World *w, QconvClaim *l)
{
  qconv_claim_shape (l, &(QconvShape) { QCONV_MAX_RANK + 1, { 12, 16 } });
}

static void
claim_by_two (const World *w, QconvClaim *l)
{
  qconv_claim_bind (qconv_claims_layer (w->claims, "b", "half", NULL, 12, 16, QCONV_F16), "codes", NULL,
                    world_tensor (w, "a.weight"), NULL);
}

static void
bind_dropped (const World *w, QconvClaim *l)
{
  qconv_claims_drop (w->claims, world_tensor (w, "a.scale"));
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "a.scale"), NULL);
}

static void
bind_strange_component (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "zeros", NULL, world_tensor (w, "b.scale"), NULL);
}

static void
bind_two_without_load (const World *w, QconvClaim *l)
{
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "a.scale"), world_tensor (w, "a.short_scale"), NULL);
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

  qconv_claim_bind (l, "codes", NULL, world_tensor (w, "a.weight"), NULL);
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
  qconv_claims_rename (w->claims, world_tensor (w, "c.weight"), "a.bias", NULL);
}

static void
claim_a_name_twice (const World *w, QconvClaim *first)
{
  QconvClaim *l = qconv_claims_layer (w->claims, "a", "half", NULL, 12, 16, QCONV_F16);

  qconv_claim_bind (l, "codes", NULL, world_tensor (w, "a.bytes"), NULL);
  qconv_claim_bind (l, "scale", NULL, world_tensor (w, "a.row_scale"), NULL);
}

const Case claim_cases[] = {
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
  { "plain", NULL, NULL, claim_plain, .gone = 1, .layer = "a", .plain_name = "a.weight", .scheme = "plain",
    .components = { "weight" }, .bytes = 192 },
  { "plain without a load function", NULL, NULL, claim_plain_stored, "layer \"a.weight\": plugin *plain*",
    QCONV_ERROR_BUG },
  { "plain of half bytes", NULL, NULL, claim_plain_nibbles, "layer \"a.weight\": plugin *plain*", QCONV_ERROR_BUG },
  { "error of codes", "a.weight", "a.scale", state_error, "layer \"a\": plugin *states an error of numbers*",
    QCONV_ERROR_BUG },
  { "no rows", NULL, NULL, claim_no_rows, "layer \"a\": reader \"?\" claims it without rows*192 bytes",
    QCONV_ERROR_INPUT },
  { "no tensor", NULL, NULL, claim_no_tensor, "layer \"n\": plugin *: claim() of reader * binds no tensor*",
    QCONV_ERROR_BUG },
  { "unknown type", NULL, NULL, claim_unknown_type, "layer \"a.weight\": plugin *unknown type", QCONV_ERROR_BUG },
  { "tensor of nobody", "a.weight", NULL, bind_copy, "layer \"a\": plugin *not of the directory", QCONV_ERROR_BUG },
  { "dropped tensor of nobody", "a.weight", "a.scale", drop_copy, "plugin *not of the directory", QCONV_ERROR_BUG },
  { "renamed tensor of nobody", "a.weight", "a.scale", rename_copy, "plugin *not of the directory*", QCONV_ERROR_BUG },
  { "renamed to other items", "a.weight", "a.scale", rename_items,
    "plugin *gives tensor \"a.bias\" a shape of another number of items", QCONV_ERROR_BUG },
  { "bound tensor is dropped", "a.weight", "a.scale", drop_bound,
    "plugin *drops tensor \"a.weight\", which is bound to a layer", QCONV_ERROR_BUG },
  { "component bound twice", "a.weight", "a.scale", bind_twice, "layer \"a\": plugin *binds component scale twice",
    QCONV_ERROR_BUG },
  { "rank above the limit", "a.weight", "a.scale", set_high_rank, "layer \"a\": plugin *rank 17", QCONV_ERROR_BUG },
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
    "layer \"a\": plugin *component zeros, which scheme half lacks", QCONV_ERROR_BUG },
  { "two tensors without load", "a.weight", NULL, bind_two_without_load,
    "layer \"a\": plugin *scale without a load function to 2*", QCONV_ERROR_BUG },
  { "no tensor without load", "a.weight", NULL, bind_none_without_load,
    "layer \"a\": plugin *scale without a load function to 0*", QCONV_ERROR_BUG },
  { "unknown parameter", NULL, NULL, claim_wrong_parameters, "layer \"a\": *grope*", QCONV_ERROR_INPUT },
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
const guint n_claim_cases = G_N_ELEMENTS (claim_cases);
