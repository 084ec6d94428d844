/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests conversions on a device: the bytes of the processor, whatever fails and whatever memory there is, and nothing
   left behind. The device is the backend "fake", which makes all faults that real ones make. */
#include <gmodule.h>
#include <string.h>

#include "../conformance/sample.h"
#include "conversion.h"

/* ---- The same bytes ---- */

/* Returns the encoder that takes floats in @target; NULL if it encodes nothing */
static const QconvEncoder *
find_encoder (const char *target)
{
  GPtrArray *all = qconv_registry_targets ();

  for (guint i = 0; i < all->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (all, i);

      if (strcmp (t->name, target) == 0 && t->quantizer != NULL)
        for (guint k = 0; t->quantizer->encoders[k] != NULL; k++)
          if (t->quantizer->encoders[k]->from == NULL)
            return t->quantizer->encoders[k];
    }
  return NULL;
}

/* Returns whether @target encodes layers as a whole, so that small memory is too small for them */
static gboolean
needs_all_rows (const char *target)
{
  return g_str_has_prefix (target, "svdq-");
}

/* Returns how often the device ran those of @listed that make codes */
static guint
count_encoding (const QconvOpName *listed)
{
  guint n = 0;

  for (; listed->name != NULL; listed++)
    n += strstr (listed->name, "-encode") != NULL ? count_runs (listed->name) : 0;
  return n;
}

static void
test_target (gconstpointer target)
{
  /* Whether two threads that share 256 KiB get in each other's way is a matter of time: only the last two may warn */
  static const Way ways[] = {
    { "fake", 0, 1 }, { "fake:1", 0, 4 }, { "auto", 256 << 10, 1 }, { "auto", 256 << 10, 2 }, { "fake", 1000, 2 }
  };
  g_auto (Result) want = convert (input_of (target), target, &(Way) { "cpu" });
  const QconvEncoder *encoder = find_encoder (target);

  g_assert_no_error (want.error);
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_auto (Result) got = { 0 };

      reset_fake ();
      got = convert (input_of (target), target, &ways[i]);
      assert_same (&got, &want);
      if (ways[i].device_memory > 0)
        g_assert_cmpuint (fake->most, <=, ways[i].device_memory);
      if (encoder != NULL && encoder->operations != NULL && i < 2)
        g_assert_cmpuint (count_encoding (encoder->operations), >, 0);
      if (i < 3)
        g_assert_cmpuint (got.warnings->len, ==, want.warnings->len + (i == 2 && needs_all_rows (target)));
    }
}

/* Bytes of a device that hold no layer of the samples as a whole */
#define TILE_MEMORY ((guint64) 64 << 10)

/* Variant: a target with options, what the device must run then, and @decoding, what it must run on the way back */
typedef struct {
  const char *target;
  const char *const options[3];
  const char *operations[4], *decoding;
} Variant;

static const Variant variants[] = {
  { "int8-comfy", { "convrot=auto" }, { "int8-encode-row", "nonfinite" }, "int8-decode" },
  { "int8-comfy", { "convrot=64", "scaling=tensor" }, { "convrot", "int8-encode", "nonfinite" }, "int8-decode" },
  { "convrot-w4a4-comfy", { "convrot=64" }, { "int4-encode-row", "nonfinite" }, "int4-decode-row" },
  { "w4a8-comfy", { "group=4" }, { "convrot", "w4a8-encode" }, "w4a8-decode" },
  { "w4a8-comfy", { "codebook=none", "scale-dtype=f32" }, { "convrot", "w4a8-encode" }, "w4a8-decode" },
  { "w6a8-comfy", { "convrot=16" }, { "convrot", "w4a8-encode" }, "w4a8-decode" },
  { "awq-comfy", { "group=32" }, { NULL }, "awq-decode" },
  { "awq-comfy", { "scale-dtype=f32" }, { NULL }, "awq-decode" },
  { "nf4-bnb", { "effort=rtn" }, { "codebook4-encode-rtn" }, "codebook4-decode" },
  { "nf4-bnb", { "double-quant=on" }, { "codebook4-absmax-search", "codebook4-encode-given" }, "codebook4-decode" },
  { "fp4-bnb",
    { "double-quant=on", "effort=rtn" },
    { "codebook4-absmax-rtn", "codebook4-encode-rtn" },
    "codebook4-decode" },
  { "svdq-fp4-nunchaku", { "rounds=2" }, { "thin-product-transposed", "gram", "nvfp4-encode-search", "add-scaled" } },
  { "svdq-int4-nunchaku", { "rounds=2" }, { "thin-product", "add-product", "int4-group-encode-search" } },
};

