/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads biases, and says how far those that are computed may be from the model's: files hold them rounded, with a 1 or
   a shift in them. */
#include <math.h>
#include <string.h>

#include "load.h"
#include "packing.h"
#include "shift.h"

/* Errors of rounding to codes are spread evenly over one step, and hardly a sum of many is beyond this many times its
   standard deviation */
#define DEVIATIONS 6.0

gboolean
nunchaku_load_bias (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = { load->dst, sizeof (guint16), load->first, load->n };

  return nunchaku_read_rows (load->tensors[0], &nunchaku_numbers, &rows, error);
}

/* Returns the most that rounding to a type of 16 bits changes a number of size @x */
static double
rounding (QconvDType dtype, double x)
{
  return fabs (x) * (dtype == QCONV_F16 ? 0x1p-11 : 0x1p-8) + (dtype == QCONV_F16 ? 0x1p-25 : 0x1p-134);
}

/* ---- Biases of two halves ---- */

/* Returns: (nullable): the bias of layer @half in @block, if the layer is one of nunchaku's */
static const QconvTensor *
bias_of_half (const QconvDirectory *d, const char *block, const char *half)
{
  g_autofree char *layer = g_strconcat (block, half, NULL);
  const QconvTensor *bias = qconv_directory_find2 (d, layer, ".bias");

  return bias != NULL && qconv_dtype_bits (bias->dtype) == 16 && qconv_directory_find2 (d, layer, ".qweight") != NULL
             ? bias
             : NULL;
}

gboolean
nunchaku_bias_halves (const QconvDirectory *d, const NunchakuLook *l, const QconvTensor *halves[2])
{
  static const char *const first[] = { ".out_proj", ".attn.to_out" };
  g_autofree char *block = NULL;

  if (!nunchaku_name_matches (l->name, "single_transformer_blocks.*"))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (first) && block == NULL; i++)
    if (g_str_has_suffix (l->name, first[i]))
      block = g_strndup (l->name, strlen (l->name) - strlen (first[i]));
  if (block == NULL && g_str_has_suffix (l->name, ".mlp_fc2"))
    block = g_strndup (l->name, strlen (l->name) - strlen (".mlp_fc2"));
  if (block == NULL)
    return FALSE;
  halves[0] = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (first) && halves[0] == NULL; i++)
    halves[0] = bias_of_half (d, block, first[i]);
  halves[1] = bias_of_half (d, block, ".mlp_fc2");
  return halves[0] != NULL && halves[1] != NULL && qconv_shape_equal (&halves[0]->shape, &halves[1]->shape);
}

gboolean
nunchaku_load_bias_sum (const QconvLoad *load, GError **error)
{
  g_autofree float *other = load->tensors[1] != NULL ? g_new (float, load->n) : NULL;
  NunchakuRows rows = { NULL, sizeof (guint16), load->first, load->n };
  float *bias = load->dst;

  if (!nunchaku_read_floats (load->tensors[0], &nunchaku_numbers, &rows, bias, error)
      || (other != NULL && !nunchaku_read_floats (load->tensors[1], &nunchaku_numbers, &rows, other, error)))
    return FALSE;
  for (guint64 row = 0; other != NULL && row < load->n; row++)
    bias[row] += other[row];
  return TRUE;
}

/* Both halves are rounded */
gboolean
nunchaku_bias_sum_error (const QconvLoad *load, GError **error)
{
  float *errors = load->dst;

  memset (errors, 0, (gsize) load->n * sizeof *errors);
  for (guint i = 0; load->tensors[i] != NULL; i++)
    {
      g_autofree float *half = g_new (float, load->n);

      if (!nunchaku_read_floats (load->tensors[i], &nunchaku_numbers,
                                 &(NunchakuRows) { NULL, sizeof (guint16), load->first, load->n }, half, error))
        return FALSE;
      for (guint64 row = 0; row < load->n; row++)
        errors[row] += (float) rounding (load->tensors[i]->dtype, half[row]);
    }
  return TRUE;
}

