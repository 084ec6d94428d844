/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures how fast the plain operations are on buffers far larger than the caches: bytes of input or output, whichever
   is larger, per second, and the ratio to memcpy() of as many bytes in the same run. bench-kernels [LEVEL [NAME]]
   measures one level or one row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/stream.h"

enum { ROUNDS = 7, COLS = 4096, ROWS = 8192, ITEMS = ROWS * COLS };

/**
 * Measure: one row of the report.
 *
 * @input: dtype of the first argument
 * @output: dtype of the result if it has as many items as the input; else 0
 * @group: columns of a rotation, size of a block, or bits of a code
 */
typedef struct {
  const char *name, *op;
  QconvDType input, output;
  guint group;
} Measure;

static const Measure measures[] = {
  { "amax", "amax", QCONV_BF16, 0 },
  { "nonfinite", "nonfinite", QCONV_BF16, 0 },
  { "nonfinite-f32", "nonfinite", QCONV_F32, 0 },
  { "bf16-to-f32", "convert", QCONV_BF16, QCONV_F32 },
  { "f16-to-f32", "convert", QCONV_F16, QCONV_F32 },
  { "f32-to-bf16", "convert", QCONV_F32, QCONV_BF16 },
  { "f32-to-f16", "convert", QCONV_F32, QCONV_F16 },
  { "e4m3-to-f32", "convert", QCONV_F8_E4M3, QCONV_F32 },
  { "nvfp4-rtn", "nvfp4-encode-rtn", QCONV_BF16, 0 },
  { "nvfp4-rtn-f16", "nvfp4-encode-rtn", QCONV_F16, 0 },
  { "nvfp4-rtn-f32", "nvfp4-encode-rtn", QCONV_F32, 0 },
  { "nvfp4-search", "nvfp4-encode-search", QCONV_BF16, 0 },
  { "nvfp4-search-f32", "nvfp4-encode-search", QCONV_F32, 0 },
  { "nvfp4-decode", "nvfp4-decode", QCONV_U4, QCONV_F32 },
  { "mxfp4-decode", "mxfp4-decode", QCONV_U4, QCONV_F32 },
  { "magnitudes", "magnitudes", QCONV_BF16, 0 },
  { "magnitudes-f32", "magnitudes", QCONV_F32, 0 },
  { "fp8", "fp8-encode", QCONV_BF16, 0 },
  { "fp8-f16", "fp8-encode", QCONV_F16, 0 },
  { "fp8-f32", "fp8-encode", QCONV_F32, 0 },
  { "fp8-row-rtn", "fp8-tile-encode-rtn", QCONV_BF16, 0 },
  { "fp8-row-search", "fp8-tile-encode-search", QCONV_BF16, 0 },
  { "fp8-block-search", "fp8-tile-encode-search", QCONV_BF16, 0, 128 },
  { "fp8-decode", "fp8-decode", QCONV_F8_E4M3, QCONV_F32 },
  { "fp8-e5m2-decode", "fp8-decode", QCONV_F8_E5M2, QCONV_F32 },
  { "mxfp8", "mxfp8-encode", QCONV_BF16, 0 },
  { "mxfp8-f32", "mxfp8-encode", QCONV_F32, 0 },
  { "mxfp8-decode", "mxfp8-decode", QCONV_F8_E4M3, QCONV_F32 },
  { "convrot-256", "convrot", QCONV_BF16, QCONV_F32, 256 },
  { "int8-row", "int8-encode-row", QCONV_BF16, 0, 1 },
  { "int8-row-rot16", "int8-encode-row", QCONV_BF16, 0, 16 },
  { "int8-row-rot256", "int8-encode-row", QCONV_BF16, 0, 256 },
  { "int8-block", "int8-encode-block", QCONV_BF16, 0, 128 },
  { "int8-decode", "int8-decode", QCONV_I8, QCONV_F32 },
  { "int8-largest", "int8-decode-largest", QCONV_I8, QCONV_F32 },
  { "int4-row", "int4-encode-row", QCONV_BF16, 0, 1 },
  { "int4-row-rot256", "int4-encode-row", QCONV_BF16, 0, 256 },
  { "int4-decode", "int4-decode-row", QCONV_U4, QCONV_F32 },
  { "gptq4-decode", "gptq-decode", QCONV_U4, QCONV_F32, 128 },
  { "gptq8-decode", "gptq-decode", QCONV_U8, QCONV_F32, 128 },
  { "gptq4-act-order", "gptq-decode-indexed", QCONV_U4, QCONV_F32, 128 },
  { "gptq8-act-order", "gptq-decode-indexed", QCONV_U8, QCONV_F32, 128 },
  { "int4-group-rtn", "int4-group-encode-rtn", QCONV_F32, 0, 128 },
  { "int4-group-search", "int4-group-encode-search", QCONV_F32, 0, 128 },
  { "awq-decode", "awq-decode", QCONV_U4, QCONV_F32, 64 },
  { "w4a8", "w4a8-encode", QCONV_F32, 0, 4 },
  { "w6a8-search", "w4a8-encode", QCONV_F32, 0, 6 },
  { "w4a8-decode", "w4a8-decode", QCONV_U4, QCONV_F32 },
  { "w6a8-decode", "w4a8-decode", QCONV_U8, QCONV_F32 },
  { "nf4-rtn", "codebook4-encode-rtn", QCONV_BF16, 0, 64 },
  { "nf4-rtn-f32", "codebook4-encode-rtn", QCONV_F32, 0, 64 },
  { "nf4-search", "codebook4-encode-search", QCONV_BF16, 0, 64 },
  { "nf4-search-4096", "codebook4-encode-search", QCONV_BF16, 0, 4096 },
  { "nf4-decode", "codebook4-decode", QCONV_U4, QCONV_F32, 64 },
  { "add-product-32", "add-product", QCONV_F32, 0 },
  { "squared-error", "squared-error", QCONV_BF16, 0 },
  { "squared-error-f32", "squared-error", QCONV_F32, 0 },
};

