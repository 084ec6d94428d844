/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the layers and tells their form and sizes by types and shapes. */
#include <string.h>

#include "finite.h"
#include "fp8-claim.h"
#include "modelopt.h"
#include "tensor-kind.h"

#define NVFP4_BLOCK 16
#define MX_BLOCK 32

#define TROUBLE(l, weight, word, ...) qconv_trouble_add ((l)->troubles, weight, (l)->layer, word, __VA_ARGS__)

/* Records that @t has a shape or type that does not fit. */
static void
misfit (MoLook *l, const QconvTensor *t, const char *needed)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  TROUBLE (l, QCONV_TROUBLE_BROKEN, "shape", "%s is %s %s where %s", t->name + strlen (l->layer) + 1,
           qconv_dtype_name (t->dtype), shape, needed);
}

/* Checks that @t (nullable) holds @n numbers, and a single one that it is finite and has @sign. */
static void
check_numbers (MoLook *l, const QconvTensor *t, guint64 n, QconvSign sign, const char *needed)
{
  if (t == NULL)
    return;
  if (!qconv_tensor_is_factors (t) || qconv_tensor_items (t) != n)
    misfit (l, t, needed);
  else if (n == 1 && !qconv_tensor_is_finite (t, sign))
    TROUBLE (l, QCONV_TROUBLE_NON_FINITE, "scale-value", "%s is not a valid number", t->name + strlen (l->layer) + 1);
}

static void
look_at_nvfp4 (MoLook *l)
{
  l->kind = MO_NVFP4;
  l->cols *= 2;
  l->group = NVFP4_BLOCK;
  if (l->second == NULL)
    TROUBLE (l, QCONV_TROUBLE_BROKEN, "missing", "weight_scale_2 is missing");
  else if (l->cols % NVFP4_BLOCK != 0 || !qconv_tensor_is_matrix (l->scale, l->rows, l->cols / NVFP4_BLOCK))
    misfit (l, l->scale, "F8_E4M3 for 16 columns is needed");
  check_numbers (l, l->second, 1, QCONV_SIGN_NOT_NEGATIVE, "one F32 is needed");
}

static void
look_at_mxfp4 (MoLook *l)
{
  l->kind = MO_MXFP4;
  l->cols *= 2;
  l->group = MX_BLOCK;
  if (l->cols % MX_BLOCK != 0 || qconv_tensor_items (l->scale) / l->rows != l->cols / MX_BLOCK
      || qconv_tensor_items (l->scale) % l->rows != 0)
    misfit (l, l->scale, "an exponent for 32 columns is needed");
  else if (l->pre != NULL)
    TROUBLE (l, QCONV_TROUBLE_FOREIGN, "members", "MXFP4 codes with pre_quant_scale are not supported");
}

/* Looks at codes of which two rows share a byte. */
static void
look_at_int4 (MoLook *l)
{
  const QconvShape *s = &l->scale->shape;

  l->kind = MO_INT4;
  l->rows *= 2;
  if (l->second != NULL)
    TROUBLE (l, QCONV_TROUBLE_FOREIGN, "second-scale", "INT4 codes with weight_scale_2 (W4A8) are not supported");
  else if (s->rank != 2 || s->dim[0] != l->rows || s->dim[1] == 0 || l->cols % s->dim[1] != 0)
    misfit (l, l->scale, "a number for each group of columns is needed");
  else
    l->group = l->cols / s->dim[1];
}

static void
look_at_bytes (MoLook *l)
{
  if (l->codes->shape.rank != 2)
    {
      TROUBLE (l, QCONV_TROUBLE_FOREIGN, "shape", "4-bit weights of %u dimensions are not supported",
               l->codes->shape.rank);
      return;
    }
  l->rows = l->codes->shape.dim[0];
  l->cols = l->codes->shape.dim[1];
  if (l->scale->dtype == QCONV_F8_E4M3)
    look_at_nvfp4 (l);
  else if (qconv_is_exponent (l->scale))
    look_at_mxfp4 (l);
  else if (qconv_tensor_is_factors (l->scale))
    look_at_int4 (l);
  else
    misfit (l, l->scale, "F8_E4M3, U8 or F32 is needed");
  if (l->troubles->len == 0)
    check_numbers (l, l->pre, l->cols, QCONV_SIGN_ANY, "a number for each column is needed");
}

