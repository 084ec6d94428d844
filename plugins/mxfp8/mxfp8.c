/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizer mxfp8: E4M3 codes, a power of two for 32 columns. A hybrid layer also stores the largest of these
   scales. */
#include "amax-pass.h"
#include "qconv-plugin.h"
#include "quantizer-checks.h"

#include <string.h>

#define MX_BLOCK 32
#define EXPONENT_NAN 0xff

static gboolean
is_hybrid (const QconvLayer *layer)
{
  return qconv_values_boolean (layer->values, "hybrid");
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  guint64 blocks = layer->cols / MX_BLOCK + (layer->cols % MX_BLOCK != 0);

  if (!qconv_check_matrix (layer, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_F8_E4M3,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, &(QconvComponent) { .name = "block_scale",
                                                 .dtype = QCONV_F8_E8M0,
                                                 .shape = QCONV_SHAPE2 (layer->rows, blocks),
                                                 .run = QCONV_ROWWISE });
  if (is_hybrid (layer))
    qconv_components_add (out, &(QconvComponent) { .name = "tensor_scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE0 });
  return TRUE;
}

/* Returns the worst error. A normal number of E4M3 is wrong by up to 1/17 of itself, the largest F32 by 1/16. Below its
   smallest normal number weights are wrong by up to 2^-10 in a block whose largest weight is above 224, which adds
   nothing to the sum */
static double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 1.01 / (16.0 * 16.0);
}

/* Returns the tensor scale, or NULL if the layer is not hybrid. */
static float *
tensor_scale_of (const QconvTile *t)
{
  QconvBuffer *buffer = qconv_tile_component (t, "tensor_scale");

  return buffer != NULL ? qconv_buffer_data (buffer) : NULL;
}

/* Returns the tensor scale for the largest block exponent. Returns 1 if it is 0, because all weights are then zero. */
static float
scale_of_exponent (guint32 exponent)
{
  guint32 bits = exponent == 0 ? 0x3f800000 : exponent << 23;
  float scale;

  memcpy (&scale, &bits, sizeof scale);
  return scale;
}

/* Returns the exponent of the least power of two that brings @amax to 448 or below, or 0 for zero. All blocks follow
   this rule, and one of them holds the largest magnitude of the tensor. */
static guint32
exponent_of_amax (float amax)
{
  float n = amax / 448.0f;
  guint32 bits;

  if (!(amax >= 448.0f * 0x1p-126f))
    return 0;
  memcpy (&bits, &n, sizeof bits);
  return (bits >> 23) + ((bits & 0x7fffff) != 0);
}

/* ---- From floats ---- */

static void
plan_amax (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  if (is_hybrid (layer))
    qconv_amax_work (self, layer, work);
}

static gboolean
finish_amax (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  *tensor_scale_of (t) = scale_of_exponent (exponent_of_amax (qconv_amax_of_partials (partials, n)));
  return TRUE;
}

static gboolean
encode_floats (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (t->floats), QCONV_BUF (qconv_tile_component (t, "codes")),
          QCONV_BUF (qconv_tile_component (t, "block_scale")), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "mxfp8-encode", 1, args, G_N_ELEMENTS (args), error);
}

static const QconvEncoder from_floats = {
  .operations = (const QconvOpName[]) { { "amax", 1 }, { "mxfp8-encode", 1 }, { NULL, 0 } },
  .work = plan_amax,
  .accumulate = qconv_amax_accumulate,
  .finish = finish_amax,
  .encode = encode_floats,
};

/* ---- Between plain and hybrid: only the tensor scale changes ---- */

/* The result of one chunk */
typedef struct {
  guint8 highest, broken;
} Found;

static gsize
count_wrong_codes (QconvBuffer *codes)
{
  const guint8 *bytes = qconv_buffer_data (codes);
  gsize n = qconv_buffer_size (codes), wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += (bytes[i] & 0x7f) == 0x7f;
  return wrong;
}

static guint8
highest_exponent (QconvBuffer *scales)
{
  const guint8 *bytes = qconv_buffer_data (scales);
  gsize n = qconv_buffer_size (scales);
  guint8 highest = 0;

  for (gsize i = 0; i < n; i++)
    highest = MAX (highest, bytes[i]);
  return highest;
}

static void
plan_look (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (Found);
}

static gboolean
accumulate_look (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  Found *found = qconv_buffer_data (partial);
  guint8 highest = highest_exponent (qconv_tile_source (t, "block_scale"));

  found->highest = MAX (found->highest, highest);
  if (count_wrong_codes (qconv_tile_source (t, "codes")) > 0)
    found->broken = 1;
  return TRUE;
}

/* Copies components only if none is NaN: decoding refuses the others with a reason. */
static gboolean
finish_look (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
             gboolean *exact, GError **error)
{
  const Found *found = partials;
  guint8 highest = 0, broken = 0;

  for (gsize i = 0; i < n; i++)
    {
      highest = MAX (highest, found[i].highest);
      broken |= found[i].broken;
    }
  *exact = !broken && highest != EXPONENT_NAN;
  if (*exact && is_hybrid (t->layer))
    *tensor_scale_of (t) = scale_of_exponent (highest);
  return TRUE;
}

static gboolean
copy_components (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const char *const names[] = { "codes", "block_scale" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      QconvBuffer *from = qconv_tile_source (t, names[i]), *to = qconv_tile_component (t, names[i]);

      memcpy (qconv_buffer_data (to), qconv_buffer_data (from), qconv_buffer_size (to));
    }
  return TRUE;
}

static const QconvEncoder from_mxfp8 = {
  .from = "mxfp8",
  .work = plan_look,
  .accumulate = accumulate_look,
  .finish = finish_look,
  .encode = copy_components,
};

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvArg args[]
      = { QCONV_BUF (qconv_tile_component (t, "codes")), QCONV_BUF (qconv_tile_component (t, "block_scale")),
          QCONV_BUF (t->floats), QCONV_I (t->n_rows), QCONV_I (t->layer->cols) };

  return qconv_stream_run (t->stream, "mxfp8-decode", 1, args, G_N_ELEMENTS (args), error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  gsize wrong = count_wrong_codes (qconv_tile_component (t, "codes"));

  if (wrong > 0)
    return qconv_fail (error, QCONV_ERROR_NON_FINITE, "%" G_GSIZE_FORMAT " codes are NaN", wrong);
  if (highest_exponent (qconv_tile_component (t, "block_scale")) == EXPONENT_NAN)
    return qconv_fail (error, QCONV_ERROR_NON_FINITE, "a block scale is NaN");
  return qconv_check_numbers (t, "tensor_scale", QCONV_SIGN_NOT_NEGATIVE, error);
}

static const QconvOption options[] = {
  { .name = "hybrid",
    .type = QCONV_BOOLEAN,
    .value = "off",
    .help = N_ ("also store the largest block scale as the scale of the tensor"),
    .flags = QCONV_OPTION_PARAMETER },
  { .name = NULL },
};

static const QconvQuantizer mxfp8 = {
  .id = "mxfp8",
  .summary = N_ ("FP8 (E4M3) with a power of two for 32 columns (OCP microscaling)"),
  .options = options,
  .float_dtypes = 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16,
  .cols_multiple = MX_BLOCK,
  .components = list_components,
  .bound = largest_error,
  .encoders = (const QconvEncoder *const[]) { &from_mxfp8, &from_floats, NULL },
  .decode_operations = (const QconvOpName[]) { { "mxfp8-decode", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};

QCONV_PLUGIN_DEFINE (mxfp8, .summary = N_ ("MXFP8 quantizer"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv", .quantizers = (const QconvQuantizer *const[]) { &mxfp8, NULL })
