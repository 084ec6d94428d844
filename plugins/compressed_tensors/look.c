/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the layers and tells their form and sizes by names, types and shapes (compressed_tensors: compressors/). */
#include <string.h>

#include "ct.h"
#include "finite.h"
#include "fp8-claim.h"
#include "tensor-kind.h"

#define NVFP4_BLOCK 16
#define MX_BLOCK 32
#define WORD 32
#define LEAST_BITS 2
#define MOST_BITS 8
/* Columns beyond this are refused, so that bits of a row can be counted. */
#define MOST_COLS ((guint64) 1 << 48)

#define TROUBLE(l, weight, word, ...) qconv_trouble_add ((l)->troubles, weight, (l)->layer, word, __VA_ARGS__)
#define BROKEN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_BROKEN, word, __VA_ARGS__)

static const char *
tail_of (const CtLook *l, const QconvTensor *t)
{
  return t->name + strlen (l->layer) + 1;
}

/* Records that @t has a shape or type that does not fit. Returns FALSE */
static gboolean
misfit (CtLook *l, const QconvTensor *t, const char *needed)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  BROKEN (l, "shape", "%s is %s %s where %s", tail_of (l, t), qconv_dtype_name (t->dtype), shape, needed);
  return FALSE;
}

static gboolean
need (CtLook *l, const QconvTensor *t, const char *name)
{
  if (t == NULL)
    BROKEN (l, "missing", "%s is missing", name);
  return t != NULL;
}

/* Records a scale of one number, or for each row, that cannot be one. */
static void
check_values (CtLook *l, const QconvTensor *t, QconvSign sign)
{
  if (t != NULL && qconv_tensor_is_factors (t) && qconv_tensor_items (t) == 1 && !qconv_tensor_is_finite (t, sign))
    TROUBLE (l, QCONV_TROUBLE_NON_FINITE, "scale-value", "%s is not a %s number", tail_of (l, t),
             sign == QCONV_SIGN_POSITIVE ? "positive" : "finite");
}

/* ---- Groups of columns ---- */

/* Returns the columns of a group if @groups of them make a row, or 0. @said: as config.json says, or 0 */
static guint64
group_of (guint64 cols, guint64 groups, gint64 said)
{
  if (groups == 1)
    return cols;
  if (said > 0 && qconv_divide_up (cols, (guint64) said) == groups)
    return (guint64) said;
  if (groups > 0 && cols % groups == 0)
    return cols / groups;
  for (guint64 g = NVFP4_BLOCK; groups > 0 && g < cols; g *= 2)
    if (qconv_divide_up (cols, g) == groups)
      return g;
  return 0;
}

/* Finds the groups by the scale: one number, one for each row, or [rows, groups]. */
static gboolean
measure_groups (CtLook *l, const CtGroup *said)
{
  const QconvShape *s;

  if (!need (l, l->scale, "weight_scale"))
    return FALSE;
  s = &l->scale->shape;
  if (!qconv_tensor_is_factors (l->scale))
    return misfit (l, l->scale, "F32, F16 or BF16 is needed");
  if (qconv_tensor_items (l->scale) == 1 || (s->rank == 1 && s->dim[0] == l->rows))
    l->group = l->cols;
  else if (s->rank == 2 && s->dim[0] == l->rows)
    l->group = group_of (l->cols, s->dim[1], said != NULL ? said->group : 0);
  return l->group > 0 || misfit (l, l->scale, "one number, one for each row, or one for each group is needed");
}

/* ---- Words ---- */

static guint64
words_of (guint64 cols, guint bits, gboolean padded)
{
  return padded ? qconv_divide_up (cols, WORD / bits) : qconv_divide_up (cols * bits, WORD);
}