/* Like NF4's */
static const float levels[16]
    = { -1.0f, -0.7f, -0.5f, -0.4f, -0.3f, -0.2f, -0.1f, 0.0f, 0.08f, 0.16f, 0.25f, 0.34f, 0.44f, 0.56f, 0.7f, 1.0f };

typedef struct {
  float *wide;
  guint16 *bf16, *f16;
  guint8 *codes, *scales, *out;
  float number;
  double sums[2];
} Memory;

static gsize
input_bytes (const Measure *m)
{
  return (gsize) ITEMS * qconv_dtype_bits (m->input) / 8;
}

static gsize
counted_bytes (const Measure *m)
{
  return MAX (input_bytes (m), m->output == 0 ? 0 : (gsize) ITEMS * qconv_dtype_bits (m->output) / 8);
}

static void *
input_of (const Memory *mem, QconvDType dtype)
{
  return dtype == QCONV_F32    ? (void *) mem->wide
         : dtype == QCONV_BF16 ? mem->bf16
         : dtype == QCONV_F16  ? mem->f16
                               : (void *) mem->codes;
}

/* Runs an operation on integers under F32 scales. @in: its first argument */
static gboolean
run_int_op (Memory *mem, const Measure *m, const QconvOp *op, QconvArg in, GError **error)
{
  gboolean encode = strstr (op->name, "-encode") != NULL, int4 = g_str_has_prefix (op->name, "int4");
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (mem->out, int4 ? ITEMS / 2 : ITEMS, int4 ? QCONV_U4 : QCONV_I8);
  QconvBuffer scales = QCONV_BUFFER (mem->scales, ROWS * 4, QCONV_F32);
  QconvBuffer scratch = QCONV_BUFFER (mem->scales + ROWS * 4, COLS * 4, QCONV_F32);
  QconvArg rows = QCONV_I (ROWS), cols = QCONV_I (COLS), group = QCONV_I (m->group);

  if (strcmp (op->name, "convrot") == 0)
    return op->run (NULL, NULL, (QconvArg[]) { in, QCONV_BUF (&wide), rows, cols, group }, error);
  if (g_str_has_prefix (op->name, "int4-group"))
    {
      QconvBuffer group_scales = QCONV_BUFFER (mem->scales, (gsize) ITEMS / m->group * 4, QCONV_F32);

      return op->run (
          NULL, NULL,
          (QconvArg[]) { in, QCONV_BUF (&codes), QCONV_BUF (&group_scales), rows, cols, group, QCONV_I (QCONV_BF16) },
          error);
    }
  if (encode)
    return op->run (
        NULL, NULL,
        (QconvArg[]) { in, QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&scratch), rows, cols, group }, error);
  return op->run (NULL, NULL,
                  (QconvArg[]) { in, QCONV_BUF (&scales), QCONV_BUF (&wide), rows, cols, QCONV_I (1), cols }, error);
}

static gboolean
is_int_op (const QconvOp *op)
{
  return strcmp (op->name, "convrot") == 0 || g_str_has_prefix (op->name, "int");
}

