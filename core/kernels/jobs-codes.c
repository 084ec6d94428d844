/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the arguments of the operations on FP8, integers and codes into tables. */
#include "kernels/jobs.h"

static gsize
pieces (gsize n, gsize size)
{
  return n / size + (n % size != 0);
}

/* ---- FP8 ---- */

gboolean
qconv_job_fp8 (QconvFp8Job *job, const QconvArg *args, GError **error)
{
  const guint32 formats = QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2);
  gsize rows, cols;

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &cols, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, rows, cols, error)
      || !qconv_kernel_fits (&args[1], "codes", formats, rows, cols, error)
      || !qconv_kernel_fits (&args[2], "scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->format = qconv_buffer_dtype (args[1].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->dst = qconv_kernel_out (&args[1]);
  job->scale = qconv_kernel_in (&args[2]);
  job->n = rows * cols;
  return TRUE;
}

/* Arguments: rows, columns, height and width of a tile */
static gboolean
take_tiles (QconvTiles *t, const QconvArg *args, GError **error)
{
  if (!qconv_kernel_count (&args[0], "rows", &t->rows, error) || !qconv_kernel_count (&args[1], "cols", &t->cols, error)
      || !qconv_kernel_count (&args[2], "rows of a tile", &t->height, error)
      || !qconv_kernel_count (&args[3], "columns of a tile", &t->width, error))
    return FALSE;
  t->height = MAX (t->height, 1);
  t->width = MAX (t->width, 1);
  t->across = pieces (t->cols, t->width);
  t->down = pieces (t->rows, t->height);
  return TRUE;
}

gboolean
qconv_job_fp8_tile (QconvFp8TileJob *job, const QconvArg *args, gboolean search, GError **error)
{
  QconvTiles *t = &job->tiles;

  if (!take_tiles (t, args + 3, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, t->rows, t->cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_F8_E4M3), t->rows, t->cols, error)
      || !qconv_kernel_fits (&args[2], "scales", QCONV_MASK (QCONV_F32), t->down, t->across, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  job->search = search;
  return TRUE;
}

/* Takes codes of the types @dtypes */
static gboolean
take_tile_codes (QconvTileDecodeJob *job, const QconvArg *args, guint32 dtypes, GError **error)
{
  QconvTiles *t = &job->tiles;

  if (!take_tiles (t, args + 3, error) || !qconv_kernel_fits (&args[0], "codes", dtypes, t->rows, t->cols, error)
      || !qconv_kernel_fits (&args[1], "scales", QCONV_MASK (QCONV_F32), t->down, t->across, error)
      || !qconv_kernel_fits (&args[2], "destination", QCONV_MASK (QCONV_F32), t->rows, t->cols, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->codes = qconv_kernel_in (&args[0]);
  job->scales = qconv_kernel_in (&args[1]);
  job->dst = qconv_kernel_out (&args[2]);
  job->runs = pieces (t->cols, QCONV_TILE_RUN);
  return TRUE;
}

gboolean
qconv_job_fp8_decode (QconvTileDecodeJob *job, const QconvArg *args, GError **error)
{
  return take_tile_codes (job, args, QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2), error);
}

gboolean
qconv_job_int8_decode (QconvTileDecodeJob *job, const QconvArg *args, GError **error)
{
  if (args[5].i == 0 || args[6].i == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "height or width of a tile is 0");
  return take_tile_codes (job, args, QCONV_MASK (QCONV_I8), error);
}

/* Arguments: weights or codes, codes or exponents, exponents or destination, rows, columns */
static gboolean
take_mxfp8_size (QconvMxfp8Job *job, const QconvArg *args, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job->cols, error))
    return FALSE;
  job->blocks = pieces (job->cols, QCONV_MXFP8_BLOCK);
  job->runs = pieces (job->cols, QCONV_MXFP8_RUN);
  return TRUE;
}