/* ---- Biases of shifted inputs ---- */

/* The other tensors of a layer whose input is shifted. @row_scale: (nullable) */
typedef struct {
  const QconvTensor *codes, *group_scale, *row_scale, *smooth, *down, *up;
  guint64 cols, rank;
} Shift;

GBytes *
nunchaku_shift_data (const NunchakuLook *l)
{
  Shift shift = { l->members[NUNCHAKU_QWEIGHT],
                  l->members[NUNCHAKU_WSCALES],
                  l->members[NUNCHAKU_WCSCALES],
                  l->members[NUNCHAKU_SMOOTH],
                  l->members[NUNCHAKU_DOWN],
                  l->members[NUNCHAKU_UP],
                  l->cols,
                  l->rank };

  return g_bytes_new (&shift, sizeof shift);
}

static gsize
groups_of (const Shift *s)
{
  return (gsize) s->cols / NUNCHAKU_GROUP_INT4;
}

/* Returns: (transfer full) (nullable): 1 / smooth of every column */
static double *
read_inverse (const Shift *s, GError **error)
{
  g_autofree float *smooth = g_new (float, s->cols);
  g_autofree double *inverse = g_new (double, s->cols);

  if (!nunchaku_read_floats (s->smooth, &nunchaku_numbers, &(NunchakuRows) { NULL, sizeof (guint16), 0, s->cols },
                             smooth, error))
    return NULL;
  for (guint64 col = 0; col < s->cols; col++)
    inverse[col] = 1.0 / (double) smooth[col];
  return g_steal_pointer (&inverse);
}

/* Reads the scales of rows [@first, @first + @n), all groups of a row after each other, times the scale of the row */
static gboolean
read_scales (const Shift *s, guint64 first, guint64 n, float *scales, GError **error)
{
  gsize groups = groups_of (s), half = sizeof (guint16);
  float factors[NUNCHAKU_BLOCK];

  if (!nunchaku_read_floats (s->group_scale, &nunchaku_numbers, &(NunchakuRows) { NULL, groups * half, first, n },
                             scales, error))
    return FALSE;
  if (s->row_scale == NULL)
    return TRUE;
  if (!nunchaku_read_floats (s->row_scale, &nunchaku_numbers, &(NunchakuRows) { NULL, half, first, n }, factors, error))
    return FALSE;
  for (gsize i = 0; i < (gsize) n * groups; i++)
    scales[i] *= factors[i / groups];
  return TRUE;
}

/* Adds the shift times the sums of rows [@first, @first + @n) of the residual to @bias. The file's bias lacks them,
   so that they cancel at run time. */
static gboolean
add_shift (const Shift *s, const double *inverse, guint64 first, guint64 n, float *bias, GError **error)
{
  gsize row_bytes = (gsize) s->cols / 2, groups = groups_of (s);
  g_autofree float *scales = g_new (float, (gsize) n *groups);
  g_autofree guint8 *codes = g_malloc ((gsize) n * row_bytes);

  if (!nunchaku_read_rows (s->codes, &nunchaku_codes, &(NunchakuRows) { codes, row_bytes, first, n }, error)
      || !read_scales (s, first, n, scales, error))
    return FALSE;
  for (guint64 row = 0; row < n; row++)
    bias[row] = (float) ((double) bias[row]
                         + NUNCHAKU_SHIFT
                               * nunchaku_sum_row (codes + row * row_bytes, scales + row * groups, inverse, s->cols));
  return TRUE;
}