/* Tests that @coded is decoded as the processor does, layers as a whole and in tiles */
static void
check_decoding (const Variant *v, const char *coded)
{
  static const Way ways[] = { { "fake" }, { "fake", TILE_MEMORY, 1 } };
  g_auto (Result) want = convert (coded, "f32-safetensors", &(Way) { "cpu" });
  guint runs[2] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_auto (Result) got = { 0 };

      reset_fake ();
      got = convert (coded, "f32-safetensors", &ways[i]);
      assert_same (&got, &want);
      runs[i] = v->decoding != NULL ? count_runs (v->decoding) : 1;
    }
  g_assert_cmpuint (runs[0], >, 0);
  if (v->decoding != NULL)
    g_assert_cmpuint (runs[1], >, runs[0]);
}

static void
test_variant (gconstpointer data)
{
  const Variant *v = data;
  const char *input = input_of (v->target);
  g_autofree char *output = output_of (v->target, input);
  g_auto (Result) want = convert (input, v->target, &(Way) { "cpu", .options = v->options }), got = { 0 };

  g_assert_no_error (want.error);
  reset_fake ();
  got = convert (input, v->target, &(Way) { "fake", .options = v->options });
  assert_same (&got, &want);
  for (guint i = 0; i < G_N_ELEMENTS (v->operations) && v->operations[i] != NULL; i++)
    g_assert_cmpuint (count_runs (v->operations[i]), >, 0);
  check_decoding (v, output);
}

static void
add_variants (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (variants); i++)
    if (sample_has_target (variants[i].target))
      {
        g_autofree char *options = g_strjoinv (",", (char **) (gpointer) variants[i].options);
        g_autofree char *path = g_strconcat ("/device/variant/", variants[i].target, "/", options, NULL);

        g_test_add_data_func (path, &variants[i], test_variant);
      }
}

/* Converts what @target writes to plain weights and to a scheme, on the device */
static void
test_source (gconstpointer target)
{
  static const char *const ends[] = { "bf16-safetensors", "int8-comfy" };
  g_autofree char *source = output_of (target, input_of (target));
  g_auto (Result) made = convert (input_of (target), target, &(Way) { "cpu" });

  g_assert_no_error (made.error);
  for (guint i = 0; i < G_N_ELEMENTS (ends) && sample_has_target (ends[i]); i++)
    {
      g_auto (Result) want = convert (source, ends[i], &(Way) { "cpu" }), got = { 0 };

      if (i > 0 && want.error != NULL)
        continue; /* schemes may refuse a source, but all can be decoded */
      g_assert_no_error (want.error);
      reset_fake ();
      got = convert (source, ends[i], &(Way) { "fake", 0, 3 });
      assert_same (&got, &want);
      g_assert_cmpuint (got.warnings->len, ==, want.warnings->len);
    }
}

/* Tests the decoder of 8-bit layers of bitsandbytes, which no target writes */
static void
test_largest (void)
{
  g_autofree char *input = g_test_build_filename (G_TEST_DIST, "golden", "bnb", "int8.safetensors", NULL);
  g_auto (Result) want = { 0 }, got = { 0 };

  if (qconv_registry_quantizer ("bnb_int8") == NULL)
    return g_test_skip ("the plugin bnb was not built");
  want = convert (input, "f32-safetensors", &(Way) { "cpu" });
  g_assert_no_error (want.error);
  reset_fake ();
  got = convert (input, "f32-safetensors", &(Way) { "fake" });
  assert_same (&got, &want);
  g_assert_cmpuint (count_runs ("int8-decode-largest"), >, 0);
}

/* ---- LoRAs ---- */