/* Finds the bits of a code by the words of a row. */
static gboolean
find_bits (CtLook *l, guint64 words, const CtGroup *said)
{
  for (guint padded = 0; said != NULL && padded < 2; padded++)
    if (said->bits >= LEAST_BITS && said->bits <= MOST_BITS && words_of (l->cols, (guint) said->bits, padded) == words)
      {
        l->bits = (guint) said->bits;
        l->padded = padded;
        return TRUE;
      }
  for (guint padded = 0; padded < 2; padded++)
    for (l->bits = MOST_BITS; l->bits >= LEAST_BITS; l->bits--)
      if (words_of (l->cols, l->bits, padded) == words)
        {
          l->padded = padded;
          return TRUE;
        }
  return misfit (l, l->codes, "2 to 8 bits for each column of weight_shape are needed");
}

static gboolean
read_shape (CtLook *l)
{
  gint64 shape[2];

  if (!need (l, l->shape, "weight_shape"))
    return FALSE;
  if ((l->shape->dtype != QCONV_I64 && l->shape->dtype != QCONV_I32) || l->shape->shape.rank != 1
      || l->shape->shape.dim[0] != 2)
    return misfit (l, l->shape, "I64 [2] is needed");
  if (l->shape->dtype == QCONV_I64)
    {
      if (!qconv_tensor_read (l->shape, 0, sizeof shape, shape, NULL))
        return misfit (l, l->shape, "it can be read");
      shape[0] = GINT64_FROM_LE (shape[0]);
      shape[1] = GINT64_FROM_LE (shape[1]);
    }
  else
    {
      gint32 small[2];

      if (!qconv_tensor_read (l->shape, 0, sizeof small, small, NULL))
        return misfit (l, l->shape, "it can be read");
      shape[0] = GINT32_FROM_LE (small[0]);
      shape[1] = GINT32_FROM_LE (small[1]);
    }
  if (shape[0] <= 0 || shape[1] <= 0 || (guint64) shape[0] != l->rows || (guint64) shape[1] > MOST_COLS)
    {
      BROKEN (l, "shape",
              "weight_shape is %" G_GINT64_FORMAT " × %" G_GINT64_FORMAT ", but weight_packed has %" G_GUINT64_FORMAT
              " rows",
              shape[0], shape[1], l->rows);
      return FALSE;
    }
  l->cols = (guint64) shape[1];
  return TRUE;
}

/* Checks zeros that are packed along the rows. */
static gboolean
check_packed_zero (CtLook *l)
{
  guint64 groups = qconv_divide_up (l->cols, l->group);

  return l->zero == NULL
         || (l->zero->dtype == QCONV_I32
             && qconv_tensor_is_matrix (l->zero, words_of (l->rows, l->bits, l->padded), groups))
         || misfit (l, l->zero, "I32 with a column for each group, packed along the rows, is needed");
}

static void
look_at_packed (CtLook *l, const CtGroup *said)
{
  l->kind = CT_PACKED;
  l->rows = l->codes->shape.dim[0];
  if (!read_shape (l) || !find_bits (l, l->codes->shape.dim[1], said) || !measure_groups (l, said)
      || !check_packed_zero (l))
    return;
  if (l->index != NULL
      && (l->index->dtype != QCONV_I32 || l->index->shape.rank != 1 || l->index->shape.dim[0] != l->cols))
    misfit (l, l->index, "I32 with the group of each column is needed");
}

/* ---- Bytes ---- */

static void
look_at_nvfp4 (CtLook *l)
{
  l->kind = CT_NVFP4;
  l->cols *= 2;
  l->bits = 4;
  l->group = NVFP4_BLOCK;
  if (!need (l, l->scale, "weight_scale") || !need (l, l->global, "weight_global_scale"))
    return;
  if (l->scale->dtype != QCONV_F8_E4M3 || l->cols % NVFP4_BLOCK != 0
      || !qconv_tensor_is_matrix (l->scale, l->rows, l->cols / NVFP4_BLOCK))
    misfit (l, l->scale, "F8_E4M3 for 16 columns is needed");
  else if (!qconv_tensor_is_factors (l->global) || qconv_tensor_items (l->global) != 1)
    misfit (l, l->global, "one F32 is needed");
  else
    check_values (l, l->global, QCONV_SIGN_POSITIVE);
}