/* Encodes or decodes groups of 16 with 4 or 6 bits. @in: the first argument */
static gboolean
run_w4a8_op (Memory *mem, const Measure *m, const QconvOp *op, QconvArg in, GError **error)
{
  enum { GROUP = 16 };
  gboolean decode = strstr (op->name, "-decode") != NULL, four = decode ? m->input == QCONV_U4 : m->group == 4;
  QconvBuffer table = QCONV_BUFFER (levels, sizeof levels, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (mem->out, four ? ITEMS / 2 : ITEMS, four ? QCONV_U4 : QCONV_U8);
  QconvBuffer scales = QCONV_BUFFER (mem->scales, ITEMS / GROUP, QCONV_F8_E4M3);
  QconvBuffer row_scales = QCONV_BUFFER (decode ? (guint8 *) mem->wide : mem->out + ITEMS, ROWS * 4, QCONV_F32);
  QconvBuffer scratch = QCONV_BUFFER (mem->out + 2 * (gsize) ITEMS, COLS / GROUP * 4, QCONV_F32);
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  QconvArg by_code = QCONV_BUF (four ? &table : NULL), of_group = QCONV_BUF (&scales), of_row = QCONV_BUF (&row_scales);
  QconvArg rows = QCONV_I (ROWS), cols = QCONV_I (COLS), group = QCONV_I (GROUP), effort = QCONV_I (four ? 0 : 1);

  if (decode)
    return op->run (NULL, NULL, (QconvArg[]) { in, by_code, of_group, of_row, QCONV_BUF (&wide), rows, cols, group },
                    error);
  return op->run (NULL, NULL,
                  (QconvArg[]) { in, by_code, QCONV_BUF (&codes), of_group, of_row, QCONV_BUF (&scratch), rows, cols,
                                 group, effort },
                  error);
}

/* Runs an operation on a table of 16 levels like NF4's. @in: its first argument */
static gboolean
run_table_op (Memory *mem, const Measure *m, const QconvOp *op, QconvArg in, GError **error)
{
  QconvBuffer table = QCONV_BUFFER (levels, sizeof levels, QCONV_F32);
  QconvBuffer absmax = QCONV_BUFFER (mem->scales, ITEMS / m->group * 4, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (mem->out, ITEMS / 2, QCONV_U4);
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  gboolean decode = strstr (op->name, "-decode") != NULL;
  QconvArg args[] = { in,
                      QCONV_BUF (&table),
                      QCONV_BUF (decode ? &absmax : &codes),
                      QCONV_BUF (decode ? &wide : &absmax),
                      QCONV_I (ROWS),
                      QCONV_I (COLS),
                      QCONV_I (m->group) };

  return op->run (NULL, NULL, args, error);
}

/* Decodes whole numbers under a scale and a zero for each group, in order or with a group for each column. @in: the
   codes */
static gboolean
run_gptq_op (Memory *mem, const Measure *m, const QconvOp *op, QconvArg in, GError **error)
{
  static gint32 groups_of_columns[COLS];
  gsize groups = COLS / m->group;
  QconvBuffer scales = QCONV_BUFFER (mem->wide, ROWS * groups * 4, QCONV_F32);
  QconvBuffer zeros = QCONV_BUFFER (mem->scales, ROWS * groups * 2, QCONV_I16);
  QconvBuffer index = QCONV_BUFFER (groups_of_columns, sizeof groups_of_columns, QCONV_I32);
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  QconvArg scale = QCONV_BUF (&scales), zero = QCONV_BUF (&zeros), out = QCONV_BUF (&wide), rows = QCONV_I (ROWS),
           cols = QCONV_I (COLS);

  for (guint i = 0; i < COLS; i++)
    groups_of_columns[i] = (gint32) ((i * 0x9e3779b1u >> 8) % groups);
  if (strcmp (op->name, "gptq-decode") == 0)
    return op->run (NULL, NULL, (QconvArg[]) { in, scale, zero, out, rows, cols, QCONV_I (m->group) }, error);
  return op->run (NULL, NULL, (QconvArg[]) { in, scale, zero, QCONV_BUF (&index), out, rows, cols, QCONV_I (groups) },
                  error);
}

/* Decodes 4-bit codes under BF16 scales and zeros of groups. @in: the codes */
static gboolean
run_awq_op (Memory *mem, const Measure *m, const QconvOp *op, QconvArg in, GError **error)
{
  QconvBuffer numbers = QCONV_BUFFER (mem->bf16, ITEMS / m->group * 2, QCONV_BF16);
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  const QconvArg args[] = { in,
                            QCONV_BUF (&numbers),
                            QCONV_BUF (&numbers),
                            QCONV_BUF (&wide),
                            QCONV_I (ROWS),
                            QCONV_I (COLS),
                            QCONV_I (m->group),
                            QCONV_I (8) };

  return op->run (NULL, NULL, args, error);
}

/* Adds a LoRA of rank 32 to all items */
static gboolean
run_product_op (Memory *mem, const QconvOp *op, GError **error)
{
  enum { RANK = 32 };
  QconvBuffer sum = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  QconvBuffer left = QCONV_BUFFER (mem->wide, (gsize) ROWS * RANK * 4, QCONV_F32);
  QconvBuffer right = QCONV_BUFFER (mem->wide, (gsize) RANK * COLS * 4, QCONV_F32);
  const QconvArg args[] = { QCONV_BUF (&sum), QCONV_BUF (&left), QCONV_BUF (&right), QCONV_I (ROWS),
                            QCONV_I (COLS),   QCONV_I (RANK),    QCONV_F (0.5f) };

  return op->run (NULL, NULL, args, error);
}

static void
run_op (Memory *mem, const Measure *m, const QconvOp *op)
{
  QconvBuffer in = QCONV_BUFFER (input_of (mem, m->input), input_bytes (m), m->input);
  QconvBuffer out = QCONV_BUFFER (mem->out, (gsize) ITEMS * qconv_dtype_bits (m->output) / 8, m->output);
  QconvBuffer wide = QCONV_BUFFER (mem->out, (gsize) ITEMS * 4, QCONV_F32);
  QconvBuffer other = QCONV_BUFFER (mem->wide, (gsize) ITEMS * 4, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (mem->out, ITEMS / 2, QCONV_U4);
  QconvBuffer scales = QCONV_BUFFER (mem->scales, ITEMS / 16, QCONV_F8_E4M3);
  QconvBuffer exponents = QCONV_BUFFER (mem->scales, ITEMS / 32, QCONV_F8_E8M0);
  QconvBuffer bytes = QCONV_BUFFER (mem->out, ITEMS, QCONV_F8_E4M3);
  QconvBuffer row_scales = QCONV_BUFFER (mem->scales, ROWS * 4, QCONV_F32);
  QconvBuffer number = QCONV_BUFFER (&mem->number, 4, QCONV_F32), count = QCONV_BUFFER (mem->sums, 8, QCONV_U64);
  QconvBuffer sums = QCONV_BUFFER (mem->sums, 16, QCONV_F64);
  QconvArg one = QCONV_I (1), block = QCONV_I (m->group);
  QconvArg args[7] = { QCONV_BUF (&in), QCONV_BUF (&out) }, rows = QCONV_I (ROWS), cols = QCONV_I (COLS);
  g_autoptr (GError) error = NULL;

  if (strcmp (op->name, "amax") == 0)
    args[1] = QCONV_BUF (&number);
  else if (strcmp (op->name, "nonfinite") == 0)
    args[1] = QCONV_BUF (&count);
  else if (g_str_has_prefix (op->name, "nvfp4-encode"))
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&number), rows, cols },
            5 * sizeof *args);
  else if (strcmp (op->name, "nvfp4-decode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&scales), QCONV_BUF (&number), QCONV_BUF (&wide), rows, cols },
            5 * sizeof *args);
  else if (strcmp (op->name, "mxfp4-decode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&exponents), QCONV_BUF (&wide), rows, cols }, 4 * sizeof *args);
  else if (strcmp (op->name, "magnitudes") == 0)
    args[1] = QCONV_BUF (&wide);
  else if (strcmp (op->name, "fp8-encode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&bytes), QCONV_BUF (&number), rows, cols }, 4 * sizeof *args);
  else if (g_str_has_prefix (op->name, "fp8-tile"))
    memcpy (args + 1,
            (QconvArg[]) { QCONV_BUF (&bytes), QCONV_BUF (&row_scales), rows, cols, m->group > 0 ? block : one,
                           m->group > 0 ? block : cols },
            6 * sizeof *args);
  else if (strcmp (op->name, "fp8-decode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&row_scales), QCONV_BUF (&wide), rows, cols, one, cols },
            6 * sizeof *args);
  else if (strcmp (op->name, "mxfp8-encode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&bytes), QCONV_BUF (&exponents), rows, cols }, 4 * sizeof *args);
  else if (strcmp (op->name, "mxfp8-decode") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&exponents), QCONV_BUF (&wide), rows, cols }, 4 * sizeof *args);
  else if (strcmp (op->name, "squared-error") == 0)
    memcpy (args + 1, (QconvArg[]) { QCONV_BUF (&other), QCONV_BUF (&sums), rows, cols }, 4 * sizeof *args);
  if (!(is_int_op (op)                             ? run_int_op (mem, m, op, args[0], &error)
        : g_str_has_prefix (op->name, "gptq")      ? run_gptq_op (mem, m, op, args[0], &error)
        : strcmp (op->name, "awq-decode") == 0     ? run_awq_op (mem, m, op, args[0], &error)
        : g_str_has_prefix (op->name, "codebook4") ? run_table_op (mem, m, op, args[0], &error)
        : g_str_has_prefix (op->name, "w4a8")      ? run_w4a8_op (mem, m, op, args[0], &error)
        : strcmp (op->name, "add-product") == 0    ? run_product_op (mem, op, &error)
                                                   : op->run (NULL, NULL, args, &error)))
    g_error ("%s: %s", op->name, error->message);
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
median (double *values)
{
  qsort (values, ROUNDS, sizeof *values, compare_doubles);
  return values[ROUNDS / 2];
}

static void
measure (Memory *mem, const char *level, const Measure *m, const QconvOp *op)
{
  double rates[ROUNDS], copies[ROUNDS], gb = (double) counted_bytes (m) / 1e3;

  for (gsize i = 0; i < ROUNDS; i++)
    {
      gint64 start, between;

      mem->number = 0.1f / 2688.0f;
      start = g_get_monotonic_time ();
      run_op (mem, m, op);
      between = g_get_monotonic_time ();
      rates[i] = gb / (double) (between - start);
      memcpy (mem->out, mem->wide, counted_bytes (m));
      copies[i] = gb / (double) (g_get_monotonic_time () - between);
    }
  g_print ("%-8s %-18s %9.2f %9.3f\n", level, m->name, median (rates), median (rates) / median (copies));
}

/* Makes weights like those of a trained layer: normally distributed with a deviation of 0.02 */
static void
fill (Memory *mem)
{
  guint32 state = 1;

  for (gsize i = 0; i < ITEMS; i++)
    {
      double u[2];

      for (guint k = 0; k < 2; k++)
        {
          state = state * 1664525 + 1013904223;
          u[k] = ((double) (state >> 8) + 0.5) / (1 << 24);
        }
      mem->wide[i] = (float) (0.02 * sqrt (-2 * log (u[0])) * cos (2 * G_PI * u[1]));
    }
}

static void
narrow (Memory *mem, const QconvOp *ops, QconvDType dtype)
{
  QconvBuffer wide = QCONV_BUFFER (mem->wide, ITEMS * sizeof (float), QCONV_F32);
  QconvBuffer half = QCONV_BUFFER (input_of (mem, dtype), ITEMS * sizeof (guint16), dtype);
  QconvArg args[] = { QCONV_BUF (&wide), QCONV_BUF (&half) };

  while (strcmp (ops->name, "convert") != 0)
    ops++;
  if (!ops->run (NULL, NULL, args, NULL))
    g_error ("convert failed");
}

int
main (int argc, char **argv)
{
  Memory mem = { 0 };

  mem.wide = g_malloc (ITEMS * sizeof (float));
  mem.bf16 = g_malloc (ITEMS * sizeof (guint16));
  mem.f16 = g_malloc (ITEMS * sizeof (guint16));
  mem.codes = g_malloc (ITEMS);
  mem.scales = g_malloc (ITEMS / 16);
  mem.out = g_malloc (ITEMS * sizeof (float));
  memset (mem.scales, 0x40, ITEMS / 16);
  memset (mem.out, 1, ITEMS * sizeof (float));
  for (gsize i = 0; i < ITEMS; i++)
    mem.codes[i] = (guint8) (i * 0x9e3779b1u >> 24);
  fill (&mem);
  narrow (&mem, qconv_kernel_levels ()->ops, QCONV_BF16);
  narrow (&mem, qconv_kernel_levels ()->ops, QCONV_F16);
  g_print ("%-8s %-18s %9s %9s\n", "level", "measure", "GB/s", "/memcpy");
  for (const QconvKernelLevel *level = qconv_kernel_levels (); level->name != NULL; level++)
    for (guint i = 0; i < G_N_ELEMENTS (measures); i++)
      for (const QconvOp *op = level->ops; op->name != NULL; op++)
        if (level->supported () && strcmp (op->name, measures[i].op) == 0
            && (argc < 2 || strcmp (argv[1], level->name) == 0)
            && (argc < 3 || strcmp (argv[2], measures[i].name) == 0))
          measure (&mem, level->name, &measures[i], op);
  for (guint i = 0; i < 6; i++)
    g_free (((gpointer[]) { mem.wide, mem.bf16, mem.f16, mem.codes, mem.scales, mem.out })[i]);
  return 0;
}