static void
look_at_fp8 (MoLook *l)
{
  l->kind = qconv_is_exponent (l->scale) ? MO_MXFP8 : MO_FP8;
  l->group = l->kind == MO_MXFP8 ? MX_BLOCK : 0;
  if (l->kind == MO_FP8 && !qconv_tensor_is_factors (l->scale))
    misfit (l, l->scale, "F32, F16 or BF16 is needed");
  else if (l->pre != NULL || l->second != NULL)
    TROUBLE (l, QCONV_TROUBLE_FOREIGN, "members", "FP8 codes with %s are not supported",
             l->pre != NULL ? "pre_quant_scale" : "weight_scale_2");
  else if (l->kind == MO_FP8 && qconv_tensor_items (l->scale) == 1)
    check_numbers (l, l->scale, 1, QCONV_SIGN_NOT_NEGATIVE, "one F32 is needed");
}

static void
free_look (gpointer data)
{
  MoLook *l = data;

  g_free (l->layer);
  g_ptr_array_unref (l->troubles);
  g_free (l);
}

/* Looks at @layer (transfer full). */
static MoLook *
look_at (const QconvDirectory *d, char *layer)
{
  MoLook *l = g_new0 (MoLook, 1);

  *l = (MoLook) { .layer = layer,
                  .codes = qconv_directory_find2 (d, layer, ".weight"),
                  .scale = qconv_directory_find2 (d, layer, ".weight_scale"),
                  .second = qconv_directory_find2 (d, layer, ".weight_scale_2"),
                  .pre = qconv_directory_find2 (d, layer, ".pre_quant_scale"),
                  .input = qconv_directory_find2 (d, layer, ".input_scale"),
                  .troubles = qconv_troubles_new () };
  if (l->codes == NULL || l->scale == NULL)
    TROUBLE (l, QCONV_TROUBLE_BROKEN, "missing", "%s is missing", l->codes == NULL ? "weight" : "weight_scale");
  else if (qconv_tensor_items (l->codes) == 0 || qconv_tensor_items (l->scale) == 0)
    misfit (l, qconv_tensor_items (l->codes) == 0 ? l->codes : l->scale, "items are needed");
  else if (qconv_directory_find2 (d, layer, ".svdquant_lora_a") != NULL)
    TROUBLE (l, QCONV_TROUBLE_FOREIGN, "svdquant", "NVFP4_SVD, codes beside a low-rank product, is not supported");
  else if (qconv_tensor_is_fp8 (l->codes))
    look_at_fp8 (l);
  else
    look_at_bytes (l);
  if (l->troubles->len == 0)
    check_numbers (l, l->input, 1, QCONV_SIGN_POSITIVE, "one F32 is needed");
  return l;
}

/* Returns: (transfer full) (nullable): the layer, if @t is the first of its members. */
static char *
layer_of (const QconvDirectory *d, const QconvTensor *t)
{
  static const char *const firsts[] = { ".weight_scale", ".weight_scale_2", ".pre_quant_scale" };
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
  if (weight != NULL && !qconv_tensor_is_fp8 (weight) && weight->dtype != QCONV_U8)
    return NULL;
  return g_steal_pointer (&layer);
}

gboolean
mo_has_layers (const QconvDirectory *d)
{
  gboolean scales = FALSE;
  g_autoptr (MoConfig) config = NULL;

  for (guint i = 0; i < qconv_directory_n_tensors (d) && !scales; i++)
    scales = g_str_has_suffix (qconv_directory_tensor (d, i)->name, ".weight_scale");
  if (!scales)
    return FALSE;
  config = mo_config_read (d, NULL, NULL);
  return mo_config_ours (config);
}

GPtrArray *
mo_looks (const QconvDirectory *d, const QconvClaims *claims)
{
  GPtrArray *looks = g_ptr_array_new_with_free_func (free_look);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      char *layer = claims != NULL && qconv_claims_taken (claims, t) ? NULL : layer_of (d, t);

      if (layer != NULL)
        g_ptr_array_add (looks, look_at (d, layer));
    }
  return looks;
}
