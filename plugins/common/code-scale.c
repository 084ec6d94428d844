/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells schemes of scaled codes apart by the shapes of weight and scale. */
#include "code-scale.h"

#include <math.h>

#include "load-rows.h"

/* Smallest block that the scheme fp8_block has. */
#define FP8_SMALLEST 8

static gboolean
divides (guint64 a, guint64 n)
{
  return a > 0 && n % a == 0;
}

/* Returns the side of square blocks, or 0 if the grid has none. convert_to_quant writes a flat list of blocks
   (formats/format_migration.py). */
static guint64
block_side (const QconvShape *w, const QconvTensor *scale)
{
  const QconvShape *s = &scale->shape;
  guint64 area, side;

  if (s->rank == 2)
    return divides (s->dim[0], w->dim[0]) && divides (s->dim[1], w->dim[1])
                   && w->dim[0] / s->dim[0] == w->dim[1] / s->dim[1]
               ? w->dim[0] / s->dim[0]
               : 0;
  if (s->rank != 1 || scale->dtype != QCONV_F32 || __builtin_mul_overflow (w->dim[0], w->dim[1], &area)
      || !divides (s->dim[0], area))
    return 0;
  area /= s->dim[0];
  side = (guint64) llround (sqrt ((double) area));
  return side * side == area && divides (side, w->dim[0]) && divides (side, w->dim[1]) ? side : 0;
}

static gboolean
is_fp8 (QconvDType dtype)
{
  return dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2;
}

static void
find_one (const QconvTensor *weight, QconvCodeScale *found)
{
  found->scheme = is_fp8 (weight->dtype) ? "fp8" : "int8";
  found->component = "tensor_scale";
  found->parameters = g_strdup (weight->dtype == QCONV_I8        ? "scaling=tensor"
                                : weight->dtype == QCONV_F8_E5M2 ? "dtype=e5m2"
                                                                 : "dtype=e4m3");
}

static void
find_rows (const QconvTensor *weight, QconvCodeScale *found)
{
  found->component = "row_scale";
  if (weight->dtype == QCONV_F8_E4M3)
    found->scheme = "fp8_row";
  else if (weight->dtype == QCONV_I8)
    {
      found->scheme = "int8";
      found->parameters = g_strdup ("scaling=row");
    }
}

static void
find_blocks (const QconvTensor *weight, const QconvTensor *scale, QconvCodeScale *found)
{
  guint64 side = block_side (&weight->shape, scale);
  gboolean fp8 = weight->dtype == QCONV_F8_E4M3;

  if ((!fp8 && weight->dtype != QCONV_I8) || side < (fp8 ? FP8_SMALLEST : 1))
    return;
  found->scheme = fp8 ? "fp8_block" : "int8_block";
  found->component = "block_scale";
  found->parameters = g_strdup_printf ("block=%" G_GUINT64_FORMAT, side);
  found->load = scale->shape.rank == 1 ? qconv_load_rows : NULL;
}

void
qconv_code_scale (const QconvTensor *weight, const QconvTensor *scale, gboolean flat_rows, QconvCodeScale *found)
{
  const QconvShape *w = &weight->shape, *s = &scale->shape;
  guint64 n = 0, items = 0;
  gboolean one, rows;

  *found = (QconvCodeScale) { NULL, NULL, NULL, NULL };
  if (w->rank != 2 || !qconv_shape_items (w, &items) || items == 0 || !qconv_shape_items (s, &n) || n == 0
      || scale->dtype == QCONV_F64 || !qconv_dtype_is_float (scale->dtype)
      || (!is_fp8 (weight->dtype) && weight->dtype != QCONV_I8))
    return;
  one = n == 1;
  rows
      = n == w->dim[0] && ((s->rank == 2 && s->dim[1] == 1) || (s->rank == 1 && (is_fp8 (weight->dtype) || flat_rows)));
  if (one)
    find_one (weight, found);
  else if (rows)
    find_rows (weight, found);
  else if (s->rank != 1 || n != w->dim[0]) /* a list as long as the rows could be rows or blocks */
    find_blocks (weight, scale, found);
}

void
qconv_code_scale_clear (QconvCodeScale *found)
{
  g_free (found->parameters);
}
