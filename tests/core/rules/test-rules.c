/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests which rule decides about a layer, and the decision: whole plans of small models, one row a case. */
#include <string.h>

#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

/* A model of no known family; the generic family keeps "head", "whole" keeps "last" and has ".mod" as half */
static const ToyTensor unknown[] = {
  FLOATS ("a.weight", 12, 16),
  { .name = "a.bias", .dtype = QCONV_F32, .shape = { 1, { 12 } } },
  FLOATS ("b.weight", 12, 16),
  FLOATS ("x.mod.weight", 16, 16),
  FLOATS ("head.weight", 16, 16),
  FLOATS ("last.weight", 16, 16),
  FLOATS ("first.weight", 16, 16),
  FLOATS ("small.weight", 4, 16),
  FLOATS ("odd.weight", 12, 20),
  FLOATS ("bad.weight", 12, 18),
  { .name = "numbers.weight", .dtype = QCONV_I32, .shape = { 2, { 16, 16 } } },
  { .name = "half.weight", .dtype = QCONV_BF16, .shape = { 2, { 16, 16 } } },
  FLOATS ("vae.part.weight", 16, 16),
  FLOATS ("table", 16, 16),
  { NULL },
};
/* A model that families/toyland.json knows */
static const ToyTensor known[] = {
  FLOATS ("model.door.weight", 16, 16),
  { .name = "model.door.bias", .dtype = QCONV_F32, .shape = { 1, { 16 } } },
  FLOATS ("model.mat.weight", 16, 16),
  FLOATS ("model.stairs.weight", 16, 16),
  FLOATS ("model.tables.0.up.weight", 4, 8),
  FLOATS ("model.tables.0.mod.weight", 16, 16),
  FLOATS ("model.tables.1.up.weight", 4, 8),
  FLOATS ("model.tables.1.mod.weight", 16, 16),
  FLOATS ("model.strange.weight", 16, 16),
  FLOATS ("vae.part.weight", 16, 16),
  { NULL },
};

/* Both have as many items as --skip-inefficient asks for */
static const ToyTensor large[] = { FLOATS ("square.weight", 512, 512), FLOATS ("thin.weight", 32, 8192), { NULL } };

/* One layer of the plan */
typedef struct {
  const char *name, *scheme, *rule, *how;
} Want;

/**
 * Case: a job and the plan or the error that it must give.
 * @model: @unknown if NULL
 * @source: (nullable): target that the model is converted to first
 * @source_keep, @source_only: (nullable): --keep and --only of that
 * @config: (nullable): text of a --layer-config
 * @like: (nullable): target that a copy of the model is converted to for --like
 * @like_keep: (nullable): --keep of that
 * @code, @error: the code and the message with which the plan must fail
 */
typedef struct {
  const char *title;
  const ToyTensor *model;
  const char *source, *source_keep, *source_only;
  QconvJob job;
  const char *layers[4];
  const char *config;
  const char *like, *like_keep;
  Want want[9];
  QconvError code;
  const char *error;
} Case;

