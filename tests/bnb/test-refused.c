/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests layers that are incomplete, contradict themselves or are not supported; other spellings of names; and the
   messages about them. */
#include <math.h>
#include <string.h>

#include "fixture.h"

#define STATE "\"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [4, 64]"
#define NF4 "{\"quant_type\": \"nf4\", " STATE "}"
#define NESTED "\"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 1.5"
#define NF4_NESTED "{\"quant_type\": \"nf4\", " STATE ", " NESTED "}"

/* One tensor of a file. Its bytes are @text, else @n zeros, or ones if @ones */
typedef struct {
  const char *name, *dtype, *shape, *text;
  gsize n;
  gboolean ones;
} Member;

/* clang-format off */
#define WEIGHT { "l.weight", "U8", "[128, 1]", NULL, 128 }
#define ABSMAX { "l.weight.absmax", "F32", "[4]", NULL, 16 }
#define MAP { "l.weight.quant_map", "F32", "[16]", NULL, 64 }
#define TEXT(t) { "l.weight.quant_state.bitsandbytes__nf4", "U8", NULL, t, 0 }
#define CODES { "l.weight.absmax", "U8", "[4]", NULL, 4 }
#define NESTED_ABSMAX { "l.weight.nested_absmax", "F32", "[1]", NULL, 4 }
#define NESTED_MAP { "l.weight.nested_quant_map", "F32", "[256]", NULL, 1024 }
#define CODES_8 { "l.weight", "I8", "[4, 64]", NULL, 256 }
#define ROWS_8 { "l.SCB", "F32", "[4]", NULL, 16 }
/* clang-format on */

typedef struct {
  const char *says;
  QconvError code;
  Member members[8];
} Case;

static char *
write_members (const Member *members)
{
  g_autoptr (Builder) b = builder_new ();

  for (const Member *m = members; m->name != NULL; m++)
    {
      g_autofree guint8 *ones = m->ones ? g_malloc (m->n) : NULL;

      if (m->text != NULL)
        {
          builder_add_text (b, m->name, m->text);
          continue;
        }
      if (ones != NULL)
        memset (ones, 0xff, m->n);
      builder_add (b, m->name, m->dtype, m->shape, ones, m->n);
    }
  return builder_write (b, "case.safetensors");
}

