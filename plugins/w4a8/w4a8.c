/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers w4a8 and w6a8 and the descriptor of their plugin. Rows are rotated and their codes stand for levels; a
   level times its group's scale is a whole number of -127 … 127, and that times the row's scale is the weight. */
#include <math.h>
#include <string.h>

#include "qconv-plugin.h"
#include "quantizer-checks.h"
#include "rotation.h"

#define LEVELS 16 /* of 4 bits */
/* The E4M3 code of 448: those above are NaN, or have a sign */
#define LARGEST_E4M3 0x7e

/* Levels for weights that were divided by the largest of their group, as comfy-kitchen has them */
static const float table[LEVELS]
    = { -0.980602f, -0.794529f, -0.638165f, -0.500986f, -0.377321f, -0.263187f, -0.155210f, -0.050720f,
        0.052541f,  0.156985f,  0.265284f,  0.379533f,  0.502636f,  0.638953f,  0.794876f,  0.980671f };

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
                                                   .shape = QCONV_SHAPE1 (LEVELS),
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

/* Returns the bytes of the scratch in which encoding keeps the scales of one row's groups */
static gsize
group_bytes (const QconvLayer *layer)
{
  return (gsize) (layer->cols / group_of (layer)) * sizeof (float);
}

/* Asks for a pass that reads nothing, because only a pass may fill the codebook, a whole-layer component. */
static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = has_codebook (self, layer) ? 1 : 0;
  work->scratch = group_bytes (layer);
  work->scratch_per_row = layer->cols * sizeof (float);
}

static gboolean
fill_codebook (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
               gboolean *exact, GError **error)
{
  memcpy (qconv_buffer_data (qconv_tile_component (t, "codebook")), table, sizeof table);
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

static gboolean
encode_floats (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *rotated = rotate_floats (t, error);
  QconvBuffer *scratch = rotated != NULL ? qconv_tile_scratch (t, group_bytes (t->layer), error) : NULL;
  const QconvArg args[] = { QCONV_BUF (rotated),
                            QCONV_BUF (qconv_tile_component (t, "codebook")),
                            QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "group_scale")),
                            QCONV_BUF (qconv_tile_component (t, "row_scale")),
                            QCONV_BUF (scratch),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (group_of (t->layer)),
                            QCONV_I (has_six_bits (self) && !qconv_effort_is_rtn (t->layer)) };

  return scratch != NULL && qconv_stream_run (t->stream, "w4a8-encode", 1, args, G_N_ELEMENTS (args), error);
}

/* ---- Decoding ---- */

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg rows = QCONV_I (t->n_rows), cols = QCONV_I (t->layer->cols), floats = QCONV_BUF (t->floats);
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, "codebook")),
                            QCONV_BUF (qconv_tile_component (t, "group_scale")),
                            QCONV_BUF (qconv_tile_component (t, "row_scale")),
                            floats,
                            rows,
                            cols,
                            QCONV_I (group_of (t->layer)) };
  const QconvArg back[] = { floats, floats, rows, cols, QCONV_I (qconv_rotation_group (t->layer)) };

  return qconv_stream_run (t->stream, "w4a8-decode", 1, args, G_N_ELEMENTS (args), error)
         && qconv_stream_run (t->stream, "convrot", 1, back, G_N_ELEMENTS (back), error);
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
    if (f32)
      wrong += !isfinite (floats[i]) || (floats[i] < 0.0f && !negative_allowed);
    else
      wrong += codes[i] > LARGEST_E4M3;
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

static const QconvOpName decode_operations[] = { { "w4a8-decode", 1 }, { "convrot", 1 }, { NULL, 0 } };

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "convrot", 1 }, { "w4a8-encode", 1 }, { NULL, 0 } },
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
  .decode_operations = decode_operations,
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
  .decode_operations = decode_operations,
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (w4a8, .summary = N_ ("W4A8 and W6A8 quantizers (asym_w4a8_int8)"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE,
                     .quantizers = (const QconvQuantizer *const[]) { &w4a8, &w6a8, NULL })