gboolean
qconv_job_mxfp8_encode (QconvMxfp8Job *job, const QconvArg *args, GError **error)
{
  if (!take_mxfp8_size (job, args, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_F8_E4M3), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[2], "block_scale", QCONV_MASK (QCONV_F8_E8M0), job->rows, job->blocks, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->dst = NULL;
  job->codes = qconv_kernel_out (&args[1]);
  job->exponents = qconv_kernel_out (&args[2]);
  return TRUE;
}

gboolean
qconv_job_mxfp8_decode (QconvMxfp8Job *job, const QconvArg *args, GError **error)
{
  if (!take_mxfp8_size (job, args, error)
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_F8_E4M3), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "block_scale", QCONV_MASK (QCONV_F8_E8M0), job->rows, job->blocks, error)
      || !qconv_kernel_fits (&args[2], "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->dtype = QCONV_F32;
  job->src = NULL;
  job->codes = qconv_kernel_out (&args[0]);
  job->exponents = qconv_kernel_out (&args[1]);
  job->dst = qconv_kernel_out (&args[2]);
  return TRUE;
}

/* ---- Rotation and integers ---- */

/* Checks that rows of @cols columns can be rotated in groups of @group */
static gboolean
rotation_fits (gsize group, gsize cols, GError **error)
{
  if (group != 1 && group != 4 && group != 16 && group != 64 && group != 256 && group != QCONV_ROTATE_LARGEST)
    return qconv_fail (error, QCONV_ERROR_BUG, "there is no rotation of %" G_GSIZE_FORMAT " columns", group);
  if (cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "%" G_GSIZE_FORMAT " columns are not whole groups of %" G_GSIZE_FORMAT,
                       cols, group);
  return TRUE;
}

gboolean
qconv_job_rotate (QconvRotateJob *job, const QconvArg *args, GError **error)
{
  gsize rows, cols;

  if (!qconv_kernel_count (&args[2], "rows", &rows, error) || !qconv_kernel_count (&args[3], "cols", &cols, error)
      || !qconv_kernel_count (&args[4], "group", &job->group, error) || !rotation_fits (job->group, cols, error)
      || !qconv_kernel_fits (&args[0], "source", QCONV_MASK_WEIGHTS, rows, cols, error)
      || !qconv_kernel_fits (&args[1], "destination", QCONV_MASK (QCONV_F32), rows, cols, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->dst = qconv_kernel_out (&args[1]);
  job->n = rows * cols;
  return TRUE;
}

/* Arguments of all encoders: weights, codes, scales, scratch, rows, cols, and the group, which is 1 unless @rotated */
static gboolean
take_integers (QconvIntegerJob *job, const QconvArg *args, QconvDType codes, gboolean rotated, GError **error)
{
  job->group = 1;
  if (!qconv_kernel_count (&args[4], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[5], "cols", &job->cols, error)
      || (rotated && !qconv_kernel_count (&args[6], "group", &job->group, error))
      || !rotation_fits (job->group, job->cols, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (codes), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[3], "scratch", QCONV_MASK (QCONV_F32), 1, job->cols, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  job->scratch = qconv_kernel_out (&args[3]);
  job->block = job->across = 0;
  return TRUE;
}

gboolean
qconv_job_integer_rows (QconvIntegerJob *job, const QconvArg *args, QconvDType codes, GError **error)
{
  return take_integers (job, args, codes, TRUE, error)
         && qconv_kernel_fits (&args[2], "row_scale", QCONV_MASK (QCONV_F32), job->rows, 1, error);
}

gboolean
qconv_job_int8 (QconvIntegerJob *job, const QconvArg *args, GError **error)
{
  return take_integers (job, args, QCONV_I8, TRUE, error)
         && qconv_kernel_fits (&args[2], "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error);
}

gboolean
qconv_job_int8_block (QconvIntegerJob *job, const QconvArg *args, GError **error)
{
  gsize block;

  if (!qconv_kernel_count (&args[6], "block", &block, error) || !take_integers (job, args, QCONV_I8, FALSE, error))
    return FALSE;
  if (block == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "the block is 0");
  job->block = block;
  job->across = pieces (job->cols, block);
  return qconv_kernel_fits (&args[2], "block_scale", QCONV_MASK (QCONV_F32), pieces (job->rows, block), job->across,
                            error);
}

gboolean
qconv_job_decode_rows (QconvRowDecodeJob *job, const QconvArg *args, QconvDType codes, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job->cols, error)
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (codes), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "row_scale", QCONV_MASK (QCONV_F32), job->rows, 1, error)
      || !qconv_kernel_fits (&args[2], "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->codes = qconv_kernel_in (&args[0]);
  job->scales = qconv_kernel_in (&args[1]);
  job->dst = qconv_kernel_out (&args[2]);
  job->runs = pieces (job->cols, 8);
  return TRUE;
}

/* Arguments: weights, codes, scales, rows, cols, group, type of the stored scales */
gboolean
qconv_job_int4_group (QconvInt4GroupJob *job, const QconvArg *args, gboolean search, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job->cols, error)
      || !qconv_kernel_count (&args[5], "group", &job->group, error))
    return FALSE;
  job->stored = (QconvDType) args[6].i;
  if (job->group == 0 || job->group % INT4_SUMS != 0 || job->cols % job->group != 0
      || (job->stored != QCONV_BF16 && job->stored != QCONV_F16))
    return qconv_fail (error, QCONV_ERROR_BUG, "the group or the type of the scales does not fit");
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  job->n_groups = job->rows * (job->cols / job->group);
  job->search = search;
  return qconv_kernel_fits (&args[0], "weight", QCONV_MASK (QCONV_F32), job->rows, job->cols, error)
         && qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
         && qconv_kernel_fits (&args[2], "scales", QCONV_MASK (QCONV_F32), job->rows, job->cols / job->group, error);
}

/* ---- W4A8 and W6A8 ---- */

static const guint32 w4a8_codes = QCONV_MASK (QCONV_U4) | QCONV_MASK (QCONV_U8);
static const guint32 w4a8_scales = QCONV_MASK (QCONV_F32) | QCONV_MASK (QCONV_F8_E4M3);

/* Sets the levels and what is done with them. @table: (nullable): F32[16]; @six: codes have 6 bits */
static void
set_levels (QconvW4a8Job *job, const float *table, gboolean six, gboolean search)
{
  job->levels = table;
  job->n_levels = six ? W6A8_LEVELS : W4A8_LEVELS;
  job->lowest = six ? -31.0f : -8.0f;
  job->first = six ? 1 : 0;
  /* the sum of a group's weights times the highest level must not overflow, nor that of weights times 1 */
  job->limit = six ? MIN (1e36f, 3e38f / (31.0f * (float) job->group)) : 1e36f;
  job->fitted = six || table != NULL;
  job->search = six && search;
}

/* Reads rows, columns and the columns of a group from @args */
static gboolean
take_w4a8_groups (const QconvArg *args, gsize *rows, gsize *cols, gsize *group, GError **error)
{
  if (!qconv_kernel_count (&args[0], "rows", rows, error) || !qconv_kernel_count (&args[1], "cols", cols, error)
      || !qconv_kernel_count (&args[2], "group", group, error))
    return FALSE;
  return ((*group == 4 || (*group != 0 && *group % W4A8_SUMS == 0)) && *group <= W4A8_LARGEST_GROUP
          && *cols % *group == 0)
         || qconv_fail (error, QCONV_ERROR_BUG, "%" G_GSIZE_FORMAT " columns have no groups of %" G_GSIZE_FORMAT, *cols,
                        *group);
}

/* Checks the table of levels, which only U4 codes have, and those may lack it */
static gboolean
w4a8_levels_fit (const QconvArg *levels, const QconvArg *codes, GError **error)
{
  if (levels->buffer == NULL)
    return TRUE;
  if (qconv_buffer_dtype (codes->buffer) == QCONV_U8)
    return qconv_fail (error, QCONV_ERROR_BUG, "codes of 6 bits have no table of levels");
  return qconv_kernel_fits (levels, "levels", QCONV_MASK (QCONV_F32), 1, W4A8_LEVELS, error);
}

/* Arguments: weights, levels or NULL, codes, scales of groups, scales of rows, scratch, rows, columns, group, effort */
gboolean
qconv_job_w4a8 (QconvW4a8Job *job, const QconvArg *args, GError **error)
{
  if (!take_w4a8_groups (&args[6], &job->rows, &job->cols, &job->group, error))
    return FALSE;
  job->groups = job->cols / job->group;
  if (!qconv_kernel_fits (&args[0], "weight", QCONV_MASK (QCONV_F32), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[2], "codes", w4a8_codes, job->rows, job->cols, error)
      || !w4a8_levels_fit (&args[1], &args[2], error)
      || !qconv_kernel_fits (&args[3], "scales", w4a8_scales, job->rows, job->groups, error)
      || !qconv_kernel_fits (&args[4], "row_scale", QCONV_MASK (QCONV_F32), job->rows, 1, error)
      || !qconv_kernel_fits (&args[5], "scratch", QCONV_MASK (QCONV_F32), 1, job->groups, error))
    return FALSE;
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[2]);
  job->scales = qconv_kernel_out (&args[3]);
  job->row_scales = qconv_kernel_out (&args[4]);
  job->own = qconv_kernel_out (&args[5]);
  job->e4m3 = qconv_buffer_dtype (args[3].buffer) == QCONV_F8_E4M3;
  set_levels (job, args[1].buffer != NULL ? qconv_kernel_in (&args[1]) : NULL,
              qconv_buffer_dtype (args[2].buffer) == QCONV_U8, args[9].i != 0 && job->e4m3);
  return TRUE;
}

/* Arguments: codes, levels or NULL, scales of groups, scales of rows, destination, rows, columns, group */
gboolean
qconv_job_w4a8_decode (QconvW4a8DecodeJob *job, const QconvArg *args, GError **error)
{
  if (!take_w4a8_groups (&args[5], &job->rows, &job->cols, &job->group, error))
    return FALSE;
  job->groups = job->cols / job->group;
  if (!qconv_kernel_fits (&args[0], "codes", w4a8_codes, job->rows, job->cols, error)
      || !w4a8_levels_fit (&args[1], &args[0], error)
      || !qconv_kernel_fits (&args[2], "scales", w4a8_scales, job->rows, job->groups, error)
      || !qconv_kernel_fits (&args[3], "row_scale", QCONV_MASK (QCONV_F32), job->rows, 1, error)
      || !qconv_kernel_fits (&args[4], "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->packed = qconv_buffer_dtype (args[0].buffer) == QCONV_U4;
  job->stored = qconv_buffer_dtype (args[2].buffer);
  job->centre = job->packed ? 8 : 32;
  job->codes = qconv_kernel_in (&args[0]);
  job->levels = args[1].buffer != NULL ? qconv_kernel_in (&args[1]) : NULL;
  job->scales = qconv_kernel_in (&args[2]);
  job->row_scales = qconv_kernel_in (&args[3]);
  job->dst = qconv_kernel_out (&args[4]);
  job->runs = pieces (job->cols, W4A8_RUN);
  return TRUE;
}

gboolean
qconv_job_w4a8_holds (const QconvW4a8Job *job, float top, GError **error)
{
  return top <= job->limit
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                        "a rotated weight of %g is too large: sums of such weights overflow F32", (double) top);
}

/* ---- AWQ ---- */

/* Arguments: codes, scales, zeros, destination, rows, columns, group, centre */
gboolean
qconv_job_awq (QconvAwqJob *job, const QconvArg *args, GError **error)
{
  QconvDType stored = qconv_buffer_dtype (args[1].buffer);

  if (!qconv_kernel_count (&args[4], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[5], "cols", &job->cols, error)
      || !qconv_kernel_count (&args[6], "group", &job->group, error))
    return FALSE;
  if (job->group == 0 || args[7].i < 0 || args[7].i > 15)
    return qconv_fail (error, QCONV_ERROR_BUG, "the group or the centre does not fit");
  job->groups = pieces (job->cols, job->group);
  if (!qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "scale", QCONV_MASK_WEIGHTS, job->rows, job->groups, error)
      || !qconv_kernel_fits (&args[2], "zero", QCONV_MASK (stored), job->rows, job->groups, error)
      || !qconv_kernel_fits (&args[3], "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->codes = qconv_kernel_in (&args[0]);
  job->scales = qconv_kernel_in (&args[1]);
  job->zeros = qconv_kernel_in (&args[2]);
  job->dst = qconv_kernel_out (&args[3]);
  job->runs = pieces (job->cols, QCONV_AWQ_RUN);
  job->centre = (gint) args[7].i;
  job->stored = stored;
  return TRUE;
}

/* ---- Codes into tables ---- */

/* Reads rows, columns and block from @size, and computes the number of blocks */
static gboolean
take_blocks (const QconvArg *size, gsize *rows, gsize *cols, gsize *block, gsize *blocks, GError **error)
{
  gsize all;

  if (!qconv_kernel_count (&size[0], "rows", rows, error) || !qconv_kernel_count (&size[1], "cols", cols, error)
      || !qconv_kernel_count (&size[2], "block", block, error))
    return FALSE;
  if (*block < BOOK_SUMS || *block > BOOK_BLOCK_LARGEST || (*block & (*block - 1)) != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "blocks of %" G_GSIZE_FORMAT " weights are not supported", *block);
  if (!g_size_checked_mul (&all, *rows, *cols))
    return qconv_fail (error, QCONV_ERROR_BUG, "too many weights");
  *blocks = pieces (all, *block);
  return TRUE;
}

/* Arguments: weights, table, codes if @with_codes, magnitudes, rows, columns, block */
gboolean
qconv_job_codebook4 (QconvCodebook4Job *job, const QconvArg *args, gboolean with_codes, QconvMagnitudes how,
                     GError **error)
{
  const QconvArg *codes = with_codes ? &args[2] : NULL, *absmax = &args[with_codes ? 3 : 2];

  if (!take_blocks (absmax + 1, &job->rows, &job->cols, &job->block, &job->blocks, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "table", QCONV_MASK (QCONV_F32), 1, 16, error)
      || (codes != NULL && !qconv_kernel_fits (codes, "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error))
      || !qconv_kernel_fits (absmax, "absmax", QCONV_MASK (QCONV_F32), 1, job->blocks, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->table = qconv_kernel_in (&args[1]);
  job->codes = codes != NULL ? qconv_kernel_out (codes) : NULL;
  job->magnitudes = qconv_kernel_out (absmax);
  job->runs = pieces (job->cols, 8);
  job->how = how;
  return TRUE;
}

gboolean
qconv_job_codebook4_decode (QconvCodebook4DecodeJob *job, const QconvArg *args, GError **error)
{
  if (!take_blocks (&args[4], &job->rows, &job->cols, &job->block, &job->blocks, error)
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "table", QCONV_MASK (QCONV_F32), 1, 16, error)
      || !qconv_kernel_fits (&args[2], "absmax", QCONV_MASK (QCONV_F32), 1, job->blocks, error)
      || !qconv_kernel_fits (&args[3], "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->codes = qconv_kernel_in (&args[0]);
  job->table = qconv_kernel_in (&args[1]);
  job->magnitudes = qconv_kernel_in (&args[2]);
  job->dst = qconv_kernel_out (&args[3]);
  job->runs = pieces (job->cols, 8);
  return TRUE;
}