/* clang-format off */
static const Case broken[] = {
  { "layer \"l\": weight is missing", QCONV_ERROR_INPUT, { ABSMAX, MAP, TEXT (NF4) } },
  { "layer \"l\": weight.absmax is missing", QCONV_ERROR_INPUT, { WEIGHT, MAP, TEXT (NF4) } },
  { "layer \"l\": weight.quant_map is missing", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, TEXT (NF4) } },
  { "weight.quant_state.bitsandbytes__* is missing", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP } },
  { "weight.nested_absmax is missing", QCONV_ERROR_INPUT, { WEIGHT, CODES, MAP, NESTED_MAP, TEXT (NF4_NESTED) } },
  { "weight.nested_quant_map is missing", QCONV_ERROR_INPUT,
    { WEIGHT, CODES, MAP, NESTED_ABSMAX, TEXT (NF4_NESTED) } },
  { "but the layer has weight.nested_quant_map", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, NESTED_MAP, TEXT (NF4) } },
  { "weight.absmax is F32 where U8", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP, NESTED_ABSMAX, NESTED_MAP, TEXT (NF4_NESTED) } },
  { "it has 2 quant_state", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP, TEXT (NF4), { "l.weight.quant_state.bitsandbytes__fp4", "U8", NULL, NF4, 0 } } },
  { "is named fp4, but its quant_type is nf4", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP, { "l.weight.quant_state.bitsandbytes__fp4", "U8", NULL, NF4, 0 } } },
  { "tensors of two different formats", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, TEXT (NF4), ROWS_8 } },
  { "tensors of two different formats", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP, TEXT (NF4), { "l.weight_absmax", "F32", "[4]", NULL, 16 } } },
  { "weight has 127 bytes", QCONV_ERROR_INPUT,
    { { "l.weight", "U8", "[127, 1]", NULL, 127 }, ABSMAX, MAP, TEXT (NF4) } },
  { "the transposed packing", QCONV_ERROR_UNSUPPORTED,
    { { "l.weight", "U8", "[1, 128]", NULL, 128 }, ABSMAX, MAP, TEXT (NF4) } },
  { "a column of bytes is needed", QCONV_ERROR_INPUT,
    { { "l.weight", "U8", "[2, 64]", NULL, 128 }, ABSMAX, MAP, TEXT (NF4) } },
  { "weight.absmax is [5]", QCONV_ERROR_INPUT,
    { WEIGHT, { "l.weight.absmax", "F32", "[5]", NULL, 20 }, MAP, TEXT (NF4) } },
  { "weight.absmax is F16", QCONV_ERROR_INPUT,
    { WEIGHT, { "l.weight.absmax", "F16", "[4]", NULL, 8 }, MAP, TEXT (NF4) } },
  { "weight.quant_map is [4, 4]", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, { "l.weight.quant_map", "F32", "[4, 4]", NULL, 64 }, TEXT (NF4) } },
  { "l.weight.quant_state.bitsandbytes__nf4: ", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, TEXT ("{\"quant_type\"") } },
  { "not a JSON object", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, TEXT ("[1]") } },
  { "quant_type is missing", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, TEXT ("{" STATE "}") } },
  { "quant_type is not text", QCONV_ERROR_INPUT, { WEIGHT, ABSMAX, MAP, TEXT ("{\"quant_type\": 4, " STATE "}") } },
  { "quant_type \"int4\" is not supported", QCONV_ERROR_UNSUPPORTED,
    { WEIGHT, ABSMAX, MAP, TEXT ("{\"quant_type\": \"int4\", " STATE "}") } },
  { "shape [4294967296, 4294967296] is too large", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float16\", "
            "\"shape\": [4294967296, 4294967296]}") } },
  { "shape is not a positive whole number", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [-4, 64]}") } },
  { "shape has 3 dimensions", QCONV_ERROR_UNSUPPORTED,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [4, 8, 8]}") } },
  { "blocksize 1099511627776 is not supported", QCONV_ERROR_UNSUPPORTED,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 1099511627776, \"dtype\": \"float16\", \"shape\": [4, 64]}") } },
  { "blocksize is not a positive whole number", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 0, \"dtype\": \"float16\", \"shape\": [4, 64]}") } },
  { "blocksize is not a positive whole number", QCONV_ERROR_INPUT,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 64.5, \"dtype\": \"float16\", \"shape\": [4, 64]}") } },
  { "dtype \"float64\" is not supported", QCONV_ERROR_UNSUPPORTED,
    { WEIGHT, ABSMAX, MAP,
      TEXT ("{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float64\", \"shape\": [4, 64]}") } },
  { "nested_blocksize 64 is not supported", QCONV_ERROR_UNSUPPORTED,
    { WEIGHT, CODES, MAP, NESTED_ABSMAX, NESTED_MAP,
      TEXT ("{\"quant_type\": \"nf4\", " STATE
            ", \"nested_blocksize\": 64, \"nested_dtype\": \"float32\", \"nested_offset\": 1}") } },
  { "nested_offset is missing", QCONV_ERROR_INPUT,
    { WEIGHT, CODES, MAP, NESTED_ABSMAX, NESTED_MAP,
      TEXT ("{\"quant_type\": \"nf4\", " STATE ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\"}") } },
  { "nested_offset does not fit F32", QCONV_ERROR_NON_FINITE,
    { WEIGHT, CODES, MAP, NESTED_ABSMAX, NESTED_MAP,
      TEXT ("{\"quant_type\": \"nf4\", " STATE
            ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 1e300}") } },
  { "layer \"l\": weight is missing", QCONV_ERROR_INPUT, { ROWS_8 } },
  { "layer \"l\": SCB is missing", QCONV_ERROR_INPUT, { CODES_8, { "l.weight_format", "U8", "[]", NULL, 1 } } },
  { "weight is F16 where I8", QCONV_ERROR_INPUT, { { "l.weight", "F16", "[4, 64]", NULL, 512 }, ROWS_8 } },
  { "SCB is [3]", QCONV_ERROR_INPUT, { CODES_8, { "l.SCB", "F32", "[3]", NULL, 12 } } },
  { "weight_format 255", QCONV_ERROR_UNSUPPORTED,
    { CODES_8, ROWS_8, { "l.weight_format", "U8", "[]", NULL, 1, TRUE } } },
};
/* clang-format on */

static void
test_broken (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autofree char *path = write_members (broken[i].members);
      g_autoptr (GError) error = NULL;

      g_assert_null (qconv_model_open (path, NULL, &error));
      g_assert_error (error, QCONV_ERROR, (gint) broken[i].code);
      if (strstr (error->message, broken[i].says) == NULL)
        g_error ("\"%s\" does not say \"%s\"", error->message, broken[i].says);
    }
}

