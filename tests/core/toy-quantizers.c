/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemes of the toy plugin. Each shows one way in which core drives a quantizer. */
#include <math.h>
#include <string.h>

#include "toy.h"

static float *
component (const QconvTile *t, const char *name)
{
  QconvBuffer *b = qconv_tile_component (t, name);

  return b != NULL ? qconv_buffer_data (b) : NULL;
}

static void
add_codes (const QconvLayer *l, QconvRun run, QconvComponents *out)
{
  qconv_components_add (
      out,
      &(QconvComponent) { .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (l->rows, l->cols), .run = run });
}

/* Returns the code of @x, -127 for NaN. Without fminf() and fmaxf(), which are calls for every weight */
static gint8
round_code (float x)
{
  return (gint8) (x > -127 ? x < 127 ? rintf (x) : 127 : -127);
}

/* Returns the larger one, @most if @x is NaN */
static float
larger (float most, float x)
{
  return x > most ? x : most;
}

static double
toy_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 1e-4;
}

/* ---- half: codes, and a scale for every "group" rows; no passes ---- */

static const char *const efforts[] = { "rtn", "search", NULL };
static const char *const roundings[] = { "auto", "even", "down", NULL };
static const QconvOption half_options[]
    = { { "group", QCONV_INT, "4", 1, 64, .help = "rows under one scale", .flags = QCONV_OPTION_PARAMETER },
        { "effort", QCONV_CHOICE, "search", .choices = efforts, .help = "how hard to try" },
        { "rounding", QCONV_CHOICE, "auto", .choices = roundings, .help = "of codes", .flags = QCONV_OPTION_PARAMETER },
        { NULL } };

static guint64
group_of (const QconvLayer *l)
{
  return l->values != NULL ? (guint64) qconv_values_int (l->values, "group") : 4;
}

static gboolean
half_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  guint64 group = group_of (l);

  if (!toy_call (TOY_COMPONENTS, error))
    return FALSE;
  if (l->cols % 4 != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "columns come in fours");
  add_codes (l, QCONV_ROWWISE, out);
  qconv_components_add (out, &(QconvComponent) { .name = "scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE1 ((l->rows + group - 1) / group),
                                                 .run = { group, 1 } });
  qconv_components_add (out, &(QconvComponent) { .name = "input_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE0,
                                                 .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN });
  return TRUE;
}

static void
half_settle (const QconvQuantizer *self, const QconvLayer *l, QconvValues *values)
{
  if (strcmp (qconv_values_string (values, "rounding"), "auto") == 0)
    qconv_values_replace (values, "rounding", "even");
}

static float
amax (const float *x, guint64 n)
{
  float most = 0;

  for (guint64 i = 0; i < n; i++)
    most = larger (most, fabsf (x[i]));
  return most;
}

static gboolean
half_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *scale = component (t, "scale");
  guint64 group = group_of (t->layer), cols = t->layer->cols;
  gboolean down = strcmp (qconv_values_string (t->layer->values, "rounding"), "down") == 0
                  || strcmp (qconv_values_string (t->layer->values, "effort"), "rtn") == 0;

  g_assert_cmpuint (t->first_row % group, ==, 0);
  toy_note_tile (t);
  for (guint64 row = 0; row < t->n_rows; row++)
    {
      if (row % group == 0)
        scale[row / group] = amax (x + row * cols, MIN (group, t->n_rows - row) * cols) / 127;
      for (guint64 i = row * cols; i < (row + 1) * cols; i++)
        {
          float code = scale[row / group] > 0 ? x[i] / scale[row / group] : 0;

          codes[i] = round_code (down ? truncf (code) : code);
        }
    }
  return toy_call (TOY_ENCODE, error);
}

static gboolean
half_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = component (t, "scale");
  float *x = qconv_buffer_data (t->floats);
  guint64 group = group_of (t->layer), cols = t->layer->cols;

  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 i = row * cols; i < (row + 1) * cols; i++)
      x[i] = (float) codes[i] * scale[row / group];
  return toy_call (TOY_DECODE, error);
}

static gboolean
half_validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *scale = component (t, "scale");

  for (guint64 i = 0; i < t->n_rows; i += group_of (t->layer))
    if (!isfinite (scale[i / group_of (t->layer)]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "a scale is no number");
  return toy_call (TOY_VALIDATE, error);
}

static const QconvEncoder half_encoder = { .encode = half_encode };

/* ---- whole: codes around the mean of the layer under one scale; two passes over chunks of five rows ---- */

/* Bytes: more than the slack that core gives to every tile */
enum { SCRATCH = 20000 };

