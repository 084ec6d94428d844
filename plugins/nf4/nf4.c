/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers nf4, fp4 and af4 and the descriptor of their plugin. */
#include "nf4.h"

#include <math.h>

#include "quantizer-checks.h"

/* Weights of one partial result; long rows have more */
#define CHUNK_WEIGHTS ((guint64) 1 << 20)
/* The fewest weights: one byte of codes has the shape [1, 1], which bitsandbytes takes for a transposed packing */
#define LEAST_WEIGHTS 3

static guint64
greatest_divisor (guint64 a, guint64 b)
{
  while (b != 0)
    {
      guint64 rest = a % b;

      a = b;
      b = rest;
    }
  return a;
}

gboolean
nf4_is_nested (const QconvLayer *layer)
{
  return !g_str_equal (layer->scheme, "af4") && qconv_values_boolean (layer->values, "double-quant");
}

Nf4Size
nf4_size (const QconvLayer *layer)
{
  guint64 block = (guint64) qconv_values_int (layer->values, "block");
  guint64 all = layer->rows * layer->cols, divisor = greatest_divisor (layer->cols, block);

  return (Nf4Size) { .block = block,
                     .blocks = all / block + (all % block != 0),
                     .run = { block / divisor, layer->cols / divisor } };
}

guint64
nf4_first_block (const QconvLayer *layer, guint64 first_row)
{
  QconvRun run = nf4_size (layer).run;

  return first_row / run.rows * run.n;
}

guint64
nf4_n_blocks (const QconvLayer *layer, guint64 n_rows)
{
  Nf4Size size = nf4_size (layer);
  guint64 n = n_rows * layer->cols;

  return n / size.block + (n % size.block != 0);
}

guint64
nf4_chunk_rows (const QconvLayer *layer)
{
  guint64 rows = nf4_size (layer).run.rows, wanted = CHUNK_WEIGHTS / layer->cols;

  return MAX (wanted / rows, 1) * rows;
}

/* ---- Components of a layer ---- */

static gboolean
check_shape (const QconvQuantizer *self, const QconvLayer *layer, GError **error)
{
  const Nf4Scheme *scheme = self->data;
  guint64 block = (guint64) qconv_values_int (layer->values, "block"), all;

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (__builtin_mul_overflow (layer->rows, layer->cols, &all) || all > G_MAXINT64)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "too many weights");
  if (!g_str_equal (self->id, "af4") && all < LEAST_WEIGHTS)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s needs a matrix of at least %d weights", self->id,
                       LEAST_WEIGHTS);
  return scheme->table (block) != NULL
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s has no table for blocks of %" G_GUINT64_FORMAT, self->id,
                        block);
}