/* Returns: (transfer full): three files that change the same layers, of which the host adds the second */
static char **
make_loras (void)
{
  g_autofree char *lora = make_lora (FALSE), *hosts = make_lora (TRUE), *less = g_strconcat (lora, ":-0.5", NULL);

  return g_strdupv ((char *[]) { lora, hosts, less, NULL });
}

/* Tests that a device adds LoRAs to plain and to stored weights, for encoders on either side */
static void
test_loras (void)
{
  static const char *const targets[] = { "f32-safetensors", "nvfp4-comfy", "w4a8-comfy" };
  g_autofree char *stored = output_of ("fp8-comfy", family);
  g_auto (GStrv) files = make_loras ();
  g_auto (Result) made = convert (family, "fp8-comfy", &(Way) { "cpu" });
  const char *const inputs[] = { family, stored };

  g_assert_no_error (made.error);
  merged = (const char *const *) files;
  for (guint i = 0; i < G_N_ELEMENTS (targets) * G_N_ELEMENTS (inputs); i++)
    {
      const char *target = targets[i / 2], *input = inputs[i % 2];
      g_auto (Result) want = convert (input, target, &(Way) { "cpu" }), got = { 0 }, small = { 0 };

      reset_fake ();
      got = convert (input, target, &(Way) { "fake" });
      assert_same (&got, &want);
      g_assert_cmpuint (count_runs ("add-product"), >, 0);
      g_assert_cmpuint (count_runs ("add-scaled"), >, 0);
      reset_fake ();
      small = convert (input, target, &(Way) { "fake", 50000, 1 });
      assert_same (&small, &want);
      g_assert_cmpuint (fake->most, <=, 50000);
    }
  merged = NULL;
}

/* ---- Odd layers ---- */

/* Returns: (transfer full): a file of layers that are all zero, too small for any scale, and too large to be rotated */
static char *
make_odd (void)
{
  static const float values[] = { 0.0f, 0x1p-148f, 0x1.8p127f };
  const gsize n = 128 * 256;
  g_autoptr (GString) header = g_string_new ("{"), file = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  char *path = g_build_filename (sample_folder (), "odd.safetensors", NULL);
  guint64 size;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    g_string_append_printf (header,
                            "%s\"odd.%u.weight\":{\"dtype\":\"F32\",\"shape\":[128,256],\"data_offsets\":[%zu,%zu]}",
                            i > 0 ? "," : "", i, i * n * 4, (i + 1) * n * 4);
  g_string_append_c (header, '}');
  size = header->len;
  g_string_append_len (file, (const char *) &size, sizeof size);
  g_string_append_len (file, header->str, (gssize) header->len);
  for (gsize i = 0; i < G_N_ELEMENTS (values) * n; i++)
    {
      float value = i % 3 == 1 ? -values[i / n] : values[i / n];

      g_string_append_len (file, (const char *) &value, sizeof value);
    }
  g_file_set_contents (path, file->str, (gssize) file->len, &error);
  g_assert_no_error (error);
  return path;
}

/* Tests that a device gives the processor's bytes, or its error, for the layer that @only names */
static void
compare_odd (const char *input, const char *target, const char *only, const char *const *options)
{
  const char *const saved[] = { only, NULL };
  g_auto (Result) want = { 0 }, got = { 0 };

  odd_only = saved;
  want = convert (input, target, &(Way) { "cpu", .options = options });
  reset_fake ();
  got = convert (input, target, &(Way) { "auto", .options = options });
  odd_only = NULL;
  g_assert_cmpstr (got.error != NULL ? got.error->message : "", ==, want.error != NULL ? want.error->message : "");
  g_assert_true ((got.bytes == NULL) == (want.bytes == NULL));
  g_assert_true (want.bytes == NULL || g_bytes_equal (got.bytes, want.bytes));
  g_assert_cmpuint (got.warnings->len, ==, want.warnings->len);
}

static const char *const layers_of_odd[] = { "odd.0", "odd.1", "odd.2" };

static void
test_odd (gconstpointer target)
{
  g_autofree char *input = make_odd ();

  for (guint i = 0; i < G_N_ELEMENTS (layers_of_odd); i++)
    compare_odd (input, target, layers_of_odd[i], NULL);
}

