/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calculates how arrays lie in tensors: the shape that is written, and the shapes that are read. */
#include "format.h"
#include "marker.h"
#include "swizzle.h"
#include "tensor-kind.h"

guint
comfy_form_per_item (ComfyForm form)
{
  return form == COMFY_NIBBLES || form == COMFY_FLAT || form == COMFY_FLAT_COLUMN ? 2 : 1;
}

static guint64
padded (guint64 n, guint align)
{
  return align != 0 ? comfy_round_up (n, align) : n;
}

QconvShape
comfy_form_shape (ComfyForm form, const ComfySize *s)
{
  guint64 rows = padded (s->rows, s->align), cols = padded (s->cols, s->align), group = MAX (s->group, 1);

  switch (form)
    {
    case COMFY_BYTES:
      return QCONV_SHAPE2 (rows, cols);
    case COMFY_NIBBLES:
      return QCONV_SHAPE2 (rows, qconv_divide_up (cols, 2));
    case COMFY_SIXES:
      return QCONV_SHAPE2 (rows, cols / 2 + cols / 4);
    case COMFY_FLAT:
      return QCONV_SHAPE1 (qconv_divide_up (rows * cols, 2));
    case COMFY_FLAT_COLUMN:
      return QCONV_SHAPE2 (qconv_divide_up (rows * cols, 2), 1);
    case COMFY_ONE:
      return QCONV_SHAPE0;
    case COMFY_ROWS:
      return QCONV_SHAPE1 (s->rows);
    case COMFY_COLUMN:
      return QCONV_SHAPE2 (s->rows, 1);
    case COMFY_COLS:
      return QCONV_SHAPE1 (s->cols);
    case COMFY_GROUPS:
      return QCONV_SHAPE2 (s->rows, s->cols / group);
    case COMFY_ACROSS:
      return QCONV_SHAPE2 (s->cols / group, s->rows);
    case COMFY_SQUARES:
      return QCONV_SHAPE2 (s->rows / group, s->cols / group);
    case COMFY_FLAT_GROUPS:
      return QCONV_SHAPE1 (qconv_divide_up (rows * cols, group));
    case COMFY_SIXTEEN:
      return QCONV_SHAPE1 (COMFY_MAP_SIZE);
    case COMFY_SWIZZLED:
      break;
    }
  return QCONV_SHAPE2 (comfy_round_up (s->rows, COMFY_TILE_ROWS),
                       comfy_round_up (qconv_divide_up (s->cols, MAX (s->align, 1)), COMFY_TILE_COLS));
}

QconvRun
comfy_form_run (ComfyForm form, const ComfySize *s)
{
  QconvShape shape = comfy_form_shape (form, s);

  switch (form)
    {
    case COMFY_BYTES:
    case COMFY_NIBBLES:
    case COMFY_SIXES:
      return (QconvRun) { 1, shape.dim[1] };
    case COMFY_FLAT:
    case COMFY_FLAT_COLUMN:
      return s->cols % 2 == 0 ? (QconvRun) { 1, s->cols / 2 } : (QconvRun) { 2, s->cols };
    case COMFY_SWIZZLED:
      return (QconvRun) { COMFY_TILE_ROWS, COMFY_TILE_ROWS * shape.dim[1] };
    default:
      return QCONV_WHOLE;
    }
}

gboolean
comfy_scales_swizzled (const ComfySize *size, const QconvTensor *scale)
{
  QconvShape want = comfy_form_shape (COMFY_SWIZZLED, size);
  guint64 n;

  if (scale->shape.rank == 1)
    return !__builtin_mul_overflow (want.dim[0], want.dim[1], &n) && scale->shape.dim[0] == n;
  return qconv_shape_equal (&scale->shape, &want);
}

gboolean
comfy_scales_plain (const ComfySize *size, const QconvTensor *scale)
{
  return scale->shape.rank == 2 && scale->shape.dim[0] == size->rows
         && scale->shape.dim[1] == qconv_divide_up (size->cols, MAX (size->align, 1));
}

ComfyFit
comfy_form_fit (ComfyForm form, const ComfySize *size, const QconvTensor *t)
{
  QconvShape want = comfy_form_shape (form, size);
  guint64 have = 0, items = 0;

  if (qconv_shape_equal (&t->shape, &want))
    return COMFY_FIT_GOOD;
  if (!qconv_shape_items (&t->shape, &have) || !qconv_shape_items (&want, &items))
    return COMFY_FIT_NOT;
  /* convert_to_quant stores one number without dimensions, for any form. With INT8 [] and [1] scale the tensor */
  if (form >= COMFY_ONE && form != COMFY_COLUMN && have == 1 && items == 1)
    return COMFY_FIT_GOOD;
  switch (form)
    {
    case COMFY_ONE:
    case COMFY_FLAT:
    case COMFY_FLAT_COLUMN:
    case COMFY_FLAT_GROUPS:
      return have == items ? COMFY_FIT_GOOD : COMFY_FIT_NOT;
    case COMFY_ROWS:
      return t->shape.rank == 2 && t->shape.dim[0] == size->rows && t->shape.dim[1] == 1 ? COMFY_FIT_ODD
                                                                                         : COMFY_FIT_NOT;
    case COMFY_COLUMN:
      return t->shape.rank == 1 && have == size->rows && have > 1 ? COMFY_FIT_ODD : COMFY_FIT_NOT;
    case COMFY_SWIZZLED:
      return comfy_scales_swizzled (size, t) || comfy_scales_plain (size, t) ? COMFY_FIT_ODD : COMFY_FIT_NOT;
    default:
      return COMFY_FIT_NOT;
    }
}