/* Tests that NaN and the like are found when numbers are needed */
static void
test_numbers (void)
{
  static const Member four[]
      = { WEIGHT, { "l.weight.absmax", "F32", "[4]", NULL, 16, TRUE }, MAP, TEXT (NF4), { NULL } };
  static const Member eight[] = { CODES_8, { "l.SCB", "F32", "[4]", NULL, 16, TRUE }, { NULL } };
  g_autofree char *out = scratch_path ("refused.safetensors");
  const QconvJob move = { .target = "nf4-bnb", .output = out, .rules.only = QCONV_LIST (".*") };
  const QconvJob decode = { .target = "bf16-safetensors", .output = out };

  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *path = write_members (i == 0 ? four : eight), *problems = problems_of (path);

      g_assert_nonnull (strstr (problems, "scale-value l\n"));
      g_assert_true ((strstr (problems, "quant-map l\n") != NULL) == (i == 0)); /* MAP is all zeros */
      if (i == 0)
        assert_job_refused (path, &move, QCONV_ERROR_NON_FINITE, "absmax");
      assert_job_refused (path, &decode, QCONV_ERROR_NON_FINITE, "l");
    }
}

static void
assert_decodes_as (const char *path, const float *want, gsize n)
{
  g_autofree char *out = scratch_path ("decoded.safetensors");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) got = NULL;

  convert (path, out, "f32-safetensors", NULL);
  m = open_model (out, NULL);
  got = tensor_bytes (m, "a.b.l.weight");
  g_assert_cmpmem (g_bytes_get_data (got, NULL), g_bytes_get_size (got), want, n * sizeof *want);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (m)), ==, 1);
}

/* Tests one layer, three rows of seven, in three spellings */
static void
test_spellings (void)
{
  static const char text[] = "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float32\", \"shape\": [3, 7]}";
  static const struct {
    const char *absmax, *map, *state, *shape;
    gboolean low;
  } spellings[] = {
    { "a.b.l.weight.absmax", "a.b.l.weight.quant_map", "a.b.l.weight.quant_state.bitsandbytes__nf4", "[11, 1]", FALSE },
    { "a.b.l.weight_absmax", "a.b.l.weight_quant_map", "a.b.l.weight_quant_state", "[11, 1]", FALSE },
    { "a.b.l.absmax", "a.b.l.quant_map", "a.b.l.quant_state.bitsandbytes__nf4", "[11]", TRUE },
  };
  const float absmax = 2.0f;
  float map[16], want[21];
  guint8 codes[21];

  for (guint i = 0; i < 16; i++)
    map[i] = (float) i - 7.0f;
  for (guint i = 0; i < 21; i++)
    {
      codes[i] = (guint8) (5 * i % 16);
      want[i] = map[codes[i]] * absmax;
    }
  for (guint i = 0; i < G_N_ELEMENTS (spellings); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (QconvModel) m = NULL;
      g_autofree char *path = NULL, *problems = NULL;
      guint8 packed[11] = { 0 };

      for (guint k = 0; k < 21; k++)
        packed[k / 2] |= (guint8) (codes[k] << ((k % 2 == 0) == spellings[i].low ? 0 : 4));
      builder_add (b, "a.b.l.weight", "U8", spellings[i].shape, packed, sizeof packed);
      builder_add (b, spellings[i].absmax, "F32", "[1]", &absmax, sizeof absmax);
      builder_add (b, spellings[i].map, "F32", "[16]", map, sizeof map);
      builder_add_text (b, spellings[i].state, text);
      path = builder_write (b, "spelling.safetensors");
      m = open_model (path, warnings);
      g_assert_cmpuint (warnings->len, ==, 1);
      g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "quant_map is not the table"));
      problems = problems_of (path);
      g_assert_cmpstr (problems, ==, i == 0 ? "quant-map a.b.l\n" : "names a.b.l\nquant-map a.b.l\n");
      assert_decodes_as (path, want, G_N_ELEMENTS (want));
    }
}