static void
add_nested (const Nf4Size *size, QconvComponents *out)
{
  guint64 groups = size->blocks / NF4_NESTED_BLOCK + (size->blocks % NF4_NESTED_BLOCK != 0);

  qconv_components_add (
      out, &(QconvComponent) { .name = "absmax", .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (size->blocks) });
  qconv_components_add (
      out, &(QconvComponent) { .name = "nested_absmax", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (groups) });
  qconv_components_add (
      out, &(QconvComponent) { .name = "nested_map", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (NF4_MAP) });
  qconv_components_add (out, &(QconvComponent) { .name = "nested_offset", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
}

/* Lists the components. Core must cut tiles between blocks: the run of plain absmax states that, or the run of the
   codes if absmax is nested. */
static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  gboolean nested = nf4_is_nested (layer);
  Nf4Size size;

  if (!check_shape (self, layer, error))
    return FALSE;
  size = nf4_size (layer);
  qconv_components_add (
      out, &(QconvComponent) { .name = "codes",
                               .dtype = QCONV_U4,
                               .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                               .run = nested ? (QconvRun) { size.run.rows, size.run.rows } : QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "codebook",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE1 (NF4_LEVELS),
                                                 .flags = QCONV_COMPONENT_ANY_ROWS });
  if (nested)
    add_nested (&size, out);
  else
    qconv_components_add (
        out, &(QconvComponent) {
                 .name = "absmax", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (size.blocks), .run = size.run });
  return TRUE;
}

/* Returns the worst error. It grows with the block, because the absmax of a large block is larger beside a typical
   weight. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  const Nf4Scheme *scheme = self->data;
  double block = (double) qconv_values_int (layer->values, "block");

  return MIN (scheme->bound * sqrt (MAX (block, 64.0) / 64.0), 0.9);
}

/* ---- Decoding and moving ---- */

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *absmax = nf4_is_nested (t->layer) ? nf4_absmax_of_nested (t, error) : qconv_tile_component (t, "absmax");

  return absmax != NULL
         && qconv_stream_run (t->stream, "codebook4-decode", 1,
                              (QconvArg[]) { QCONV_BUF (qconv_tile_component (t, "codes")),
                                             QCONV_BUF (qconv_tile_component (t, "codebook")), QCONV_BUF (absmax),
                                             QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                                             QCONV_I (nf4_size (t->layer).block) },
                              7, error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  if (!qconv_check_numbers (t, "codebook", QCONV_SIGN_ANY, error))
    return FALSE;
  if (!nf4_is_nested (t->layer))
    return qconv_check_numbers (t, "absmax", QCONV_SIGN_NOT_NEGATIVE, error);
  return qconv_check_numbers (t, "nested_absmax", QCONV_SIGN_NOT_NEGATIVE, error)
         && qconv_check_numbers (t, "nested_map", QCONV_SIGN_ANY, error)
         && qconv_check_numbers (t, "nested_offset", QCONV_SIGN_ANY, error);
}

/* ---- Tables ---- */

/* clang-format off */
#define EFFORT                                                                                               \
  { .name = QCONV_EFFORT, .type = QCONV_CHOICE, .value = "search", .choices = QCONV_EFFORT_CHOICES,          \
    .help = N_ ("method for the absmax of a block: search has the smaller error, rtn gives the bytes of "   \
                "bitsandbytes") }
/* clang-format on */

static const QconvOption options[] = {
  { .name = "block",
    .type = QCONV_CHOICE,
    .value = "64",
    .choices = (const char *const[]) { "32", "64", "128", "256", "512", "1024", "2048", "4096", NULL },
    .help = N_ ("weights that share an absmax"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = "double-quant",
    .type = QCONV_BOOLEAN,
    .value = "off",
    .help = N_ ("store each absmax in 8 bits (nested quantization)"),
    .flags = QCONV_OPTION_PARAMETER },
  EFFORT,
  { .name = NULL },
};

static const QconvOption af4_options[] = {
  { .name = "block",
    .type = QCONV_CHOICE,
    .value = "64",
    .choices = (const char *const[]) { "32", "64", "128", NULL },
    .help = N_ ("weights that share an absmax; each size has its own table"),
    .flags = QCONV_OPTION_PARAMETER },
  EFFORT,
  { .name = NULL },
};

#define COMMON                                                                                                   \
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16, .components = list_components,           \
  .bound = largest_error, .decode_operations = (const QconvOpName[]) { { "codebook4-decode", 1 }, { NULL, 0 } }, \
  .decode = decode, .validate = validate, .stack = nf4_stack, .stack_bound = nf4_stack_bound

static const QconvQuantizer nf4 = {
  .id = "nf4",
  .summary = N_ ("4-bit codes of a table for normally distributed weights, with the absmax of every block"),
  .data = &nf4_scheme,
  .options = options,
  .encoders = (const QconvEncoder *const[]) { &nf4_from_nested, &nf4_from_floats, NULL },
  COMMON,
};

static const QconvQuantizer fp4 = {
  .id = "fp4",
  .summary = N_ ("bitsandbytes' 4-bit floats, with the absmax of every block"),
  .data = &nf4_scheme_fp4,
  .options = options,
  .encoders = (const QconvEncoder *const[]) { &nf4_from_nested_fp4, &nf4_from_floats, NULL },
  COMMON,
};

static const QconvQuantizer af4 = {
  .id = "af4",
  .summary = N_ ("4-bit codes of a table with the least absolute error, with the absmax of every block"),
  .data = &nf4_scheme_af4,
  .options = af4_options,
  .encoders = (const QconvEncoder *const[]) { &nf4_from_floats, NULL },
  COMMON,
};

QCONV_PLUGIN_DEFINE (nf4, .summary = N_ ("NF4, FP4 and AF4 quantizers"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv",
                     .quantizers = (const QconvQuantizer *const[]) { &nf4, &fp4, &af4, NULL })
