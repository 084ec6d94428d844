/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files of bitsandbytes: they decode to the library's numbers, and their sources are encoded to the same
   bytes. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "golden-file.h"
#include "kernels/numbers.h"

static const char *const types[] = { "nf4", "fp4" };

static const GoldenTensor *
find_tensor (const GoldenFile *file, const char *layer, const char *suffix)
{
  g_autofree char *name = g_strconcat (layer, suffix, NULL);

  for (guint i = 0; i < file->tensors->len; i++)
    if (strcmp (((const GoldenTensor *) file->tensors->pdata[i])->name, name) == 0)
      return file->tensors->pdata[i];
  return NULL;
}

/* Calls @check for every layer that has @suffix */
static guint
each_layer (const GoldenFile *file, const char *suffix, void (*check) (const char *layer, gpointer data), gpointer data)
{
  guint n = 0;

  for (guint i = 0; i < file->tensors->len; i++)
    {
      const char *name = ((const GoldenTensor *) file->tensors->pdata[i])->name;
      g_autofree char *layer = NULL;

      if (!g_str_has_suffix (name, suffix))
        continue;
      layer = g_strndup (name, strlen (name) - strlen (suffix));
      check (layer, data);
      n++;
    }
  return n;
}

/* A converted file beside the file of the library, and counts of the comparisons */
typedef struct {
  const char *type;
  GoldenFile *golden, *expected;
  QconvModel *model;
  guint checked, nested, same_offset, below_zero;
} Pair;

static void
open_pair (Pair *p, const char *type, const char *target, const char *const *options)
{
  g_autofree char *name = g_strdup_printf ("bnb/%s.safetensors", type), *path = golden_path (name);
  g_autofree char *expected = g_strdup_printf ("bnb/%s.expected.safetensors", type);
  g_autofree char *out = scratch_path ("converted.safetensors");

  convert (path, out, target, options);
  *p = (Pair) { type, golden_file_open (name), golden_file_open (expected), open_model (out, NULL), 0, 0, 0, 0 };
}

static void
close_pair (Pair *p)
{
  golden_file_free (p->golden);
  golden_file_free (p->expected);
  qconv_model_free (p->model);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pair, close_pair)

/* Returns the bits without the sign of a zero: FP4's second zero is negative in the library's own table, and positive
   in the file */
static guint32
bits_without_sign_of_zero (guint32 bits, guint32 sign)
{
  return (bits & ~sign) == 0 ? 0 : bits;
}

/* Compares decoded numbers: FP32, rounded once to the layer's own dtype */
static void
check_decoded (const char *layer, gpointer data)
{
  Pair *p = data;
  g_autofree char *name = g_strconcat (layer, ".weight", NULL);
  const GoldenTensor *want = golden_file_tensor (p->expected, name);
  g_autoptr (GBytes) bytes = tensor_bytes (p->model, name);
  const float *got = g_bytes_get_data (bytes, NULL);
  gsize width = want->size / want->n_items;

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, want->n_items * sizeof *got);
  for (gsize i = 0; i < want->n_items; i++)
    {
      guint32 rounded = bits_of_f32 (got[i]), bits = 0, sign = width == 4 ? 0x80000000 : 0x8000;

      if (strcmp (want->dtype, "F16") == 0)
        rounded = f16_of_f32 (got[i]);
      else if (strcmp (want->dtype, "BF16") == 0)
        rounded = bf16_of_f32 (got[i]);
      memcpy (&bits, want->data + i * width, width);
      g_assert_cmphex (bits_without_sign_of_zero (rounded, sign), ==, bits_without_sign_of_zero (bits, sign));
    }
  p->checked++;
}

static void
test_decode (void)
{
  static const char *const forms[] = { "nf4", "fp4", "int8" };

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_auto (Pair) p = { NULL };

      open_pair (&p, forms[i], "f32-safetensors", NULL);
      each_layer (p.golden, i < 2 ? ".weight.quant_map" : ".SCB", check_decoded, &p);
      g_test_message ("%s: %u layers", forms[i], p.checked);
      g_assert_cmpuint (p.checked, >=, 3);
    }
}