static void
test_odd_variants (void)
{
  g_autofree char *input = make_odd ();

  for (guint v = 0; v < G_N_ELEMENTS (variants); v++)
    for (guint i = 0; sample_has_target (variants[v].target) && i < G_N_ELEMENTS (layers_of_odd); i++)
      compare_odd (input, variants[v].target, layers_of_odd[i], variants[v].options);
}

/* Adds a test for each target that encodes single layers */
static void
add_odd_tests (void)
{
  GPtrArray *targets = qconv_registry_targets ();

  g_test_add_func ("/device/odd/variants", test_odd_variants);
  for (guint i = 0; i < targets->len; i++)
    {
      const char *name = ((const QconvTargetInfo *) targets->pdata[i])->name;
      g_autofree char *path = g_strconcat ("/device/odd/", name, NULL);

      if (!sample_needs_family (name) && sample_only (name) != NULL)
        g_test_add_data_func (path, name, test_odd);
    }
}

/* Tests that a decoder which must see the bytes of a layer declines the device, and gets it on the processor */
static void
test_declined (void)
{
  g_autofree char *input
      = g_test_build_filename (G_TEST_DIST, "golden", "modelopt", "int4-awq", "model.safetensors", NULL);
  g_auto (Result) want = { 0 }, got = { 0 };

  if (qconv_registry_quantizer ("gptq") == NULL)
    return g_test_skip ("the plugin gptq was not built");
  want = convert (input, "bf16-safetensors", &(Way) { "cpu" });
  reset_fake ();
  got = convert (input, "bf16-safetensors", &(Way) { "fake" });
  assert_same (&got, &want);
  g_assert_cmpuint (fake->calls[FAKE_RUN], >, 0);
}

/* ---- Failures ---- */

/* A conversion of @input, one of the paths above. @growth: 0: every call is failed; else only some, the number of each
   being 1 + @growth times that of the one before; @merges: LoRA files */
typedef struct {
  const char *name, *target;
  char **input;
  const char *const options[4];
  guint growth;
  gboolean merges;
} Failing;

/* Fails call @call number @n in a conversion. Returns whether there were so many */
static gboolean
fail_call (const Failing *f, const Result *want, FakeCall call, guint n, int code, gboolean once)
{
  const char *const *options = f->options[0] != NULL ? f->options : NULL;
  const Way any = { "auto", 0, 1, options }, named = { "fake", 0, 1, options };
  g_auto (Result) got = { 0 }, strict = { 0 };
  gboolean reached;

  reset_fake ();
  *fake = (FakeControl) { .fail = call, .fail_at = n, .code = code, .once = once };
  got = convert (*f->input, f->target, &any);
  reached = fake->calls[call] >= n;
  assert_same (&got, want);
  g_assert_cmpuint (got.warnings->len, <=, want->warnings->len + 1);
  if (!once && code == QCONV_ERROR_DEVICE && call != FAKE_ALLOC_HOST && reached)
    g_assert_cmpuint (got.warnings->len, ==, want->warnings->len + 1);

  reset_fake ();
  *fake = (FakeControl) { .fail = call, .fail_at = n, .code = code, .once = once };
  strict = convert (*f->input, f->target, &named);
  if (reached && code == QCONV_ERROR_DEVICE && call != FAKE_ALLOC_HOST)
    g_assert_error (strict.error, QCONV_ERROR, QCONV_ERROR_DEVICE);
  else if (reached && call == FAKE_OPEN)
    g_assert_nonnull (strict.error);
  else
    assert_same (&strict, want);
  return reached;
}