gboolean
nunchaku_load_shifted_bias (const QconvLoad *load, GError **error)
{
  const Shift *shift = g_bytes_get_data (load->data, NULL);
  g_autofree double *inverse = read_inverse (shift, error);
  float *bias = load->dst;

  if (inverse == NULL || !nunchaku_load_bias_sum (load, error))
    return FALSE;
  for (guint64 row = 0, n; row < load->n; row += n)
    {
      n = MIN (NUNCHAKU_BLOCK - (load->first + row) % NUNCHAKU_BLOCK, load->n - row);
      if (!add_shift (shift, inverse, load->first + row, n, bias + row, error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Errors of biases of shifted inputs ---- */

/* Returns: (transfer full) (nullable): the sum of each row of "lora_down". Each column of its tiles has all rows */
static double *
sum_down (const Shift *s, GError **error)
{
  NunchakuGrid grid = nunchaku_grid (&nunchaku_factor_down, s->rank, NUNCHAKU_FACTOR * sizeof (guint16));
  gsize size = (gsize) s->rank * NUNCHAKU_FACTOR * sizeof (guint16), n = size / sizeof (guint16);
  g_autofree guint8 *tiles = g_malloc (size);
  g_autofree guint16 *halves = g_malloc (size);
  g_autofree float *floats = g_new (float, n);
  g_autofree double *sums = g_new0 (double, s->rank);
  NunchakuRows rows = { (guint8 *) halves, NUNCHAKU_FACTOR * sizeof (guint16), 0, s->rank };

  for (guint64 at = 0; at < s->down->n_bytes; at += size)
    {
      if (!qconv_tensor_read (s->down, at, size, tiles, error))
        return NULL;
      nunchaku_unpack (&nunchaku_factor_down, tiles, &grid, &rows);
      if (!qconv_floats_from (s->down->dtype, halves, n, floats))
        return NULL;
      for (gsize i = 0; i < n; i++)
        sums[i / NUNCHAKU_FACTOR] += (double) floats[i];
    }
  return g_steal_pointer (&sums);
}

/* Sets @spread to the variance that codes of each group add to the sum of a row whose scales are 1 */
static double *
spread_of (const Shift *s, GError **error)
{
  g_autofree double *inverse = read_inverse (s, error);
  double *spread = inverse != NULL ? g_new0 (double, groups_of (s)) : NULL;

  for (guint64 col = 0; inverse != NULL && col < s->cols; col++)
    spread[col / NUNCHAKU_GROUP_INT4] += inverse[col] * inverse[col] / 12.0;
  return spread;
}

/* What errors of all rows are made of, see sum_down() and spread_of() */
typedef struct {
  const double *down, *spread;
} Sums;

/* Adds to @errors of rows from @first on what the sum of codes differs from that of the weights, and the rounding of
   @bias without the product, which deepcompressor rounds first */
static gboolean
add_errors (const Shift *s, const Sums *sums, guint64 first, guint64 n, const float *bias, float *errors,
            GError **error)
{
  gsize groups = groups_of (s), rank = (gsize) s->rank;
  g_autofree float *scales = g_new (float, (gsize) n *groups), *up = g_new (float, (gsize) n *rank);

  if (!read_scales (s, first, n, scales, error)
      || !nunchaku_read_floats (s->up, &nunchaku_factor_up, &(NunchakuRows) { NULL, rank * sizeof (guint16), first, n },
                                up, error))
    return FALSE;
  for (guint64 row = 0; row < n; row++)
    {
      double variance = 0.0, product = 0.0;

      for (gsize i = 0; i < groups; i++)
        variance += (double) scales[row * groups + i] * (double) scales[row * groups + i] * sums->spread[i];
      for (gsize i = 0; i < rank; i++)
        product += (double) up[row * rank + i] * sums->down[i];
      errors[row] += (float) (rounding (s->down->dtype, bias[row] - NUNCHAKU_SHIFT * product)
                              + DEVIATIONS * NUNCHAKU_SHIFT * sqrt (variance));
    }
  return TRUE;
}

gboolean
nunchaku_shifted_bias_error (const QconvLoad *load, GError **error)
{
  const Shift *shift = g_bytes_get_data (load->data, NULL);
  g_autofree double *down = sum_down (shift, error), *spread = down != NULL ? spread_of (shift, error) : NULL;
  g_autofree float *bias = g_new (float, load->n);
  QconvLoad biases = *load;

  biases.dst = bias;
  if (spread == NULL || !nunchaku_load_bias_sum (&biases, error) || !nunchaku_bias_sum_error (load, error))
    return FALSE;
  for (guint64 row = 0, n; row < load->n; row += n)
    {
      n = MIN (NUNCHAKU_BLOCK - (load->first + row) % NUNCHAKU_BLOCK, load->n - row);
      if (!add_errors (shift, &(Sums) { down, spread }, load->first + row, n, bias + row, (float *) load->dst + row,
                       error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Modulation layers ---- */

/* Reads all of a bias, in the order of the file. Returns: (transfer full) (nullable) */
static float *
read_plain (const QconvTensor *t, guint64 rows, GError **error)
{
  g_autofree guint16 *halves = g_new (guint16, rows);
  g_autofree float *all = g_new (float, rows);

  return qconv_tensor_read (t, 0, (gsize) rows * sizeof *halves, halves, error)
                 && qconv_floats_from (t->dtype, halves, (gsize) rows, all)
             ? g_steal_pointer (&all)
             : NULL;
}

static gboolean
is_raised (const QconvLoad *load, guint64 row)
{
  guint chunks = nunchaku_chunks (load);

  return nunchaku_is_raised ((guint) (row / (load->layer->rows / chunks)), chunks);
}

gboolean
nunchaku_load_awq_bias (const QconvLoad *load, GError **error)
{
  guint64 rows = load->layer->rows;
  g_autofree float *all = read_plain (load->tensors[0], rows, error);
  float *dst = load->dst;

  for (guint64 row = load->first; all != NULL && row < load->first + load->n; row++)
    dst[row - load->first]
        = all[nunchaku_interleaved (row, rows, nunchaku_chunks (load))] - (is_raised (load, row) ? 1.0f : 0.0f);
  return all != NULL;
}

/* A bias is rounded after the 1 is added, so the error is one of the larger number (deepcompressor:
   deepcompressor/backend/nunchaku/utils.py: convert_to_nunchaku_w4x16_linear_weight) */
gboolean
nunchaku_awq_bias_error (const QconvLoad *load, GError **error)
{
  guint64 rows = load->layer->rows;
  g_autofree float *all = read_plain (load->tensors[0], rows, error);
  float *dst = load->dst;

  for (guint64 row = load->first; all != NULL && row < load->first + load->n; row++)
    dst[row - load->first] = is_raised (load, row) ? (float) rounding (
                                 load->tensors[0]->dtype, all[nunchaku_interleaved (row, rows, nunchaku_chunks (load))])
                                                   : 0.0f;
  return all != NULL;
}

gsize
nunchaku_bias_scratch (const NunchakuLook *l)
{
  gsize cols = (gsize) l->cols, codes = cols * NUNCHAKU_BLOCK / 2, scales = cols / NUNCHAKU_GROUP_INT4 * NUNCHAKU_BLOCK;
  gsize rank = (gsize) l->rank, factor = rank * NUNCHAKU_FACTOR;

  if (l->kind == NUNCHAKU_AWQ)
    return (gsize) l->rows * (sizeof (guint16) + sizeof (float));
  if (!l->shifted)
    return 2 * (gsize) l->rows * sizeof (float);
  /* Smoothing factors and what is made of them, blocks of codes and scales; for errors also the two factors */
  return cols * (sizeof (float) + 2 * sizeof (double)) + 2 * codes + scales * (sizeof (float) + 2 * sizeof (guint16))
         + factor * (2 * sizeof (guint16) + sizeof (float)) + rank * sizeof (double)
         + rank * NUNCHAKU_BLOCK * (sizeof (float) + 2 * sizeof (guint16)) + 2 * (gsize) l->rows * sizeof (float);
}