/* ---- Nested absmax ---- */

static void
check_absmax (const char *layer, gpointer data)
{
  Pair *p = data;
  g_autofree char *name = g_strconcat (layer, ".weight.absmax", NULL);
  const GoldenTensor *want = find_tensor (p->expected, layer, ".absmax");
  g_autoptr (GBytes) bytes = want != NULL ? tensor_bytes (p->model, name) : NULL;

  if (want == NULL)
    return;
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, want->size);
  for (gsize i = 0; i < want->n_items; i++)
    {
      float a = ((const float *) g_bytes_get_data (bytes, NULL))[i], b = ((const float *) want->data)[i];

      g_assert_cmpfloat (a, ==, MAX (b, 0.0f));
      p->below_zero += b < 0.0f;
    }
  p->checked++;
}

/* Tests that nested absmax becomes plain without any change of value. Nesting may have rounded the absmax of a zero
   block below zero */
static void
test_unnest (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_auto (Pair) p = { NULL };
      g_autofree char *target = g_strconcat (types[i], "-bnb", NULL), *path = scratch_path ("converted.safetensors");
      g_autofree char *problems = NULL;

      open_pair (&p, types[i], target, (const char *const[]) { "double-quant=off", NULL });
      each_layer (p.golden, ".weight.nested_absmax", check_absmax, &p);
      g_test_message ("%s: %u layers, %u absmax below zero", types[i], p.checked, p.below_zero);
      g_assert_cmpuint (p.checked, >=, 3);
      problems = problems_of (path);
      g_assert_cmpstr (problems, ==, "");
    }
}

/* ---- Moving ---- */

/* Tests that codes lie in bytes for any type of the storage, and that texts are padded */
static void
check_moved (const char *name, gpointer data)
{
  Pair *p = data;
  const GoldenTensor *want = golden_file_tensor (p->golden, name);
  g_autoptr (GBytes) got = tensor_bytes (p->model, name);
  gsize size;
  const guint8 *bytes = g_bytes_get_data (got, &size);

  g_assert_cmpuint (size, >=, want->size);
  g_assert_cmpmem (bytes, want->size, want->data, want->size);
  for (gsize i = want->size; i < size; i++)
    g_assert_cmphex (bytes[i], ==, ' ');
  p->checked++;
}

static void
test_move (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_auto (Pair) p = { NULL };
      g_autofree char *target = g_strconcat (types[i], "-bnb", NULL), *path = scratch_path ("converted.safetensors");
      g_autofree char *problems = NULL;

      open_pair (&p, types[i], target, NULL);
      each_layer (p.golden, "", check_moved, &p);
      g_assert_cmpuint (p.checked, ==, p.golden->tensors->len);
      g_assert_cmpuint (p.checked, ==, qconv_directory_n_tensors (qconv_model_directory (p.model)));
      problems = problems_of (path);
      g_assert_cmpstr (problems, ==, "");
    }
}

/* ---- Encoding ---- */

static void
assert_tensor (const QconvModel *m, const char *name, const GoldenTensor *want)
{
  g_autoptr (GBytes) got = tensor_bytes (m, name);

  g_assert_cmpmem (g_bytes_get_data (got, NULL), g_bytes_get_size (got), want->data, want->size);
}

static gint
distance (guint8 a, guint8 b)
{
  return a > b ? a - b : b - a;
}

/* Compares nested absmax. PyTorch sums the mean of absmax in FP32 and in an order of its own; if the last bit of the
   offset differs, 8-bit codes may differ by one. Returns whether the offset is the same */
