/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers w4a8 and w6a8 and the descriptor of their plugin. */
#include "encode.h"

#include <string.h>

#include "quantizer-checks.h"
#include "rotation.h"

/* Levels of 6 bits are code - 32 */
#define W6A8_CENTRE 32
/* The largest rotated weight: larger ones could overflow in the sums of a group */
#define LARGEST_WEIGHT 1e36f

static gboolean
has_six_bits (const QconvQuantizer *self)
{
  return g_str_equal (self->id, "w6a8");
}

static guint
group_of (const QconvLayer *layer)
{
  return (guint) qconv_values_int (layer->values, "group");
}

static gboolean
has_f32_scales (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, "scale-dtype"), "f32");
}

static gboolean
has_codebook (const QconvQuantizer *self, const QconvLayer *layer)
{
  return !has_six_bits (self) && g_str_equal (qconv_values_string (layer->values, "codebook"), "table");
}

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  qconv_rotation_settle (layer, values, FALSE);
}

/* Refuses shapes that ComfyUI's loader refuses. */
static gboolean
check_shape (const QconvQuantizer *self, const QconvLayer *layer, GError **error)
{
  guint multiple = has_six_bits (self) ? 32 : 16, group = group_of (layer);
  guint rotation = (guint) qconv_rotation_group (layer);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  if (layer->cols % multiple != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s takes columns in multiples of %u, not %" G_GUINT64_FORMAT,
                       self->id, multiple, layer->cols);
  if (layer->cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%" G_GUINT64_FORMAT
                       " columns are not a multiple of the group %u; choose a group that divides them",
                       layer->cols, group);
  if (layer->cols % rotation != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%" G_GUINT64_FORMAT " columns cannot be rotated %u at a time",
                       layer->cols, rotation);
  return TRUE;
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  if (!check_shape (self, layer, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = has_six_bits (self) ? QCONV_U8 : QCONV_U4,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "group_scale",
                                                 .dtype = has_f32_scales (layer) ? QCONV_F32 : QCONV_F8_E4M3,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols / group_of (layer)),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "row_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE });
  if (has_codebook (self, layer))
    qconv_components_add (out, &(QconvComponent) { .name = "codebook",
                                                   .dtype = QCONV_F32,
                                                   .shape = QCONV_SHAPE1 (W4A8_LEVELS),
                                                   .run = QCONV_WHOLE,
                                                   .flags = QCONV_COMPONENT_ANY_ROWS });
  return TRUE;
}

/* Returns the error of the worst group: one large weight among zeros, for which the table has no level. */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  double worst = has_six_bits (self) ? 2.5e-4 : 2.5e-3;

  return MIN (worst * MAX (group_of (layer), 16), 0.2);
}

/* ---- Encoding ---- */

/* Asks for a pass that reads nothing, because only a pass may fill the codebook, a whole-layer component. */
static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = has_codebook (self, layer) ? 1 : 0;
  work->scratch = layer->cols + layer->cols / group_of (layer) * sizeof (float);
  work->scratch_per_row = layer->cols * sizeof (float);
}

static gboolean
fill_codebook (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
               gboolean *exact, GError **error)
{
  memcpy (qconv_buffer_data (qconv_tile_component (t, "codebook")), w4a8_table, sizeof w4a8_table);
  return TRUE;
}

static QconvBuffer *
rotate_floats (const QconvTile *t, GError **error)
{
  gsize size = (gsize) (t->n_rows * t->layer->cols) * sizeof (float);
  QconvBuffer *rotated = qconv_tile_scratch (t, size, error);
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (rotated), QCONV_I (t->n_rows), QCONV_I (t->layer->cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  if (rotated == NULL || !qconv_stream_run (t->stream, "convrot", 1, args, G_N_ELEMENTS (args), error))
    return NULL;
  return rotated;
}

static W4a8Form
form_of (const QconvQuantizer *self, const QconvLayer *layer)
{
  static const float whole[W6A8_LEVELS]
      = { -31, -30, -29, -28, -27, -26, -25, -24, -23, -22, -21, -20, -19, -18, -17, -16, -15, -14, -13, -12, -11,
          -10, -9,  -8,  -7,  -6,  -5,  -4,  -3,  -2,  -1,  0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,
          11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  26,  27,  28,  29,  30,  31 };
  gboolean six = has_six_bits (self), table = has_codebook (self, layer);

  return (W4a8Form) {
    .levels = six     ? whole
              : table ? w4a8_table
                      : w4a8_eighths,
    .n_levels = six ? W6A8_LEVELS : W4A8_LEVELS,
    .group = group_of (layer),
    .uniform = !table,
    .fitted = six || table,
    .search = six && !qconv_effort_is_rtn (layer),
  };
}

/* Stores codes, which are indices of levels, one a byte */
static void
store_codes (gboolean six, const guint8 *codes, guint64 cols, guint8 *dst)
{
  for (guint64 col = 0; six && col < cols; col++)
    dst[col] = (guint8) (codes[col] + 1); /* level -31 is code 1 */
  for (guint64 col = 0; !six && col < cols; col += 2)
    dst[col / 2] = (guint8) (codes[col] | codes[col + 1] << 4);
}

static gboolean
check_size (const float *row, guint64 cols, GError **error)
{
  float largest = 0.0f;

  for (guint64 col = 0; col < cols; col++)
    largest = MAX (largest, fabsf (row[col]));
  return largest <= LARGEST_WEIGHT
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                        "a rotated weight of %g is too large: sums of such weights overflow F32", (double) largest);
}

