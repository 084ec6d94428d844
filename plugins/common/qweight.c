/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds layers of GPTQ and AutoAWQ by the names of their tensors, tells them apart, and loads their scales. */
#include "qweight.h"

#include <string.h>

#include "qconv-numbers.h"
#include "trouble.h"

static void
free_layer (gpointer data)
{
  QweightLayer *l = data;

  g_free (l->name);
  g_free (l);
}

/* Returns the place of @t in a layer, or NULL if its name is none of the four. */
static const QconvTensor **
place_of (QweightLayer *l, const char *last)
{
  return g_str_equal (last, "qweight")  ? &l->qweight
         : g_str_equal (last, "qzeros") ? &l->qzeros
         : g_str_equal (last, "scales") ? &l->scales
         : g_str_equal (last, "g_idx")  ? &l->g_idx
                                        : NULL;
}

static QweightLayer *
find_layer (GHashTable *named, GPtrArray *list, const char *name, gsize n)
{
  g_autofree char *key = g_strndup (name, n);
  QweightLayer *l = g_hash_table_lookup (named, key);

  if (l != NULL)
    return l;
  l = g_new0 (QweightLayer, 1);
  l->name = g_steal_pointer (&key);
  g_ptr_array_add (list, l);
  g_hash_table_insert (named, l->name, l);
  return l;
}

GPtrArray *
qweight_layers (const QconvDirectory *d)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new ();
  g_autoptr (GHashTable) named = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *layers = g_ptr_array_new_with_free_func (free_layer);
  QweightLayer any;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const char *dot = strrchr (t->name, '.');

      if (dot != NULL && place_of (&any, dot + 1) != NULL)
        *place_of (find_layer (named, list, t->name, (gsize) (dot - t->name)), dot + 1) = t;
    }
  for (guint i = 0; i < list->len; i++)
    {
      QweightLayer *l = g_ptr_array_index (list, i);

      /* One alone is another format's: nunchaku has qweight, MLX has scales */
      if ((l->qweight != NULL) + (l->qzeros != NULL) + (l->scales != NULL) + (l->g_idx != NULL) > 1)
        g_ptr_array_add (layers, l);
      else
        free_layer (l);
    }
  return layers;
}

gboolean
qweight_taken (const QweightLayer *l, const QconvClaims *claims)
{
  const QconvTensor *const all[] = { l->qweight, l->qzeros, l->scales, l->g_idx };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if (all[i] != NULL && qconv_claims_taken (claims, all[i]))
      return TRUE;
  return FALSE;
}

/* ---- Packing ---- */

static const char *
first_string (GVariant *config, const char *const *keys)
{
  const char *value = NULL;

  for (; value == NULL && *keys != NULL; keys++)
    value = quant_config_string (config, *keys);
  return value != NULL ? value : "";
}

const char *
qweight_method (GVariant *config)
{
  return first_string (config, (const char *const[]) { "quant_method", "method", NULL });
}

const char *
qweight_format (GVariant *config)
{
  return first_string (config, (const char *const[]) { "checkpoint_format", "format", "version", NULL });
}

/* Returns the packing that @config names, or @otherwise. AutoGPTQ names no method, but has members of its own. */
static QweightForm
form_of_config (GVariant *config, QweightForm otherwise)
{
  const char *method = qweight_method (config), *format = qweight_format (config);
  gboolean flag = FALSE;

  if (g_ascii_strcasecmp (method, "gptq") == 0 || g_ascii_strncasecmp (format, "gptq", strlen ("gptq")) == 0)
    return QWEIGHT_GPTQ;
  if (g_ascii_strcasecmp (format, "gemv") == 0)
    return QWEIGHT_GEMV;
  if (g_ascii_strcasecmp (format, "gemm") == 0 || g_ascii_strcasecmp (method, "awq") == 0)
    return QWEIGHT_GEMM;
  return quant_config_bool (config, "sym", &flag) || quant_config_bool (config, "desc_act", &flag) ? QWEIGHT_GPTQ
                                                                                                   : otherwise;
}

static gboolean
is_eight_times (guint64 large, guint64 small)
{
  return large % 8 == 0 && large / 8 == small;
}