static gboolean
whole_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  add_codes (l, QCONV_ROWWISE, out);
  qconv_components_add (out, &(QconvComponent) { .name = "mean", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
  qconv_components_add (out, &(QconvComponent) { .name = "all", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
  return toy_call (TOY_COMPONENTS, error);
}

static void
whole_work (const QconvQuantizer *self, const QconvLayer *l, QconvWork *work)
{
  *work = (QconvWork) { .n_passes = 2, .chunk_rows = 5, .partial_size = sizeof (float) };
  work->scratch = SCRATCH;
  work->scratch_per_row = (gsize) l->cols * sizeof (float);
}

static gboolean
whole_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  float *sum = qconv_buffer_data (partial), mean = pass > 0 ? *component (t, "mean") : 0;

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    *sum = pass == 0 ? *sum + x[i] : larger (*sum, fabsf (x[i] - mean));
  return toy_call (TOY_ACCUMULATE, error);
}

static gboolean
whole_finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
              gboolean *exact, GError **error)
{
  const float *chunks = partials;
  float sum = 0;

  g_assert_cmpuint (n, ==, (t->layer->rows + 4) / 5);
  for (gsize i = 0; i < n; i++)
    sum = pass == 0 ? sum + chunks[i] : larger (sum, chunks[i]);
  *component (t, pass == 0 ? "mean" : "all") = pass == 0 ? sum / (float) (t->layer->rows * t->layer->cols) : sum / 127;
  return toy_call (TOY_FINISH, error);
}

static gboolean
whole_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  gsize n = (gsize) (t->n_rows * t->layer->cols);
  QconvBuffer *scratch = qconv_tile_scratch (t, n * sizeof (float), error);
  QconvBuffer *more = scratch != NULL ? qconv_tile_scratch (t, SCRATCH, error) : NULL;
  const float *x = qconv_buffer_data (t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *rest, all = *component (t, "all"), mean = *component (t, "mean");

  if (more == NULL)
    return FALSE;
  toy_note_tile (t);
  memset (qconv_buffer_data (more), 0xff, SCRATCH);
  rest = qconv_buffer_data (scratch);
  for (gsize i = 0; i < n; i++)
    rest[i] = x[i] - mean;
  for (gsize i = 0; i < n; i++)
    codes[i] = all > 0 ? round_code (rest[i] / all) : 0;
  return toy_call (TOY_ENCODE, error);
}

static gboolean
whole_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *x = qconv_buffer_data (t->floats), all = *component (t, "all"), mean = *component (t, "mean");

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    x[i] = (float) codes[i] * all + mean;
  return toy_call (TOY_DECODE, error);
}

static const QconvEncoder whole_encoder
    = { .work = whole_work, .accumulate = whole_accumulate, .finish = whole_finish, .encode = whole_encode };

/* ---- once: a scale for each column; each code is the difference to the one above, so all rows are one tile ---- */

static gboolean
once_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  add_codes (l, (QconvRun) { l->rows, l->rows }, out);
  qconv_components_add (out, &(QconvComponent) { .name = "scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE1 (l->cols),
                                                 .flags = QCONV_COMPONENT_ANY_ROWS });
  return toy_call (TOY_COMPONENTS, error);
}

static void
once_work (const QconvQuantizer *self, const QconvLayer *l, QconvWork *work)
{
  *work = (QconvWork) { .n_passes = 1, .partial_size = (gsize) l->cols * sizeof (float), .whole = TRUE };
}

static gboolean
once_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  float *most = qconv_buffer_data (partial);

  for (guint64 row = 0; row < t->n_rows; row++, x += t->layer->cols)
    for (guint64 col = 0; col < t->layer->cols; col++)
      most[col] = larger (most[col], fabsf (x[col]));
  return toy_call (TOY_ACCUMULATE, error);
}

static gboolean
once_finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  const float *chunks = partials;
  float *scale = component (t, "scale");

  for (guint64 col = 0; col < t->layer->cols; col++)
    {
      scale[col] = 0;
      for (gsize i = 0; i < n; i++)
        scale[col] = larger (scale[col], chunks[i * t->layer->cols + col] / 127);
    }
  return toy_call (TOY_FINISH, error);
}

static gboolean
once_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *x = qconv_buffer_data (t->floats), *scale = component (t, "scale");
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  guint64 cols = t->layer->cols;

  g_assert_cmpuint (t->first_row, ==, 0);
  g_assert_cmpuint (t->n_rows, ==, t->layer->rows);
  toy_note_tile (t);
  for (guint64 i = 0; i < t->n_rows * cols; i++)
    codes[i] = scale[i % cols] > 0 ? round_code (x[i] / scale[i % cols]) : 0;
  for (guint64 i = t->n_rows * cols; i-- > cols;)
    codes[i] = (gint8) (guint8) (codes[i] - codes[i - cols]);
  return toy_call (TOY_ENCODE, error);
}

static gboolean
once_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = component (t, "scale");
  float *x = qconv_buffer_data (t->floats);
  guint64 cols = t->layer->cols;

  for (guint64 col = 0; col < cols; col++)
    {
      guint8 sum = 0;

      for (guint64 row = 0; row < t->n_rows; row++)
        {
          sum = (guint8) (sum + codes[row * cols + col]);
          x[row * cols + col] = (float) (gint8) sum * scale[col];
        }
    }
  return toy_call (TOY_DECODE, error);
}