static const Case cases[] = {
  /* No rule of the user */
  { "target", .job = { .target = "half-toy" },
    .want = { { "a", "half", "target", "encode" },
              { "x.mod", "half", "target", "encode" },
              { "half", "half", "target", "encode" } } },
  { "generic family keeps", .job = { .target = "half-toy" }, .want = { { "head", "plain", "family", "copy" } } },
  { "family keeps for one scheme", .job = { .target = "whole-toy" },
    .want = { { "last", "plain", "family", "copy" }, { "a", "whole", "target", "encode" } } },
  { "family keeps not for another", .job = { .target = "half-toy" },
    .want = { { "last", "half", "target", "encode" } } },
  { "size", .job = { .target = "half-toy" }, .want = { { "small", "plain", "size", "copy" } } },
  { "columns", .job = { .target = "half-toy" }, .want = { { "odd", "plain", "shape", "copy" } } },
  { "shape", .job = { .target = "half-toy" },
    .want = { { "bad", "plain", "shape", "copy" }, { "numbers", "plain", "shape", "copy" } } },
  { "shape is the scheme's", .job = { .target = "whole-toy" }, .want = { { "bad", "whole", "target", "encode" } } },
  { "probed weight of one size", .job = { .target = "half-toy" }, .want = { { "first", "half", "target", "encode" } } },
  { "probed weight of another size", .job = { .target = "once-toy" },
    .want = { { "first", "plain", "probed", "copy" }, { "a", "once", "target", "encode" } } },
  { "skip inefficient: few items", .job = { .target = "half-toy", .rules.skip_inefficient = TRUE },
    .want = { { "a", "plain", "size", "copy" } } },
  { "skip inefficient: lopsided", large, .job = { .target = "half-toy", .rules.skip_inefficient = TRUE },
    .want = { { "square", "half", "target", "encode" }, { "thin", "plain", "size", "copy" } } },
  { "inefficient", large, .job = { .target = "half-toy" }, .want = { { "thin", "half", "target", "encode" } } },
  /* A family */
  { "template", known, .job = { .target = "half-toy" },
    .want = { { "model.tables.1.up", "half", "target", "encode" }, { "model.door", "half", "target", "encode" } } },
  { "family keeps", known, .job = { .target = "half-toy" },
    .want = { { "model.stairs", "plain", "family", "copy" }, { "model.mat", "plain", "family", "copy" } } },
  { "no part of the family", known, .job = { .target = "half-toy" },
    .want = { { "model.strange", "plain", "family", "copy" }, { "vae.part", "plain", "family", "copy" } } },
  { "probed of the family", known, .job = { .target = "once-toy" },
    .want = { { "model.door", "plain", "probed", "copy" } } },
  { "family's own fallback", known, .job = { .target = "whole-toy" },
    .want = { { "model.tables.0.mod", "half", "fallback", "encode" },
              { "model.tables.0.up", "whole", "target", "encode" },
              { "model.stairs", "plain", "family", "copy" } } },
  { "generic fallback", .job = { .target = "whole-toy" },
    .want = { { "x.mod", "half", "fallback", "encode" }, { "last", "plain", "family", "copy" } } },
  { "no fallback", known, .job = { .target = "whole-toy", .rules.fallback = "keep" },
    .want = { { "model.tables.0.mod", "plain", "family", "copy" } } },
  { "fallback of the user", known, .job = { .target = "whole-toy", .rules.fallback = "once" },
    .want = { { "model.tables.0.mod", "once", "fallback", "encode" },
              { "model.stairs", "once", "fallback", "encode" },
              { "model.mat", "plain", "family", "copy" },
              { "model.tables.0.up", "whole", "target", "encode" } } },
  { "fallback that cannot hold it",
    .job = { .target = "whole-toy", .rules.fallback = "half", .rules.keep = QCONV_LIST ("^odd") },
    .want = { { "bad", "whole", "target", "encode" }, { "last", "half", "fallback", "encode" } } },
  { "fallback of no scheme", .job = { .target = "whole-toy", .rules.fallback = "halv" }, .code = QCONV_ERROR_OPTION,
    .error = "--fallback: whole-toy cannot hold the scheme \"halv\"*half*" },
  /* A source that is quantized */
  { "same scheme moves", .source = "half-toy", .job = { .target = "half-toy" },
    .want = { { "a", "half", "target", "move" }, { "head", "plain", "source", "copy" } } },
  { "what the source kept stays", .source = "half-toy", .source_keep = "^b$", .job = { .target = "whole-toy" },
    .want = { { "b", "plain", "source", "copy" }, { "a", "whole", "target", "encode" } } },
  { "source against the family", .source = "half-toy", .job = { .target = "whole-toy" },
    .want = { { "last", "plain", "family", "decode" }, { "x.mod", "half", "fallback", "move" } } },
  { "the family keeps, the source stays", known, .source = "once-toy", .source_only = ".",
    .job = { .target = "half-toy" },
    .want = { { "model.stairs", "once", "family", "move" },
              { "model.mat", "plain", "family", "decode" },
              { "vae.part", "plain", "family", "decode" },
              { "model.tables.0.up", "half", "target", "encode" } } },
  { "a layer of no family stays in its own format", .source = "once-toy", .source_only = ".",
    .job = { .target = "whole-toy" },
    .want = { { "last", "once", "family", "move" }, { "x.mod", "half", "fallback", "encode" } } },
  { "a shape that the target cannot hold stays", .source = "once-toy", .job = { .target = "half-toy" },
    .want = { { "bad", "once", "shape", "move" } } },
  { "no fallback: the source is decoded", known, .source = "once-toy", .source_only = ".",
    .job = { .target = "half-toy", .rules.fallback = "keep" },
    .want = { { "model.stairs", "plain", "family", "decode" } } },
  { "keep decodes", .source = "once-toy", .source_only = ".",
    .job = { .target = "whole-toy", .rules.keep = QCONV_LIST ("^last$") },
    .want = { { "last", "plain", "keep", "decode" } } },
  { "plain targets decode all", .source = "once-toy", .source_only = ".", .job = { .target = "f32-toy" },
    .want = { { "last", "plain", "target", "decode" } } },
  { "only names what the source kept", .source = "half-toy", .source_keep = "^b$",
    .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^b$") },
    .want = { { "b", "half", "only", "encode" }, { "a", "plain", "only", "decode" } } },
  { "other parameters", .source = "half-toy", .job = { .target = "half8-toy" },
    .want = { { "a", "half", "target", "encode" } } },
  { "parameters follow the source", .source = "half8-toy", .job = { .target = "half-toy" },
    .want = { { "a", "half", "target", "move" } } },
  { "adopts", .source = "half-toy", .job = { .target = "twin-toy" }, .want = { { "a", "twin", "target", "adopt" } } },
  /* --keep, --only */
  { "keep", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$") },
    .want = { { "a", "plain", "keep", "copy" }, { "b", "half", "target", "encode" } } },
  { "keep sees no prefix", known, .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^door$") },
    .want = { { "model.door", "plain", "keep", "copy" } } },
  { "only", .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^(a|small|head|odd)$") },
    .want = { { "a", "half", "only", "encode" },
              { "small", "half", "only", "encode" },
              { "head", "half", "only", "encode" },
              { "odd", "half", "only", "encode" },
              { "b", "plain", "only", "copy" } } },
  { "only over the family", known, .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^stairs$") },
    .want = { { "model.stairs", "half", "only", "encode" }, { "model.tables.0.up", "plain", "only", "copy" } } },
  { "only over probed", .job = { .target = "once-toy", .rules.only = QCONV_LIST ("^(first|a)$") },
    .want = { { "first", "plain", "probed", "copy" } } },
  { "keep twice", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$", "^b$") },
    .want = { { "a", "plain", "keep", "copy" }, { "b", "plain", "keep", "copy" } } },
  { "only twice", .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^a$", "^b$") },
    .want = { { "a", "half", "only", "encode" }, { "b", "half", "only", "encode" } } },
  { "second keep matches nothing", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$", "^heed$") },
    .code = QCONV_ERROR_OPTION, .error = "--keep ^heed$ matches no layer*" },
  { "second only is no expression", .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^a$", "(") },
    .code = QCONV_ERROR_OPTION, .error = "--only (: *" },
  { "keep behind layers", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$") }, .layers = { "whole:^a$" },
    .code = QCONV_ERROR_OPTION, .error = "--keep ^a$ has no effect: *\"a\"*--layers whole:^a$" },
  { "only behind keep",
    .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^a$"), .rules.keep = QCONV_LIST ("a") },
    .code = QCONV_ERROR_OPTION, .error = "--only ^a$ has no effect: *\"a\"*--keep a" },
  { "second hp-filter", .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^head$", "^a$") },
    .code = QCONV_ERROR_OPTION, .error = "--hp-filter: layer \"a\" would be quantized*" },
  { "keep before only",
    .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^a$"), .rules.only = QCONV_LIST ("^(a|b)$") },
    .want = { { "a", "plain", "keep", "copy" }, { "b", "half", "only", "encode" } } },
  { "keep matches nothing", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^heed$") },
    .code = QCONV_ERROR_OPTION, .error = "--keep ^heed$ matches no layer*head*" },
  { "only matches nothing", .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^z$") },
    .code = QCONV_ERROR_OPTION, .error = "--only ^z$ matches no layer*" },
  { "only matches what cannot be held", .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^bad$") },
    .code = QCONV_ERROR_OPTION, .error = "--only ^bad$ matches no layer that half-toy can hold" },
  { "keep is no expression", .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("(") },
    .code = QCONV_ERROR_OPTION, .error = "--keep (: *" },
  { "keep for a plain target", .job = { .target = "f32-toy", .rules.keep = QCONV_LIST ("a") },
    .code = QCONV_ERROR_OPTION, .error = "--keep and --only*f32-toy*" },
  { "layers for a plain target", .job = { .target = "f32-toy" }, .layers = { "half:a" }, .code = QCONV_ERROR_OPTION,
    .error = "*f32-toy*" },
  { "fallback for a plain target", .job = { .target = "f32-toy", .rules.fallback = "half" }, .code = QCONV_ERROR_OPTION,
    .error = "*f32-toy*" },
  { "allow-nonfinite for another target", .job = { .target = "half-toy", .run.allow_nonfinite = TRUE },
    .code = QCONV_ERROR_OPTION, .error = "--allow-nonfinite*half-toy*" },
  /* --hp-filter */
  { "hp-filter holds", .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^(head|small)$") },
    .want = { { "head", "plain", "family", "copy" } } },
  { "hp-filter would be quantized", .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^a$") },
    .code = QCONV_ERROR_OPTION, .error = "--hp-filter: layer \"a\"*--keep*" },
  { "hp-filter with keep",
    .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^a$"), .rules.keep = QCONV_LIST ("^a$") },
    .want = { { "a", "plain", "keep", "copy" } } },
  { "hp-filter finds a quantized source", .source = "half-toy",
    .job = { .target = "f32-toy", .rules.hp_filter = QCONV_LIST ("^a$") }, .code = QCONV_ERROR_OPTION,
    .error = "--hp-filter: layer \"a\"*" },
  { "hp-filter finds integers", .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^numbers$") },
    .code = QCONV_ERROR_OPTION, .error = "--hp-filter: layer \"numbers\"*" },
  { "hp-filter matches nothing", .job = { .target = "half-toy", .rules.hp_filter = QCONV_LIST ("^z$") },
    .code = QCONV_ERROR_OPTION, .error = "--hp-filter ^z$ matches no layer*" },
  /* --layers */
  { "layers", .job = { .target = "half-toy" }, .layers = { "whole:^a$" },
    .want = { { "a", "whole", "layers", "encode" }, { "b", "half", "target", "encode" } } },
  { "first of layers wins", .job = { .target = "half-toy" }, .layers = { "whole:^a$", "once:^(a|b)$" },
    .want = { { "a", "whole", "layers", "encode" }, { "b", "once", "layers", "encode" } } },
  { "layers keep", .job = { .target = "half-toy" }, .layers = { "keep:^a$", "whole:a" },
    .want = { { "a", "plain", "layers", "copy" }, { "head", "whole", "layers", "encode" } } },
  { "layers before keep and only",
    .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^(a|b)$"), .rules.only = QCONV_LIST ("^x") },
    .layers = { "whole:^a$" },
    .want = { { "a", "whole", "layers", "encode" },
              { "b", "plain", "keep", "copy" },
              { "x.mod", "half", "only", "encode" } } },
  { "layers over family and size", .job = { .target = "half-toy" }, .layers = { "half:^(head|small|odd)$" },
    .want = { { "head", "half", "layers", "encode" },
              { "small", "half", "layers", "encode" },
              { "odd", "half", "layers", "encode" } } },
  { "layers over source", .source = "half-toy", .source_keep = "^b$", .job = { .target = "half-toy" },
    .layers = { "whole:^b$" }, .want = { { "b", "whole", "layers", "encode" } } },
  { "layers over probed", .job = { .target = "half-toy" }, .layers = { "once:^(first|a)$" },
    .want = { { "first", "plain", "probed", "copy" }, { "a", "once", "layers", "encode" } } },
  { "layers that cannot be held", .job = { .target = "whole-toy" }, .layers = { "half:^(bad|a)$" },
    .want = { { "bad", "plain", "shape", "copy" }, { "a", "half", "layers", "encode" } } },
  { "no layer can be held", .job = { .target = "whole-toy" }, .layers = { "half:^bad$" }, .code = QCONV_ERROR_OPTION,
    .error = "--layers half:^bad$ matches no layer that half can hold" },
  { "layers match nothing", .job = { .target = "half-toy" }, .layers = { "whole:^heed$" }, .code = QCONV_ERROR_OPTION,
    .error = "--layers whole:^heed$ matches no layer*head*" },
  { "layers behind others", .job = { .target = "half-toy" }, .layers = { "whole:^(a|b)$", "once:^b$" },
    .code = QCONV_ERROR_OPTION, .error = "--layers once:^b$ *\"b\"*--layers whole:^(a|b)$*" },
  { "layers of no scheme", .job = { .target = "half-toy" }, .layers = { "hal:a" }, .code = QCONV_ERROR_OPTION,
    .error = "--layers hal:a: half-toy cannot hold the scheme \"hal\"*did you mean half*" },
  { "layers of a scheme that is decoded only", .job = { .target = "half-toy" }, .layers = { "light:a" },
    .code = QCONV_ERROR_OPTION, .error = "--layers light:a: half-toy cannot hold the scheme \"light\"*" },
  /* --layer-config */
  { "config", .job = { .target = "half-toy" },
    .config = "[{\"match\": \"^z$|^a$\", \"scheme\": \"whole\"}, {\"match\": \"^b$\", \"scheme\": \"keep\"}]",
    .want = { { "a", "whole", "config:1", "encode" }, { "b", "plain", "config:2", "copy" } } },
  { "first row of the config", .job = { .target = "half-toy" },
    .config = "[{\"match\": \"^a$\", \"scheme\": \"whole\"}, {\"match\": \"^(a|b)$\", \"scheme\": \"once\"}]",
    .want = { { "a", "whole", "config:1", "encode" }, { "b", "once", "config:2", "encode" } } },
  { "config before layers",
    .job = { .target = "half-toy", .rules.keep = QCONV_LIST ("^last$"), .rules.only = QCONV_LIST ("^b$") },
    .layers = { "once:^(a|x.mod)$" }, .config = "[{\"match\": \"^a$\", \"scheme\": \"whole\"}]",
    .want = { { "a", "whole", "config:1", "encode" },
              { "x.mod", "once", "layers", "encode" },
              { "last", "plain", "keep", "copy" },
              { "b", "half", "only", "encode" },
              { "half", "plain", "only", "copy" } } },
  { "config behind itself", .job = { .target = "half-toy" },
    .config = "[{\"match\": \"a\", \"scheme\": \"whole\"}, {\"match\": \"^a$\", \"scheme\": \"once\"}]",
    .code = QCONV_ERROR_OPTION, .error = "*config.json: row 2 *\"a\"*config.json: row 1*" },
  /* --like */
  { "like", .job = { .target = "half-toy" }, .like = "whole-toy", .like_keep = "^a$",
    .want
    = { { "a", "plain", "like", "copy" }, { "b", "half", "like", "encode" }, { "last", "plain", "like", "copy" } } },
  { "like over the family", .job = { .target = "whole-toy" }, .like = "half-toy",
    .want = { { "last", "whole", "like", "encode" }, { "x.mod", "half", "like", "encode" } } },
  { "like over size", .job = { .target = "whole-toy", .rules.skip_inefficient = TRUE }, .like = "half-toy",
    .want = { { "a", "whole", "like", "encode" } } },
  { "only before like",
    .job = { .target = "half-toy", .rules.only = QCONV_LIST ("^(a|b)$"), .rules.keep = QCONV_LIST ("^b$") },
    .like = "half-toy", .like_keep = "^a$",
    .want
    = { { "a", "half", "only", "encode" }, { "b", "plain", "keep", "copy" }, { "last", "plain", "only", "copy" } } },
  { "like a file without quantized layers", .job = { .target = "half-toy" }, .like = "f32-toy",
    .code = QCONV_ERROR_OPTION, .error = "--like *like.box: none of its layers is quantized" },
};

