/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the scheme of FP8 weights by the shapes of codes and scale. */
#include "fp8-claim.h"

#include "load-rows.h"
#include "scale-grid.h"

#define MX_BLOCK 32
/* Blocks that the scheme fp8_block has. */
#define SMALLEST 8
#define LARGEST 4096

/* The scheme of a grid. @step: rows of the weight for one row of @component; @input: the scheme holds the scale of the
   input */
typedef struct {
  const char *scheme, *component;
  char *parameters;
  guint64 step;
  gboolean input;
} Found;

gboolean
qconv_is_exponent (const QconvTensor *t)
{
  return t->dtype == QCONV_F8_E8M0 || t->dtype == QCONV_U8;
}

static void
find_scheme (const QconvFp8 *w, const QconvScaleGrid *grid, Found *found)
{
  const char *dtype = w->codes->dtype == QCONV_F8_E5M2 ? "e5m2" : "e4m3";
  gboolean matrix = w->codes->shape.rank == 2, e4m3 = matrix && w->codes->dtype == QCONV_F8_E4M3;
  guint64 high = grid->block[1], wide = grid->block[2];

  if (e4m3 && qconv_is_exponent (w->scale) && high == 1 && wide == MX_BLOCK)
    *found = (Found) { "mxfp8", "block_scale", NULL, 1, FALSE };
  else if (matrix && high == grid->rows && wide == grid->cols)
    *found = (Found) { "fp8", "tensor_scale", g_strdup_printf ("dtype=%s", dtype), 1, TRUE };
  else if (e4m3 && high == 1 && wide == grid->cols)
    *found = (Found) { "fp8_row", "row_scale", NULL, 1, TRUE };
  else if (e4m3 && high == wide && high >= SMALLEST && high <= LARGEST && grid->rows % high == 0
           && grid->cols % wide == 0)
    *found = (Found) { "fp8_block", "block_scale", g_strdup_printf ("block=%" G_GUINT64_FORMAT, high), high, TRUE };
  else
    *found = (Found) { "fp8_group", "group_scale", g_strdup_printf ("dtype=%s,group=%" G_GUINT64_FORMAT, dtype, wide),
                       1, FALSE };
}

gboolean
qconv_claim_fp8 (QconvClaims *claims, const QconvFp8 *w)
{
  const QconvShape *shape = &w->codes->shape;
  g_autoptr (GBytes) data = NULL;
  QconvScaleGrid grid;
  Found found;
  QconvClaim *l;

  if (!qconv_scale_grid_find (w->codes, w->scale, w->block, &grid))
    return FALSE;
  find_scheme (w, &grid, &found);
  grid.step = found.step;
  data = g_bytes_new (&grid, sizeof grid);
  l = qconv_claims_layer (claims, w->layer, found.scheme, found.parameters, grid.matrices * grid.rows, grid.cols,
                          QCONV_BF16);
  g_free (found.parameters);
  if (shape->rank != 2)
    qconv_claim_shape (l, shape);
  qconv_claim_bind (l, "codes", shape->rank == 2 ? NULL : qconv_load_rows, w->codes, NULL);
  if (g_str_equal (found.scheme, "mxfp8"))
    qconv_claim_bind (l, "block_scale", NULL, w->scale, NULL);
  else
    qconv_claim_bind_data (l, found.component, qconv_scale_grid_load, data, w->scale, NULL);
  if (w->input != NULL && found.input)
    qconv_claim_bind (l, "input_scale", NULL, w->input, NULL);
  else if (w->input != NULL)
    qconv_claims_drop (claims, w->input);
  return TRUE;
}
