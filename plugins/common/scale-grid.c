/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grids of scales (transformers: integrations/finegrained_fp8.py takes the block from the shapes; DeepSeek-V3:
   inference/kernel.py has blocks of 128, the last ones smaller). */
#include "scale-grid.h"

#include <string.h>

#include "qconv-numbers.h"
#include "tensor-kind.h"

#define USUAL 128
/* Numbers that are read at once. */
#define STRETCH 1024

/* Returns the items of an axis of @n that share one of @s scales, or 0. A power of two is likelier than another block
   that divides the axis, and so is 128 with a rest. @said: as config.json says, or 0 */
static guint64
block_of (guint64 n, guint64 s, guint64 said)
{
  guint64 even = s > 0 && n % s == 0 ? n / s : 0;

  if (s == 1)
    return n;
  if (said > 0 && even != 1 && qconv_divide_up (n, said) == s)
    return said;
  if (even > 0 && (even & (even - 1)) == 0)
    return even;
  if (qconv_divide_up (n, USUAL) == s)
    return USUAL;
  return even;
}

/* Sets @dims to the shape of @scale with as many axes as @rank. Returns FALSE if it has more. */
static gboolean
align_scale (const QconvShape *scale, guint32 rank, guint64 *dims)
{
  guint32 n = scale->rank;

  while (n > rank && scale->dim[n - 1] == 1)
    n--;
  for (guint32 i = 0; i < rank; i++)
    dims[i] = i < n ? scale->dim[i] : 1;
  return n <= rank;
}

gboolean
qconv_scale_grid_find (const QconvTensor *codes, const QconvTensor *scale, const guint64 *block, QconvScaleGrid *grid)
{
  const QconvShape *w = &codes->shape;
  gboolean stack = w->rank == 3;
  guint64 dims[3], n = 0, items = 0;

  if (w->rank < 2 || !qconv_shape_items (w, &items) || items == 0 || !qconv_shape_items (&scale->shape, &n) || n == 0
      || (w->rank > 3 && n != 1) || !align_scale (&scale->shape, w->rank > 3 ? 2 : w->rank, dims + !stack))
    return FALSE;
  dims[0] = stack ? dims[0] : 1;
  *grid = (QconvScaleGrid) { .matrices = stack ? w->dim[0] : 1, .rows = w->dim[stack], .step = 1 };
  grid->cols = items / (grid->matrices * grid->rows);
  grid->block[0] = block_of (grid->matrices, dims[0], 0);
  grid->block[1] = block_of (grid->rows, dims[1], block[0]);
  grid->block[2] = block_of (grid->cols, dims[2], block[1]);
  grid->down = dims[1];
  grid->across = dims[2];
  return grid->block[0] > 0 && grid->block[1] > 0 && grid->block[2] > 0;
}

/* Reads @n scales from item @first as F32. */
static gboolean
read_scales (const QconvTensor *t, guint64 first, guint64 n, float *dst, GError **error)
{
  QconvDType dtype = t->dtype == QCONV_U8 ? QCONV_F8_E8M0 : t->dtype;
  gsize item = qconv_dtype_bits (dtype) / 8;
  float stored[STRETCH];

  for (guint64 i = 0; i < n; i += STRETCH)
    {
      gsize run = (gsize) MIN (n - i, STRETCH);

      if (!qconv_tensor_read (t, (first + i) * item, run * item, stored, error))
        return FALSE;
      if (!qconv_floats_from (dtype, stored, run, dst + i))
        return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\" is no scale", t->name);
    }
  return TRUE;
}

gboolean
qconv_scale_grid_load (const QconvLoad *load, GError **error)
{
  const QconvScaleGrid *g = g_bytes_get_data (load->data, NULL);
  float *dst = load->dst;
  guint64 before = 0;

  for (guint64 i = 0; i < load->n; i++, dst += g->across)
    {
      guint64 row = (load->first + i) * g->step, matrix = row / g->rows;
      guint64 at = matrix / g->block[0] * g->down + row % g->rows / g->block[1];

      if (i > 0 && at == before)
        memcpy (dst, dst - g->across, (gsize) g->across * sizeof *dst);
      else if (!read_scales (load->tensors[0], at * g->across, g->across, dst, error))
        return FALSE;
      before = at;
    }
  return TRUE;
}