static gboolean
encode_floats (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  guint64 cols = t->layer->cols, groups = cols / group_of (t->layer);
  gboolean six = has_six_bits (self), f32 = has_f32_scales (t->layer);
  W4a8Form form = form_of (self, t->layer);
  QconvBuffer *rotated = rotate_floats (t, error);
  QconvBuffer *codes = rotated != NULL ? qconv_tile_scratch (t, cols, error) : NULL;
  QconvBuffer *scales = codes != NULL ? qconv_tile_scratch (t, groups * sizeof (float), error) : NULL;
  guint8 *stored = qconv_buffer_data (qconv_tile_component (t, "codes"));
  void *group_scale = qconv_buffer_data (qconv_tile_component (t, "group_scale"));
  float *row_scale = qconv_buffer_data (qconv_tile_component (t, "row_scale"));

  if (scales == NULL)
    return FALSE;
  for (guint64 row = 0; row < t->n_rows; row++)
    {
      const float *weights = (const float *) qconv_buffer_data (rotated) + row * cols;
      float *floats = f32 ? (float *) group_scale + row * groups : qconv_buffer_data (scales);
      guint8 *e4m3 = f32 ? NULL : (guint8 *) group_scale + row * groups;

      if (!check_size (weights, cols, error))
        return FALSE;
      row_scale[row] = w4a8_encode_row (&form, weights, cols, qconv_buffer_data (codes), floats, e4m3);
      store_codes (six, qconv_buffer_data (codes), cols, stored + row * (six ? cols : cols / 2));
    }
  return TRUE;
}

/* ---- Decoding ---- */

/* The components to decode. @levels: of 4-bit codes; NULL if codes have 6 bits, a byte each */
typedef struct {
  const float *levels;
  const guint8 *codes;
  QconvBuffer *group_scale;
} Stored;

static float
group_scale (const Stored *s, guint64 i)
{
  const void *data = qconv_buffer_data (s->group_scale);

  if (qconv_buffer_dtype (s->group_scale) == QCONV_F32)
    return ((const float *) data)[i];
  return w4a8_scale_of_code (((const guint8 *) data)[i]);
}

/* Decodes one group. @first: the number of its first item in the row */
static void
decode_group (const Stored *s, guint64 first, guint n, float scale, float row_scale, float *dst)
{
  for (guint64 i = first; i < first + n; i++)
    {
      float level
          = s->levels != NULL ? s->levels[s->codes[i / 2] >> i % 2 * 4 & 15] : (float) (s->codes[i] - W6A8_CENTRE);

      dst[i] = w4a8_step (level, scale) * row_scale;
    }
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  guint64 cols = t->layer->cols;
  guint group = group_of (t->layer);
  QconvBuffer *codebook = qconv_tile_component (t, "codebook");
  const float *row_scale = qconv_buffer_data (qconv_tile_component (t, "row_scale"));
  const Stored stored = {
    .levels = has_six_bits (self) ? NULL
              : codebook != NULL  ? qconv_buffer_data (codebook)
                                  : w4a8_eighths,
    .codes = qconv_buffer_data (qconv_tile_component (t, "codes")),
    .group_scale = qconv_tile_component (t, "group_scale"),
  };
  const QconvArg args[] = { QCONV_BUF (t->floats), QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (cols),
                            QCONV_I (qconv_rotation_group (t->layer)) };

  for (guint64 i = 0; i < t->n_rows * cols; i += group)
    decode_group (&stored, i, group, group_scale (&stored, i / group), row_scale[i / cols],
                  qconv_buffer_data (t->floats));
  return qconv_stream_run (t->stream, "convrot", 1, args, G_N_ELEMENTS (args), error);
}

/* ---- Validation ---- */