/* Tells MXFP4 from MXFP6 by the bytes of a row for each of its scales: 16 or 24 */
static void
look_at_mx (CtLook *l)
{
  guint64 bytes = l->cols, scales = l->scale->shape.rank == 2 ? l->scale->shape.dim[1] : 0;
  gboolean six = scales > 0 && bytes % scales == 0 && bytes / scales == MX_BLOCK * 6 / 8;

  l->kind = six ? CT_MXFP6 : CT_MXFP4;
  l->bits = six ? 6 : 4;
  l->group = MX_BLOCK;
  l->cols = scales * MX_BLOCK;
  if (!qconv_tensor_is_matrix (l->scale, l->rows, scales) || scales == 0
      || (!six && (bytes % scales != 0 || bytes / scales != MX_BLOCK / 2)))
    misfit (l, l->scale, "an exponent for 32 columns is needed");
}

static void
look_at_bytes (CtLook *l)
{
  l->rows = l->codes->shape.dim[0];
  l->cols = l->codes->shape.dim[1];
  if (l->global == NULL && l->scale != NULL && qconv_is_exponent (l->scale))
    look_at_mx (l);
  else
    look_at_nvfp4 (l);
}

static void
look_at_float (CtLook *l)
{
  l->kind = qconv_is_exponent (l->scale) ? CT_MXFP8 : CT_FLOAT;
  l->bits = 8;
  l->group = l->kind == CT_MXFP8 ? MX_BLOCK : 0;
  if (l->zero != NULL && !qconv_is_exponent (l->scale))
    TROUBLE (l, QCONV_TROUBLE_FOREIGN, "zero", "FP8 codes with weight_zero_point are not supported");
  else if (!qconv_tensor_is_factors (l->scale) && l->kind == CT_FLOAT)
    misfit (l, l->scale, "F32, F16 or BF16 is needed");
  else
    check_values (l, l->scale, QCONV_SIGN_NOT_NEGATIVE);
}

static void
look_at_int (CtLook *l, const CtGroup *said)
{
  l->kind = CT_INT;
  l->bits = 8;
  l->rows = l->codes->shape.dim[0];
  l->cols = l->codes->shape.dim[1];
  if (!measure_groups (l, said))
    return;
  check_values (l, l->scale, QCONV_SIGN_NOT_NEGATIVE);
  if (l->zero != NULL && (l->zero->dtype != QCONV_I8 || qconv_tensor_items (l->zero) != qconv_tensor_items (l->scale)))
    misfit (l, l->zero, "I8 with as many items as weight_scale is needed");
}

/* ---- Layers ---- */

static gboolean
holds_codes (const QconvTensor *t)
{
  return t != NULL && (t->dtype == QCONV_F8_E4M3 || t->dtype == QCONV_F8_E5M2 || t->dtype == QCONV_I8);
}

static void
free_look (gpointer data)
{
  CtLook *l = data;

  g_free (l->layer);
  g_ptr_array_unref (l->troubles);
  g_free (l);
}

/* Returns whether no member is stored big-endian, which only a GGUF file could be. */
static gboolean
check_order (CtLook *l)
{
  const QconvTensor *const members[] = { l->codes, l->scale, l->global, l->zero, l->index, l->shape };

  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i] != NULL && members[i]->big_endian)
      {
        TROUBLE (l, QCONV_TROUBLE_FOREIGN, "byte-order", "%s is stored big-endian, which is not supported",
                 tail_of (l, members[i]));
        return FALSE;
      }
  return TRUE;
}

