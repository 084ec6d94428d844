/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Examines the tensors of one layer for the reader (AutoAWQ: awq/modules/linear). */
#include "autoawq.h"
#include "trouble.h"

#define TROUBLE(l, weight, word, ...) qconv_trouble_add ((l)->troubles, weight, (l)->layer->name, word, __VA_ARGS__)
#define BROKEN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_BROKEN, word, __VA_ARGS__)
#define FOREIGN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_FOREIGN, word, __VA_ARGS__)
#define WARN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_WARN, word, __VA_ARGS__)

#define BITS 4

static gboolean
check_member (AutoawqLook *l, const QconvTensor *t, const char *what, gboolean words)
{
  g_autofree char *shape = t != NULL ? qconv_shape_to_string (&t->shape) : NULL;
  guint64 items = 0;

  if (t == NULL)
    BROKEN (l, "missing", "%s is missing", what);
  else if (words ? t->dtype != QCONV_I32 && t->dtype != QCONV_U32
                 : t->dtype != QCONV_F16 && t->dtype != QCONV_BF16 && t->dtype != QCONV_F32)
    BROKEN (l, "dtype", "%s is %s where %s is needed", what, qconv_dtype_name (t->dtype),
            words ? "I32" : "F16, BF16 or F32");
  else if (t->big_endian)
    FOREIGN (l, "byte-order", "%s is stored big-endian, which is not supported", what);
  else if (t->shape.rank != 2 || !qconv_shape_items (&t->shape, &items) || items == 0)
    BROKEN (l, "shape", "%s is %s where a matrix is needed", what, shape);
  else
    return TRUE;
  return FALSE;
}

/* Returns the words that hold the zero points of one row in the packing GEMV (awq/modules/linear/gemv.py
   calculate_zeros_width). */
static guint64
gemv_zero_words (guint64 cols, guint64 group)
{
  guint64 unit = group >= 128 ? 1 : group == 64 ? 2 : 4, groups = cols / group;
  guint64 words = groups / AUTOAWQ_WORD + (groups % AUTOAWQ_WORD != 0);

  return (words + unit - 1) / unit * unit;
}

/* Returns the columns of a group of the packing GEMV, or 0. Scales have room for more groups than there are, so the
   JSON says it; without it, the usual sizes are tried. */
static guint64
gemv_group (const AutoawqLook *l, gint64 said)
{
  const gint64 usual[] = { said < 0 ? (gint64) l->cols : said, 128, 64, 32 };

  for (guint i = 0; i < G_N_ELEMENTS (usual); i++)
    {
      guint64 group = (guint64) usual[i];

      if (usual[i] > 0 && (group >= 128 || group == 64 || group == 32) && l->cols % group == 0
          && gemv_zero_words (l->cols, group) == l->layer->qzeros->shape.dim[1])
        return group;
    }
  return 0;
}

/* Finds rows, columns and groups. Returns FALSE if the shapes do not fit. */
static gboolean
find_shape (AutoawqLook *l, gint64 said)
{
  const guint64 *w = l->layer->qweight->shape.dim, *z = l->layer->qzeros->shape.dim, *s = l->layer->scales->shape.dim;
  gboolean gemm = l->form == QWEIGHT_GEMM;

  l->rows = gemm ? s[1] : w[0];
  if (gemm ? w[1] != z[1] || s[1] / AUTOAWQ_WORD != w[1] || s[1] % AUTOAWQ_WORD != 0 || z[0] != s[0]
           : w[0] != z[0] || w[0] != s[0] || s[1] / AUTOAWQ_WORD != z[1] || s[1] % AUTOAWQ_WORD != 0
                 || w[1] > G_MAXINT32 / AUTOAWQ_WORD)
    return FALSE;
  l->cols = gemm ? w[0] : w[1] * AUTOAWQ_WORD;
  if (l->cols > G_MAXINT32)
    return FALSE;
  l->group = !gemm ? gemv_group (l, said) : l->cols % s[0] == 0 ? l->cols / s[0] : 0;
  return l->group != 0;
}

static void
look_at_shapes (AutoawqLook *l, const QuantConfig *config)
{
  g_autofree char *w = qconv_shape_to_string (&l->layer->qweight->shape);
  g_autofree char *z = qconv_shape_to_string (&l->layer->qzeros->shape);
  g_autofree char *s = qconv_shape_to_string (&l->layer->scales->shape);
  gint64 bits = BITS, group = 0;

  if (!quant_config_int (config->object, "bits", &bits))
    quant_config_int (config->object, "w_bit", &bits);
  if (!quant_config_int (config->object, "group_size", &group))
    quant_config_int (config->object, "q_group_size", &group);
  if (!find_shape (l, group))
    {
      BROKEN (l, "shape", "qweight %s, qzeros %s and scales %s do not fit each other in AutoAWQ's packing %s", w, z, s,
              l->form == QWEIGHT_GEMM ? "GEMM" : "GEMV");
      return;
    }
  if (bits != BITS)
    WARN (l, "bits", "%s says %" G_GINT64_FORMAT " bits, but the shapes say %d, which counts", config->file, bits,
          BITS);
  if (group != 0 && (group < 0 ? l->cols : (guint64) group) != l->group)
    WARN (l, "group-size",
          "%s says groups of %" G_GINT64_FORMAT " columns, but the shapes say %" G_GUINT64_FORMAT ", which counts",
          config->file, group, l->group);
}

void
autoawq_look (AutoawqLook *l, const QweightLayer *layer, QweightForm form, const QuantConfig *config)
{
  *l = (AutoawqLook) { .layer = layer, .form = form, .troubles = qconv_troubles_new () };
  if (form == QWEIGHT_FAST)
    FOREIGN (l, "packing",
             "it is packed for the kernel of AutoAWQ's gemv_fast or of llm-awq, which only that kernel reads; convert "
             "the model from its original weights, or save it in the packing gemm");
  else if (check_member (l, layer->qweight, "qweight", TRUE) && check_member (l, layer->qzeros, "qzeros", TRUE)
           && check_member (l, layer->scales, "scales", FALSE))
    look_at_shapes (l, config);
}

void
autoawq_look_clear (AutoawqLook *l)
{
  g_clear_pointer (&l->troubles, g_ptr_array_unref);
}