/* Tests that no key can be edited, because the files have no marker. A table of the file's own is copied */
static void
test_edit (void)
{
  static const Member members[] = { WEIGHT, ABSMAX, MAP, TEXT (NF4), { NULL } };
  const QconvHintChange change = { .key = "a", .value = "1" };
  static const char *const metadata[] = { "note=1", NULL };
  g_autofree char *input = write_members (members), *out = scratch_path ("edited.safetensors"), *problems = NULL;
  QconvJob job = { .output = out, .edit.hints = &change, .edit.n_hints = 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "files of the form bnb have no place for the key \"a\"");
  job = (QconvJob) { .output = out, .edit.metadata = metadata };
  m = open_model (input, NULL);
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  problems = problems_of (out);
  g_assert_cmpstr (problems, ==, "quant-map l\n");
}

/* Tests that one byte of codes is refused: bitsandbytes reads its shape in another way */
static void
test_too_few (void)
{
  static const char *const targets[] = { "nf4-bnb", "fp4-bnb" };
  g_autofree char *output = scratch_path ("few-out.safetensors"), *input = NULL;
  g_autofree float *w = noise (4 * 64, 3);
  g_autoptr (Builder) b = builder_new ();

  builder_add (b, "few.weight", "F32", "[1,2]", w, 2 * sizeof *w);
  builder_add (b, "many.weight", "F32", "[4,64]", w, 4 * 64 * sizeof *w);
  input = builder_write (b, "few.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autoptr (QconvModel) m = NULL;

      convert (input, output, targets[i], NULL);
      m = open_model (output, NULL);
      g_assert_cmpuint (qconv_directory_find (qconv_model_directory (m), "few.weight")->dtype, ==, QCONV_F32);
      g_assert_cmpuint (qconv_directory_find (qconv_model_directory (m), "many.weight")->dtype, ==, QCONV_U8);
    }
}

/* Tests searched and nested layers of odd size, there and back; other targets get plain weights and no describing
   tensors */
static void
test_round_trip (void)
{
  static const char *const cases[][3]
      = { { "double-quant=on", "block=128", NULL }, { "double-quant=off", NULL, NULL } };
  g_autofree float *w = noise (33 * 77, 5);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *in = NULL, *out = scratch_path ("there.safetensors"), *back = scratch_path ("back.safetensors");
      g_autofree char *problems = NULL;
      g_autoptr (QconvModel) m = NULL, plain = NULL;
      g_autoptr (GBytes) bias = NULL;

      builder_add (b, "x.weight", "F32", "[33, 77]", w, 33 * 77 * sizeof *w);
      builder_add (b, "x.bias", "F32", "[33]", w, 33 * sizeof *w);
      in = builder_write (b, "in.safetensors");
      convert (in, out, "fp4-bnb", cases[i]);
      problems = problems_of (out);
      g_assert_cmpstr (problems, ==, "");
      convert (out, back, "f32-safetensors", NULL);
      m = open_model (out, NULL);
      plain = open_model (back, NULL);
      bias = tensor_bytes (m, "x.bias");
      g_assert_cmpmem (g_bytes_get_data (bias, NULL), g_bytes_get_size (bias), w, 33 * sizeof *w);
      g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (m)), ==, i == 0 ? 7 : 5);
      g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (plain)), ==, 2);
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/bnb/broken", test_broken);
  g_test_add_func ("/bnb/numbers", test_numbers);
  g_test_add_func ("/bnb/spellings", test_spellings);
  g_test_add_func ("/bnb/edit", test_edit);
  g_test_add_func ("/bnb/too-few", test_too_few);
  g_test_add_func ("/bnb/round-trip", test_round_trip);
  status = g_test_run ();
  scratch_end ();
  return status;
}
