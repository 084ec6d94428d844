/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the table of plugins/README.md, which says what is moved and what is decoded: makes a layer of each of its
   rows, in every format that has such layers, and plans it for each of its columns. */
#include <string.h>

#include "maker.h"

/* What a tensor holds: equal bytes. Floats of them are finite and above zero; SYMMETRIC makes zero points of a
   symmetric layer in GPTQ's version 1 */
enum { BYTE = 0x3c, SYMMETRIC = 0x77 };

/* @name: behind "m."; NULL ends a list. Columns 0: a list; rows 0, too: a single number */
typedef struct {
  const char *name, *dtype;
  guint rows, cols, bytes;
  guint8 byte;
} Member;

/* Form: one layer, of 256 × 256 weights.
 * @row: the first cell of its row
 * @file, @json: (nullable): what lies beside the model */
typedef struct {
  const char *row, *file, *json;
  Member members[5];
} Form;

#define CT(format) \
  "config.json", "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"" format "\"}}"
#define MO(algorithm)     \
  "hf_quant_config.json", \
      "{\"producer\": {\"name\": \"modelopt\"}, \"quantization\": {\"quant_algo\": \"" algorithm "\"}}"
#define WORDS(name, rows, cols)      \
  {                                  \
    name, "I32", rows, cols, 4, BYTE \
  }
#define F8(name, rows, cols)             \
  {                                      \
    name, "F8_E4M3", rows, cols, 1, BYTE \
  }
#define F16(name, rows, cols)        \
  {                                  \
    name, "F16", rows, cols, 2, BYTE \
  }
#define F32(name, rows, cols)        \
  {                                  \
    name, "F32", rows, cols, 4, BYTE \
  }
#define U8(name, rows, cols)        \
  {                                 \
    name, "U8", rows, cols, 1, BYTE \
  }
#define I8(name, rows, cols)        \
  {                                 \
    name, "I8", rows, cols, 1, BYTE \
  }

static const Form forms[] = {
  { "GPTQ", NULL, NULL, { WORDS ("qweight", 32, 256), WORDS ("qzeros", 4, 32), F16 ("scales", 4, 256) } },
  { "GPTQ", NULL, NULL, { WORDS ("qweight", 64, 256), WORDS ("qzeros", 4, 64), F16 ("scales", 4, 256) } },
  { "GPTQ, symmetric, all columns one group",
    NULL,
    NULL,
    { WORDS ("qweight", 32, 256), { "qzeros", "I32", 1, 32, 4, SYMMETRIC }, F16 ("scales", 1, 256) } },
  { "AutoAWQ", NULL, NULL, { WORDS ("qweight", 256, 32), WORDS ("qzeros", 4, 32), F16 ("scales", 4, 256) } },
  { "whole numbers of compressed-tensors, in words, with groups or zeros",
    NULL,
    NULL,
    { WORDS ("weight_packed", 256, 32), F32 ("weight_scale", 256, 4), { "weight_shape", "I64", 2, 0, 8, 0 } } },
  { "whole numbers of compressed-tensors, in words, with groups or zeros",
    CT ("int-quantized"),
    { I8 ("weight", 256, 256), F32 ("weight_scale", 256, 1), I8 ("weight_zero_point", 256, 1) } },
  { "INT8 of compressed-tensors, symmetric",
    CT ("int-quantized"),
    { I8 ("weight", 256, 256), F32 ("weight_scale", 256, 1) } },
  { "INT8 of compressed-tensors, symmetric",
    CT ("int-quantized"),
    { I8 ("weight", 256, 256), F32 ("weight_scale", 1, 0) } },
  { "INT4 of ModelOpt", MO ("W4A16_AWQ"), { U8 ("weight", 128, 256), F32 ("weight_scale", 256, 2) } },
  { "FP8, one scale", CT ("float-quantized"), { F8 ("weight", 256, 256), F32 ("weight_scale", 1, 0) } },
  { "FP8, one scale", MO ("FP8"), { F8 ("weight", 256, 256), F32 ("weight_scale", 0, 0) } },
  { "FP8, one scale", NULL, NULL, { F8 ("weight", 256, 256), F32 ("weight_scale_inv", 0, 0) } },
  { "FP8, a scale for each row", CT ("float-quantized"), { F8 ("weight", 256, 256), F32 ("weight_scale", 256, 1) } },
  { "FP8, a scale for each row", MO ("FP8"), { F8 ("weight", 256, 256), F32 ("weight_scale", 256, 0) } },
  { "FP8, square blocks that divide both axes",
    CT ("float-quantized"),
    { F8 ("weight", 256, 256), F32 ("weight_scale", 2, 2) } },
  { "FP8, square blocks that divide both axes",
    MO ("FP8_PB_WO"),
    { F8 ("weight", 256, 256), F32 ("weight_scale", 2, 2) } },
  { "FP8, square blocks that divide both axes",
    NULL,
    NULL,
    { F8 ("weight", 256, 256), F32 ("weight_scale_inv", 2, 2) } },
  { "FP8, other blocks", CT ("float-quantized"), { F8 ("weight", 256, 256), F32 ("weight_scale", 2, 4) } },
  { "FP8, other blocks", NULL, NULL, { F8 ("weight", 256, 256), F32 ("weight_scale_inv", 4, 2) } },
  { "NVFP4 of ModelOpt",
    MO ("NVFP4"),
    { U8 ("weight", 256, 128), F8 ("weight_scale", 256, 16), F32 ("weight_scale_2", 0, 0) } },
  { "NVFP4 of compressed-tensors",
    NULL,
    NULL,
    { U8 ("weight_packed", 256, 128), F8 ("weight_scale", 256, 16), F32 ("weight_global_scale", 1, 0) } },
  { "MXFP4", NULL, NULL, { U8 ("weight_packed", 256, 128), U8 ("weight_scale", 256, 8) } },
  { "MXFP4", MO ("MXFP4"), { U8 ("weight", 256, 128), U8 ("weight_scale", 256, 8) } },
  { "MXFP4", NULL, NULL, { I8 ("weight", 256, 128), U8 ("weight_scale_inv", 256, 8) } },
  { "MXFP6", NULL, NULL, { U8 ("weight_packed", 256, 192), U8 ("weight_scale", 256, 8) } },
  { "MXFP8", CT ("mxfp8-quantized"), { F8 ("weight", 256, 256), U8 ("weight_scale", 256, 8) } },
  { "MXFP8", MO ("MXFP8"), { F8 ("weight", 256, 256), U8 ("weight_scale", 256, 8) } },
  { "MXFP8", NULL, NULL, { F8 ("weight", 256, 256), U8 ("weight_scale_inv", 256, 8) } },
};