static gboolean
assert_nested (const QconvModel *m, const GoldenFile *golden, const char *layer, const char *state, const char *text)
{
  static const char key[] = "\"nested_offset\": ";
  g_autofree char *name = g_strconcat (layer, ".weight.absmax", NULL);
  const GoldenTensor *absmax = golden_file_tensor (golden, name);
  g_autoptr (GBytes) codes = tensor_bytes (m, "w.weight.absmax"), got = tensor_bytes (m, state);
  g_autofree char *mine = g_strndup (g_bytes_get_data (got, NULL), g_bytes_get_size (got));
  double a = g_ascii_strtod (strstr (mine, key) + strlen (key), NULL);
  double b = g_ascii_strtod (strstr (text, key) + strlen (key), NULL);

  g_assert_cmpmem (mine, (gsize) (strstr (mine, key) - mine), text, (gsize) (strstr (text, key) - text));
  g_assert_cmpfloat_with_epsilon (a, b, b * 2.5e-7);
  assert_tensor (m, "w.weight.nested_quant_map", find_tensor (golden, layer, ".weight.nested_quant_map"));
  for (gsize i = 0; i < absmax->size; i++)
    g_assert_cmpint (distance (((const guint8 *) g_bytes_get_data (codes, NULL))[i], absmax->data[i]), <=,
                     a < b || a > b ? 1 : 0);
  if (a < b || a > b)
    return FALSE;
  assert_tensor (m, "w.weight.nested_absmax", find_tensor (golden, layer, ".weight.nested_absmax"));
  g_assert_true (g_str_has_prefix (mine, text));
  return TRUE;
}

static char *
encode_source (const GoldenTensor *source, const char *type, const char *text, gboolean nested)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *shape
      = g_strdup_printf ("[%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "]", source->shape[0], source->shape[1]);
  const char *size = strstr (text, "blocksize\": ") + strlen ("blocksize\": ");
  g_autofree char *block = g_strdup_printf ("block=%d", atoi (size));
  g_autofree char *target = g_strconcat (type, "-bnb", NULL), *in = NULL;
  char *out = scratch_path ("encoded.safetensors");
  const char *const options[] = { "effort=rtn", block, nested ? "double-quant=on" : "double-quant=off", NULL };

  builder_add (b, "w.weight", source->dtype, shape, source->data, source->size);
  in = builder_write (b, "source.safetensors");
  convert (in, out, target, options);
  return out;
}

static void
check_encoded (const char *layer, gpointer data)
{
  Pair *p = data;
  g_autofree char *state = g_strconcat (".weight.quant_state.bitsandbytes__", p->type, NULL);
  g_autofree char *my_state = g_strconcat ("w", state, NULL);
  const GoldenTensor *stored = find_tensor (p->golden, layer, state);
  g_autofree char *text = g_strndup ((const char *) stored->data, stored->size), *path = NULL;
  gboolean nested = strstr (text, "nested_offset") != NULL;
  g_autoptr (QconvModel) m = NULL;

  path = encode_source (find_tensor (p->expected, layer, ".source"), p->type, text, nested);
  m = open_model (path, NULL);
  assert_tensor (m, "w.weight", find_tensor (p->golden, layer, ".weight"));
  assert_tensor (m, "w.weight.quant_map", find_tensor (p->golden, layer, ".weight.quant_map"));
  p->checked++;
  if (nested)
    {
      gboolean same = assert_nested (m, p->golden, layer, my_state, text);

      p->same_offset += same;
      p->nested++;
      return;
    }
  assert_tensor (m, "w.weight.absmax", find_tensor (p->golden, layer, ".weight.absmax"));
  assert_tensor (m, my_state, stored);
}

static void
test_encode (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_auto (Pair) p = { NULL };

      open_pair (&p, types[i], "f32-safetensors", NULL);
      each_layer (p.golden, ".weight.quant_map", check_encoded, &p);
      g_test_message ("%s: %u layers, %u nested, %u of them with the same offset", types[i], p.checked, p.nested,
                      p.same_offset);
      g_assert_cmpuint (p.checked, >=, 8);
      g_assert_cmpuint (p.same_offset, >=, 2);
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/bnb/decode", test_decode);
  g_test_add_func ("/bnb/unnest", test_unnest);
  g_test_add_func ("/bnb/move", test_move);
  g_test_add_func ("/bnb/encode", test_encode);
  status = g_test_run ();
  scratch_end ();
  return status;
}