static const QconvEncoder once_encoder
    = { .work = once_work, .accumulate = once_accumulate, .finish = once_finish, .encode = once_encode };

/* ---- twin: as half with groups of four; adopts half's components unless a code is -127, which it lacks ---- */

static void
adopt_work (const QconvQuantizer *self, const QconvLayer *l, QconvWork *work)
{
  *work = (QconvWork) { .n_passes = 1, .partial_size = sizeof (float) };
}

static gboolean
adopt_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_source (t, "codes"));
  float *odd = qconv_buffer_data (partial);

  g_assert_null (t->floats);
  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    *odd += codes[i] == -127;
  return toy_call (TOY_ACCUMULATE, error);
}

static gboolean
adopt_finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
              gboolean *exact, GError **error)
{
  for (gsize i = 0; i < n; i++)
    *exact &= ((const float *) partials)[i] == 0;
  return toy_call (TOY_FINISH, error);
}

static gboolean
adopt_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const char *const names[] = { "codes", "scale" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    memcpy (qconv_buffer_data (qconv_tile_component (t, names[i])), qconv_buffer_data (qconv_tile_source (t, names[i])),
            qconv_buffer_size (qconv_tile_component (t, names[i])));
  return toy_call (TOY_ENCODE, error);
}

static gboolean
twin_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *scale = component (t, "scale");
  guint64 cols = t->layer->cols;

  for (guint64 row = 0; row < t->n_rows; row++)
    {
      if (row % 4 == 0)
        scale[row / 4] = amax (x + row * cols, MIN (4, t->n_rows - row) * cols) / 126;
      for (guint64 i = row * cols; i < (row + 1) * cols; i++)
        codes[i] = scale[row / 4] > 0 ? round_code (x[i] / scale[row / 4]) : 0;
    }
  return toy_call (TOY_ENCODE, error);
}

static gboolean
twin_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  add_codes (l, QCONV_ROWWISE, out);
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 ((l->rows + 3) / 4), .run = { 4, 1 } });
  return toy_call (TOY_COMPONENTS, error);
}

static gboolean
twin_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = component (t, "scale");
  float *x = qconv_buffer_data (t->floats);

  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 i = row * t->layer->cols; i < (row + 1) * t->layer->cols; i++)
      x[i] = (float) codes[i] * scale[row / 4];
  return toy_call (TOY_DECODE, error);
}

static const QconvOption twin_options[]
    = { { "effort", QCONV_CHOICE, "search", .choices = efforts, .help = "no effect" }, { NULL } };
static const QconvEncoder twin_adopts = {
  .from = "half", .work = adopt_work, .accumulate = adopt_accumulate, .finish = adopt_finish, .encode = adopt_encode
};
static const QconvEncoder twin_encoder = { .encode = twin_encode };

/* ---- light: codes that no plugin makes ---- */

gboolean
toy_codes_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error)
{
  add_codes (l, QCONV_ROWWISE, out);
  return toy_call (TOY_COMPONENTS, error);
}

static gboolean
light_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *x = qconv_buffer_data (t->floats);

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    x[i] = (float) codes[i] / 64;
  return toy_call (TOY_DECODE, error);
}

#define ENCODERS(...)           \
  (const QconvEncoder *const[]) \
  {                             \
    __VA_ARGS__, NULL           \
  }

static const QconvQuantizer half = { .id = "half",
                                     .summary = "a scale for some rows",
                                     .options = half_options,
                                     .cols_multiple = 8,
                                     .components = half_components,
                                     .bound = toy_bound,
                                     .encoders = ENCODERS (&half_encoder),
                                     .decode = half_decode,
                                     .validate = half_validate,
                                     .settle = half_settle };
static const QconvQuantizer whole = { .id = "whole",
                                      .summary = "a scale for the layer",
                                      .components = whole_components,
                                      .bound = toy_bound,
                                      .encoders = ENCODERS (&whole_encoder),
                                      .decode = whole_decode };
static const QconvQuantizer once = { .id = "once",
                                     .summary = "all rows at once",
                                     .components = once_components,
                                     .bound = toy_bound,
                                     .encoders = ENCODERS (&once_encoder),
                                     .decode = once_decode };
static const QconvQuantizer twin = { .id = "twin",
                                     .summary = "adopts half",
                                     .options = twin_options,
                                     .components = twin_components,
                                     .bound = toy_bound,
                                     .encoders = ENCODERS (&twin_adopts, &twin_encoder),
                                     .decode = twin_decode };
static const QconvQuantizer light
    = { .id = "light", .summary = "codes", .components = toy_codes_components, .decode = light_decode };

const QconvQuantizer *const toy_quantizers[] = { &half, &whole, &once, &twin, &toy_dark, &light, NULL };