QweightForm
qweight_form (const QweightLayer *l, GVariant *config)
{
  const guint64 *w, *z, *s;
  gboolean fits[3];
  QweightForm said, found;

  if (l->g_idx != NULL)
    return QWEIGHT_GPTQ;
  if (l->qzeros != NULL && qconv_dtype_is_float (l->qzeros->dtype))
    return QWEIGHT_FAST;
  if (l->qweight == NULL || l->qzeros == NULL || l->scales == NULL || l->qweight->shape.rank != 2
      || l->qzeros->shape.rank != 2 || l->scales->shape.rank != 2)
    return form_of_config (config, QWEIGHT_GPTQ);
  w = l->qweight->shape.dim;
  z = l->qzeros->shape.dim;
  s = l->scales->shape.dim;
  fits[QWEIGHT_GPTQ] = w[1] == s[1] && z[0] == s[0];
  fits[QWEIGHT_GEMM] = is_eight_times (s[1], w[1]) && z[1] == w[1] && z[0] == s[0];
  fits[QWEIGHT_GEMV] = w[0] == s[0] && z[0] == s[0] && is_eight_times (s[1], z[1]);
  /* Words of GPTQ fit GEMV, too, if its groups have 8 columns, which nobody uses */
  found = fits[QWEIGHT_GEMM] ? QWEIGHT_GEMM : fits[QWEIGHT_GEMV] ? QWEIGHT_GEMV : QWEIGHT_GPTQ;
  said = form_of_config (config, found);
  return fits[said] || !fits[found] ? said : found;
}

void
qweight_refuse_tiling (const QuantConfig *config, GPtrArray *troubles)
{
  static const char *const tiled[] = { "marlin", "bitblas", "qqq", "exl2", "exl3", "exllama", "paroquant" };
  const char *format = qweight_format (config->object), *method = qweight_method (config->object);
  gboolean marlin = FALSE;

  quant_config_bool (config->object, "is_marlin_format", &marlin);
  for (guint i = 0; i < G_N_ELEMENTS (tiled); i++)
    if (g_ascii_strcasecmp (format, tiled[i]) == 0 || g_ascii_strcasecmp (method, tiled[i]) == 0 || (marlin && i == 0))
      {
        qconv_trouble_add (troubles, QCONV_TROUBLE_FOREIGN, NULL, "tiling",
                           "%s says that its weights are of the form %s, which only its own kernel reads; convert the "
                           "model from its original weights, or save it as gptq_v2 with GPTQModel",
                           config->file, tiled[i]);
        return;
      }
}

/* ---- Loading ---- */

gboolean
qweight_read_block (const QconvTensor *t, guint64 stride, guint64 row, guint64 n_rows, guint64 first, gsize n,
                    gpointer dst, GError **error)
{
  if (n == stride)
    return qconv_tensor_read (t, row * stride, (gsize) (n_rows * stride), dst, error);
  for (guint64 i = 0; i < n_rows; i++)
    if (!qconv_tensor_read (t, (row + i) * stride + first, n, (guint8 *) dst + i * n, error))
      return FALSE;
  return TRUE;
}

/* Columns that are read at once */
#define SCALES (QWEIGHT_SCRATCH / 8)

gboolean
qweight_load_scales (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 groups = load->component->shape.dim[1], stored = t->shape.dim[1];
  gsize item = qconv_dtype_bits (t->dtype) / 8, most = (gsize) MIN (load->n, SCALES);
  g_autofree guint8 *raw = g_malloc (most * item);
  g_autofree float *wide = g_new (float, most);

  for (guint64 group = 0; group < groups; group++)
    for (guint64 at = 0; at < load->n; at += most)
      {
        gsize n = (gsize) MIN (load->n - at, most);
        float *dst = (float *) load->dst + at * groups + group;

        if (!qconv_tensor_read (t, (group * stored + load->first + at) * item, n * item, raw, error))
          return FALSE;
        if (!qconv_floats_from (t->dtype, raw, n, wide))
          return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\" is no scale", t->name);
        for (gsize i = 0; i < n; i++)
          dst[i * groups] = wide[i];
      }
  return TRUE;
}