static void
assert_plan (const Case *k, const QconvPlan *p)
{
  for (const Want *w = k->want; w->name != NULL; w++)
    {
      QconvPlannedInfo got = toy_planned (p, w->name);

      g_test_message ("%s", w->name);
      g_assert_cmpstr (got.scheme, ==, w->scheme);
      g_assert_cmpstr (got.rule, ==, w->rule);
      g_assert_cmpstr (got.how, ==, w->how);
    }
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *in = toy_path ("in.box"), *source = toy_path ("source.box"), *like = toy_path ("like.box");
  g_autofree char *config = toy_path ("config.json"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;
  QconvJob job = k->job;

  toy_reset ();
  toy_write (in, k->model != NULL ? k->model : unknown, NULL);
  if (k->source != NULL)
    toy_convert (in, source,
                 &(QconvJob) { .target = k->source,
                               .rules.keep = QCONV_LIST (k->source_keep),
                               .rules.only = QCONV_LIST (k->source_only) });
  if (k->like != NULL)
    toy_convert (in, like, &(QconvJob) { .target = k->like, .rules.keep = QCONV_LIST (k->like_keep) });
  if (k->config != NULL)
    toy_write_text (config, k->config);
  job.output = out;
  job.rules.layers = k->layers[0] != NULL ? k->layers : NULL;
  job.rules.layer_config = QCONV_LIST (k->config != NULL ? config : NULL);
  job.rules.like = QCONV_LIST (k->like != NULL ? like : NULL);
  m = toy_open (k->source != NULL ? source : in);
  p = qconv_plan_new (m, &job, &error);
  if (k->error != NULL)
    {
      g_assert_null (p);
      toy_assert_error (error, (gint) k->code, k->error);
      return;
    }
  g_assert_no_error (error);
  assert_plan (k, p);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/rules/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  return g_test_run ();
}