/* Returns how many numbers of @buffer, F32 or E4M3, are Inf, NaN, or negative unless @negative_allowed. The E4M3
   code of -0 counts as negative, because the check after writing compares bytes. */
static gsize
count_wrong (QconvBuffer *buffer, gboolean negative_allowed)
{
  const guint8 *codes = qconv_buffer_data (buffer);
  const float *floats = qconv_buffer_data (buffer);
  gboolean f32 = qconv_buffer_dtype (buffer) == QCONV_F32;
  gsize n = qconv_buffer_size (buffer) / (f32 ? sizeof *floats : 1), wrong = 0;

  for (gsize i = 0; i < n; i++)
    {
      float x = f32 ? floats[i] : w4a8_scale_of_code (codes[i]);

      gboolean minus = f32 ? x < 0.0f : signbit (x) != 0;

      wrong += !isfinite (x) || (minus && !negative_allowed);
    }
  return wrong;
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const char *const names[] = { "group_scale", "row_scale", "codebook" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      QconvBuffer *buffer = qconv_tile_component (t, names[i]);
      gboolean levels = g_str_equal (names[i], "codebook");
      gsize wrong = buffer != NULL ? count_wrong (buffer, levels) : 0;

      if (wrong > 0)
        return qconv_fail (error, QCONV_ERROR_NON_FINITE, "%s: %" G_GSIZE_FORMAT " numbers are NaN, infinite%s",
                           names[i], wrong, levels ? "" : " or negative");
    }
  return TRUE;
}

/* ---- Tables ---- */

static const QconvEncoder from_floats = {
  .work = plan_work,
  .finish = fill_codebook,
  .encode = encode_floats,
};

#define CONVROT_OPTION                                                                                                 \
  {                                                                                                                    \
    .name = "convrot", .type = QCONV_CHOICE, .value = "auto",                                                          \
    .choices = (const char *const[]) { "auto", "4", "16", "64", "256", "1024", NULL },                                 \
    .help = N_ ("columns that are rotated together; auto: the largest of 256, 64, 16 and 4 that divides the columns"), \
    .flags = QCONV_OPTION_PARAMETER                                                                                    \
  }
/* clang-format off */
#define SCALE_DTYPE_OPTION                                                                                             \
  { .name = "scale-dtype", .type = QCONV_CHOICE, .value = "e4m3",                                                     \
    .choices = (const char *const[]) { "e4m3", "f32", NULL }, .help = N_ ("type of the scales of groups"),            \
    .flags = QCONV_OPTION_PARAMETER }
/* clang-format on */

static const QconvOption options_4[] = {
  { .name = "group",
    .type = QCONV_CHOICE,
    .value = "16",
    .choices = (const char *const[]) { "4", "8", "16", "32", "64", "128", "256", NULL },
    .help = N_ ("columns of a row that share a scale"),
    .flags = QCONV_OPTION_PARAMETER },
  CONVROT_OPTION,
  SCALE_DTYPE_OPTION,
  { .name = "codebook",
    .type = QCONV_CHOICE,
    .value = "table",
    .choices = (const char *const[]) { "table", "none", NULL },
    .help = N_ ("table: sixteen stored levels; none: evenly spaced levels, with a larger error"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

static const QconvOption options_6[] = {
  { .name = "group",
    .type = QCONV_CHOICE,
    .value = "16",
    .choices = (const char *const[]) { "16", "32", "64", "128", "256", NULL },
    .help = N_ ("columns of a row that share a scale"),
    .flags = QCONV_OPTION_PARAMETER },
  CONVROT_OPTION,
  SCALE_DTYPE_OPTION,
  { .name = QCONV_EFFORT,
    .type = QCONV_CHOICE,
    .value = "search",
    .choices = QCONV_EFFORT_CHOICES,
    .help = N_ ("search also tries the E4M3 scales next to the fitted one, as comfy-kitchen does; rtn does not") },
  { .name = NULL },
};

static const QconvQuantizer w4a8 = {
  .id = "w4a8",
  .summary = N_ ("rotated 4-bit codes that run as INT8, with a scale for 16 columns and one for a row"),
  .options = options_4,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .cols_multiple = 16,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode = decode,
  .validate = validate,
};

static const QconvQuantizer w6a8 = {
  .id = "w6a8",
  .summary = N_ ("rotated 6-bit codes that run as INT8, with a scale for 16 columns and one for a row"),
  .options = options_6,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .cols_multiple = 32,
  .settle = settle,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_floats, NULL },
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (w4a8, .summary = N_ ("W4A8 and W6A8 quantizers (asym_w4a8_int8)"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE,
                     .quantizers = (const QconvQuantizer *const[]) { &w4a8, &w6a8, NULL })