static void
test_failures (gconstpointer data)
{
  const Failing *f = data;
  const char *const *options = f->options[0] != NULL ? f->options : NULL;
  g_auto (GStrv) files = f->merges ? make_loras () : NULL;
  g_auto (Result) want = { 0 };
  guint n_tried = 0;

  merged = (const char *const *) files;
  want = convert (*f->input, f->target, &(Way) { "cpu", 0, 1, options });
  g_assert_no_error (want.error);
  for (FakeCall call = 0; call < FAKE_N_CALLS; call++)
    for (guint way = 0; way < 3; way++)
      {
        int code = way == 0 ? QCONV_ERROR_DEVICE : QCONV_ERROR_LIMIT;
        guint n = 1;

        for (; fail_call (f, &want, call, n, code, way == 2); n += MAX (f->growth * n, 1))
          n_tried++;
        g_assert_cmpuint (n, >, 1);
      }
  merged = NULL;
  g_test_message ("%u failures", n_tried);
  reset_fake ();
}

/* ---- What there is not ---- */

static void
assert_refused (const char *device, int code, const char *text)
{
  g_auto (Result) r = convert (layers, "nvfp4-comfy", &(Way) { device });

  g_assert_error (r.error, QCONV_ERROR, code);
  g_assert_nonnull (strstr (r.error->message, text));
}

static void
test_absent (void)
{
  assert_refused ("cuda7", QCONV_ERROR_DEVICE, "there is no backend \"cuda7\"");
  assert_refused ("safetensors", QCONV_ERROR_DEVICE, "has no symbol qconv_backend_safetensors"); /* a plugin */
  assert_refused ("fake:2", QCONV_ERROR_DEVICE, "there is no device 2");
  assert_refused ("fake:x", QCONV_ERROR_OPTION, "\"x\" is not the number of a device");
}

static void
test_list (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) devices = NULL;
  GPtrArray *backends = qconv_registry_backends ();
  const QconvBackendInfo *first = backends->pdata[0];

  g_assert_cmpstr (first->id, ==, "fake");
  devices = qconv_backend_devices (first->backend, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (devices->len, ==, 2);
  g_assert_cmpstr (devices->pdata[1], ==, "a device that is none");
  reset_fake ();
}

int
main (int argc, char **argv)
{
  static const Failing failing[]
      = { { "encode", "nvfp4-comfy", &layers },
          { "encode-fp8", "fp8-comfy", &layers },
          { "encode-rotated", "int8-comfy", &layers, { "convrot=auto" } },
          { "encode-nested", "nf4-bnb", &layers, { "double-quant=on" } },
          { "encode-whole", "svdq-int4-nunchaku", &family, { "rounds=0", "effort=rtn", "rank=16", NULL }, 40 },
          { "merge", "f32-safetensors", &family, { NULL }, 1, TRUE },
          { "decode", "bf16-safetensors", &blocks },
          { "decode-encode", "nvfp4-comfy", &blocks } };
  GModule *module;
  int status;

  g_test_init (&argc, &argv, NULL);
  module = g_module_open (argv[1], G_MODULE_BIND_LOCAL);
  g_assert_true (module != NULL && g_module_symbol (module, "fake_control", (gpointer *) &fake));
  layers = sample_generate ("--layers 2 --rows 128 --cols 256 --type bf16", "layers.safetensors");
  blocks = sample_generate ("--layers 2 --rows 128 --cols 256 --format gguf --type q8_0", "blocks.gguf");
  family = sample_generate (SAMPLE_FAMILY_MODEL, "family.safetensors");
  g_test_add_func ("/device/list", test_list);
  g_test_add_func ("/device/absent", test_absent);
  g_test_add_func ("/device/declined", test_declined);
  g_test_add_func ("/device/largest", test_largest);
  sample_add_targets ("/device/target/", test_target, NULL);
  sample_add_targets ("/device/source/", test_source, NULL);
  if (sample_has_target ("fp8-comfy") && sample_has_target ("nvfp4-comfy") && sample_has_target ("w4a8-comfy"))
    g_test_add_func ("/device/loras", test_loras);
  add_variants ();
  add_odd_tests ();
  for (guint i = 0; i < G_N_ELEMENTS (failing); i++)
    if (sample_has_target (failing[i].target))
      {
        g_autofree char *path = g_strconcat ("/device/failures/", failing[i].name, NULL);

        g_test_add_data_func (path, &failing[i], test_failures);
      }
  status = g_test_run ();
  sample_finish ();
  g_free (layers);
  g_free (blocks);
  g_free (family);
  g_module_close (module);
  return status;
}
