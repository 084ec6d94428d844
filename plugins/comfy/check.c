/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ComfyUI's loader asks of the tensors of one layer (comfy/ops.py _load_quantized_module; shapes are mostly not
   checked there and show as noise or as a failing product later). */
#include "comfy.h"

#include <string.h>

#define STRETCH 65536
#define LARGEST ((guint64) 1 << 62) /* leaves room for padding */

typedef struct {
  const QconvDirectory *directory;
  const char *layer;
  const ComfyFormat *format;
  const QconvTensor *weight;
  GPtrArray *troubles;
} Look;

static guint64
items_of (const QconvTensor *t)
{
  guint64 n = 0;

  return qconv_shape_items (&t->shape, &n) ? n : 0;
}

gboolean
comfy_scales_swizzled (const QconvTensor *weight, const QconvTensor *scale, guint64 blocks)
{
  guint64 rows = comfy_round_up (weight->shape.dim[0], COMFY_TILE_ROWS), cols = comfy_round_up (blocks, 4), n;

  if (scale->shape.rank == 2)
    return scale->shape.dim[0] == rows && scale->shape.dim[1] == cols;
  return scale->shape.rank == 1 && !__builtin_mul_overflow (rows, cols, &n) && scale->shape.dim[0] == n;
}

gboolean
comfy_scales_plain (const QconvTensor *weight, const QconvTensor *scale, guint64 blocks)
{
  return scale->shape.rank == 2 && scale->shape.dim[0] == weight->shape.dim[0] && scale->shape.dim[1] == blocks;
}

static void
check_swizzled (const Look *l, const ComfyMember *m, const QconvTensor *t)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);
  guint64 cols = l->weight->shape.dim[1] * l->format->per_item;
  guint64 blocks = comfy_round_up (cols, l->format->block) / l->format->block;
  guint64 rows = l->weight->shape.dim[0];

  if (t->shape.rank == 2 && comfy_scales_swizzled (l->weight, t, blocks))
    return;
  comfy_trouble (l->troubles,
                 comfy_scales_swizzled (l->weight, t, blocks)
                     ? COMFY_NOTE
                     : (comfy_scales_plain (l->weight, t, blocks) ? COMFY_WARN : COMFY_FATAL),
                 l->layer, "scale-shape",
                 "%s is %s, its loader wants block scales in tiles, [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "]",
                 m->suffix + 1, shape, comfy_round_up (rows, COMFY_TILE_ROWS), comfy_round_up (blocks, 4));
}

static gboolean
has_form (const ComfyMember *m, const QconvTensor *weight, const QconvTensor *t)
{
  guint64 rows = weight->shape.dim[0];
  gboolean one = items_of (t) == 1;

  switch (m->form)
    {
    case COMFY_ONE:
      return one;
    case COMFY_ROWS:
      return t->shape.rank == 1 && t->shape.dim[0] == rows;
    case COMFY_ONE_OR_ROWS:
      return one || (t->shape.rank == 2 && t->shape.dim[0] == rows && t->shape.dim[1] == 1);
    default:
      return TRUE;
    }
}

static void
check_member (const Look *l, const ComfyMember *m, const QconvTensor *t)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  if ((m->readable & 1u << t->dtype) == 0)
    comfy_trouble (l->troubles, COMFY_FATAL, l->layer, "dtype", "%s is %s, which format %s does not have",
                   m->suffix + 1, qconv_dtype_name (t->dtype), l->format->name);
  else if ((m->good & 1u << t->dtype) == 0)
    comfy_trouble (l->troubles, COMFY_NOTE, l->layer, "dtype", "%s is %s, which its loader does not take as meant",
                   m->suffix + 1, qconv_dtype_name (t->dtype));
  if (m->form == COMFY_SWIZZLED)
    check_swizzled (l, m, t);
  else if (!has_form (m, l->weight, t))
    comfy_trouble (l->troubles, l->format == comfy_nvfp4 ? COMFY_FATAL : COMFY_NOTE, l->layer, "scale-shape",
                   "%s has the shape %s", m->suffix + 1, shape);
}

/* Padding is what lets kernels run; a bias has the length before it */
static void
check_padding (const Look *l)
{
  const QconvTensor *bias = qconv_directory_find2 (l->directory, l->layer, ".bias");
  guint64 rows = l->weight->shape.dim[0], cols = l->weight->shape.dim[1] * l->format->per_item;
  guint block = l->format->block;

  if (block != 0 && (rows % block != 0 || cols % block != 0))
    comfy_trouble (l->troubles, COMFY_NOTE, l->layer, "padding",
                   "the weight is [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "], not padded to multiples of %u", rows,
                   cols, block);
  if (bias != NULL
      && (bias->shape.rank != 1 || bias->shape.dim[0] > rows || rows - bias->shape.dim[0] >= MAX (block, 1)))
    comfy_trouble (l->troubles, COMFY_NOTE, l->layer, "bias-shape",
                   "the bias does not have the length of %" G_GUINT64_FORMAT " rows", rows);
}