static void
add_member (Builder *b, const Member *m)
{
  gsize n = (gsize) MAX (m->rows, 1) * MAX (m->cols, 1) * m->bytes;
  g_autofree guint8 *data = g_malloc (n);
  g_autofree char *name = g_strconcat ("m.", m->name, NULL);
  g_autofree char *shape = m->cols > 0   ? g_strdup_printf ("[%u, %u]", m->rows, m->cols)
                           : m->rows > 0 ? g_strdup_printf ("[%u]", m->rows)
                                         : g_strdup ("[]");

  memset (data, m->byte, n);
  for (gsize i = 1; strcmp (m->dtype, "I64") == 0 && i < n; i += 8)
    data[i] = 1; /* 256 */
  builder_add (b, name, m->dtype, shape, data, n);
}

/* Returns: (transfer full): the path of a model with the layer */
static char *
write_form (const Form *f)
{
  g_autoptr (Builder) b = builder_new ();

  write_beside ("config.json", NULL);
  write_beside ("hf_quant_config.json", NULL);
  if (f->file != NULL)
    write_beside (f->file, f->json);
  for (const Member *m = f->members; m->name != NULL; m++)
    add_member (b, m);
  return builder_write (b, "form.safetensors");
}

/* Returns: (transfer full): the cells of a line of the table, without spaces at their ends; NULL: it is none */
static char **
split_cells (const char *line)
{
  char **cells;

  if (!g_str_has_prefix (line, "| ") || !g_str_has_suffix (line, " |"))
    return NULL;
  cells = g_strsplit (line + 1, "|", -1);
  for (guint i = 0; cells[i] != NULL; i++)
    g_strstrip (cells[i]);
  g_assert_cmpstr (cells[g_strv_length (cells) - 1], ==, "");
  return cells;
}

/* Returns: (transfer full) (element-type GStrv): the table: its header, then its rows */
static GPtrArray *
read_table (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "plugins", "README.md", NULL), *text = NULL;
  GPtrArray *table = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      char **cells = split_cells (lines[i]);

      if (cells != NULL && (table->len > 0 || strcmp (cells[0], "form") == 0))
        g_ptr_array_add (table, cells);
      else
        g_strfreev (cells);
    }
  g_assert_cmpuint (table->len, >, 1);
  return table;
}

/* Returns the row of @f; fails if the table has none */
static char **
find_row (const GPtrArray *table, const Form *f)
{
  for (guint i = 1; i < table->len; i++)
    if (strcmp (((char **) g_ptr_array_index (table, i))[0], f->row) == 0)
      return g_ptr_array_index (table, i);
  g_error ("the table has no row \"%s\"", f->row);
  return NULL;
}

/* Asserts that a cell says what the targets of its column do. @targets: "`nvfp4-comfy`, `…`" */
static void
check_cell (const Form *f, const char *input, const char *targets, const char *cell)
{
  g_auto (GStrv) words = g_strsplit (targets, "`", -1);
  const char *want = strcmp (cell, "–") == 0 ? "encode" : cell;

  for (guint i = 1; words[i] != NULL; i += 2)
    {
      g_autofree char *how = how_planned (input, words[i]);

      if (strcmp (how, want) != 0)
        g_error ("%s (%s) to %s: %s, but the table says %s", f->row, f->json != NULL ? f->json : "no JSON", words[i],
                 how, want);
    }
}

static void
test_table (void)
{
  g_autoptr (GPtrArray) table = read_table ();
  char **header = g_ptr_array_index (table, 0);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_autofree char *input = write_form (&forms[i]);
      char **row = find_row (table, &forms[i]);

      g_hash_table_add (seen, row[0]);
      g_assert_cmpuint (g_strv_length (row), ==, g_strv_length (header));
      for (guint col = 1; *header[col] != '\0'; col++)
        check_cell (&forms[i], input, header[col], row[col]);
    }
  for (guint i = 1; i < table->len; i++)
    if (!g_hash_table_contains (seen, ((char **) g_ptr_array_index (table, i))[0]))
      g_error ("no layer of the row \"%s\" was made", ((char **) g_ptr_array_index (table, i))[0]);
}

/* Tests that targets that the table does not list decode and encode */
static void
test_others (void)
{
  static const char *const others[] = { "w4a8-comfy", "nf4-comfy", "q8_0-gguf", "q4_k-gguf" };

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_autofree char *input = write_form (&forms[i]);

      for (guint j = 0; j < G_N_ELEMENTS (others); j++)
        {
          g_autofree char *how = how_planned (input, others[j]);

          g_assert_cmpstr (how, ==, "encode");
        }
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/llm/table/readme", test_table);
  g_test_add_func ("/llm/table/other targets", test_others);
  status = g_test_run ();
  scratch_end ();
  return status;
}