/* Looks at @layer (transfer full). */
static CtLook *
look_at (const QconvDirectory *d, char *layer, const CtConfig *config)
{
  const CtGroup *said = ct_config_group (config, layer);
  const QconvTensor *packed = qconv_directory_find2 (d, layer, ".weight_packed");
  CtLook *l = g_new0 (CtLook, 1);
  gboolean bytes;

  *l = (CtLook) { .layer = layer,
                  .codes = packed != NULL ? packed : qconv_directory_find2 (d, layer, ".weight"),
                  .scale = qconv_directory_find2 (d, layer, ".weight_scale"),
                  .global = qconv_directory_find2 (d, layer, ".weight_global_scale"),
                  .zero = qconv_directory_find2 (d, layer, ".weight_zero_point"),
                  .index = qconv_directory_find2 (d, layer, ".weight_g_idx"),
                  .shape = qconv_directory_find2 (d, layer, ".weight_shape"),
                  .input = qconv_directory_find2 (d, layer, ".input_scale"),
                  .input_global = qconv_directory_find2 (d, layer, ".input_global_scale"),
                  .input_zero = qconv_directory_find2 (d, layer, ".input_zero_point"),
                  .troubles = qconv_troubles_new () };
  if (!need (l, l->codes, "weight_packed") || !check_order (l))
    return l;
  if (packed != NULL && qconv_directory_find2 (d, layer, ".weight") != NULL)
    {
      BROKEN (l, "members", "it has both weight and weight_packed");
      return l;
    }
  bytes = packed != NULL && (packed->dtype == QCONV_U8 || packed->dtype == QCONV_F8_E8M0);
  if (qconv_tensor_items (l->codes) == 0
      || (l->codes->shape.rank != 2 && (packed != NULL || l->codes->dtype == QCONV_I8)))
    misfit (l, l->codes, "a matrix is needed");
  else if (packed != NULL && packed->dtype == QCONV_I32)
    look_at_packed (l, said);
  else if (bytes)
    look_at_bytes (l);
  else if (packed != NULL)
    misfit (l, packed, "I32 or U8 is needed");
  else if (!need (l, l->scale, "weight_scale"))
    return l;
  else if (l->codes->dtype == QCONV_I8)
    look_at_int (l, said);
  else
    look_at_float (l);
  return l;
}

/* Returns: (transfer full) (nullable): the layer, if @t is the first of its members: "weight_packed", or if there is
   none a member of the others that only a packed layer has, or, if the configuration is @ours, "weight_scale" beside
   codes. Layers of marlin-24 are left to the reader scaled, which names them. */
static char *
layer_of (const QconvDirectory *d, const QconvTensor *t, gboolean ours)
{
  static const char *const firsts[] = { ".weight_packed", ".weight_shape",      ".weight_global_scale",
                                        ".weight_g_idx",  ".weight_zero_point", ".weight_scale" };
  g_autofree char *layer = NULL;
  const QconvTensor *weight;
  guint i = 0;

  while (i < G_N_ELEMENTS (firsts) && !g_str_has_suffix (t->name, firsts[i]))
    i++;
  if (i == G_N_ELEMENTS (firsts))
    return NULL;
  layer = g_strndup (t->name, strlen (t->name) - strlen (firsts[i]));
  for (guint before = 0; before < i; before++)
    if (qconv_directory_find2 (d, layer, firsts[before]) != NULL)
      return NULL;
  weight = qconv_directory_find2 (d, layer, ".weight");
  if (qconv_directory_find2 (d, layer, ".scale_packed") != NULL || (i > 0 && weight != NULL && !holds_codes (weight))
      || (i + 1 == G_N_ELEMENTS (firsts) && (!ours || weight == NULL)))
    return NULL;
  return g_steal_pointer (&layer);
}

gboolean
ct_has_layers (const QconvDirectory *d)
{
  gboolean scales = FALSE;
  g_autoptr (CtConfig) config = NULL;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (g_str_has_suffix (t->name, ".weight_packed") && !qconv_dtype_is_float (t->dtype))
        return TRUE;
      scales |= g_str_has_suffix (t->name, ".weight_scale");
    }
  if (!scales)
    return FALSE;
  config = ct_config_read (d, NULL, NULL);
  return ct_config_ours (config);
}

GPtrArray *
ct_looks (const QconvDirectory *d, const CtConfig *config, gboolean ours, const QconvClaims *claims)
{
  GPtrArray *looks = g_ptr_array_new_with_free_func (free_look);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      char *layer = claims != NULL && qconv_claims_taken (claims, t) ? NULL : layer_of (d, t, ours);

      if (layer != NULL)
        g_ptr_array_add (looks, look_at (d, layer, config));
    }
  return looks;
}