void
comfy_check_layer (const QconvDirectory *d, const char *layer, const ComfyFormat *format, GPtrArray *troubles)
{
  Look l = { d, layer, format, qconv_directory_find2 (d, layer, ".weight"), troubles };

  if (l.weight == NULL)
    {
      comfy_trouble (troubles, COMFY_FATAL, layer, "missing", "%s.weight is missing", layer);
      return;
    }
  if (format == NULL)
    return;
  if (l.weight->shape.rank != 2 || items_of (l.weight) == 0
      || l.weight->shape.dim[1] > LARGEST / format->per_item || l.weight->shape.dim[0] > LARGEST)
    {
      comfy_trouble (troubles, COMFY_FATAL, layer, "weight-shape", "the weight is no matrix");
      return;
    }
  for (const ComfyMember *m = format->members; m->suffix != NULL; m++)
    {
      const QconvTensor *t = qconv_directory_find2 (d, layer, m->suffix);

      if (t != NULL)
        check_member (&l, m, t);
      else if (m->required)
        comfy_trouble (troubles, COMFY_FATAL, layer, "missing", "%s%s is missing", layer, m->suffix);
    }
  check_padding (&l);
}

/* Returns: how many bytes of @t are E4M3 NaN or negative, -1 where it cannot be read */
static gint64
count_wrong (const QconvTensor *t)
{
  g_autofree guint8 *bytes = g_malloc (STRETCH);
  gint64 wrong = 0;

  for (guint64 at = 0; at < t->n_bytes; at += STRETCH)
    {
      gsize n = MIN (t->n_bytes - at, STRETCH);

      if (!qconv_tensor_read (t, at, n, bytes, NULL))
        return -1;
      for (gsize i = 0; i < n; i++)
        wrong += bytes[i] >= 0x7f;
    }
  return wrong;
}

typedef enum { ANY_SIGN, NOT_NEGATIVE, POSITIVE } Sign;

/* Returns: whether the float of @bits, @exponent being the mask of its exponent, scales as is asked for */
static gboolean
scales_as (guint64 bits, guint64 exponent, guint64 minus, Sign sign)
{
  if ((bits & exponent) == exponent)
    return FALSE;
  return sign == ANY_SIGN || ((bits & minus) == 0 && (sign == NOT_NEGATIVE || bits != 0));
}

static gboolean
all_scale (const QconvTensor *t, guint64 exponent, Sign sign)
{
  guint8 bytes[4096];
  gsize width = qconv_dtype_bits (t->dtype) / 8;
  guint64 minus = (guint64) 1 << (width * 8 - 1);

  for (guint64 at = 0; at < t->n_bytes; at += sizeof bytes)
    {
      gsize n = MIN (t->n_bytes - at, sizeof bytes);

      if (!qconv_tensor_read (t, at, n, bytes, NULL))
        return FALSE;
      for (gsize i = 0; i + width <= n; i += width)
        {
          guint64 bits = 0;

          memcpy (&bits, bytes + i, width);
          if (!scales_as (GUINT64_FROM_LE (bits), exponent, minus, sign))
            return FALSE;
        }
    }
  return TRUE;
}

/* Types that are no floats are told of elsewhere */
static void
check_scale (const QconvDirectory *d, const char *layer, const char *suffix, Sign sign, GPtrArray *troubles)
{
  static const guint64 exponents[QCONV_N_DTYPES] = { [QCONV_F64] = 0x7ff0000000000000,
                                                     [QCONV_F32] = 0x7f800000,
                                                     [QCONV_F16] = 0x7c00,
                                                     [QCONV_BF16] = 0x7f80 };
  const QconvTensor *t = qconv_directory_find2 (d, layer, suffix);

  if (t != NULL && exponents[t->dtype] != 0 && !all_scale (t, exponents[t->dtype], sign))
    comfy_trouble (troubles, COMFY_NOTE, layer, "scale-value", "%s is no number that scales anything", suffix + 1);
}

void
comfy_check_numbers (const QconvDirectory *d, const char *layer, GPtrArray *troubles)
{
  const QconvTensor *blocks = qconv_directory_find2 (d, layer, ".weight_scale");
  gint64 wrong = blocks != NULL ? count_wrong (blocks) : 0;

  if (wrong != 0)
    comfy_trouble (troubles, COMFY_NOTE, layer, "scale-value",
                   wrong < 0 ? "its block scales cannot be read" : "block scales are NaN or negative");
  check_scale (d, layer, ".weight_scale_2", NOT_NEGATIVE, troubles);
  check_scale (d, layer, ".input_scale", POSITIVE, troubles);
  check_scale (d, layer, ".pre_quant_scale", ANY_SIGN, troubles);
}
