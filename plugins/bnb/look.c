/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Examines the tensors of one layer for the reader, which refuses layers that it cannot decode, and reports other
   problems when a file is verified. */
#include "bnb.h"

#include <string.h>

#include "finite.h"
#include "levels.h"
#include "tensor-kind.h"

#define TROUBLE(l, weight, word, ...) qconv_trouble_add ((l)->troubles, weight, (l)->layer->name, word, __VA_ARGS__)
#define BROKEN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_BROKEN, word, __VA_ARGS__)
#define FOREIGN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_FOREIGN, word, __VA_ARGS__)
#define NOTE(l, word, ...) TROUBLE (l, QCONV_TROUBLE_NOTE, word, __VA_ARGS__)

/* Returns whether @t is a list of @n items of @dtype. Records a problem if not. */
static gboolean
check_list (BnbLook *l, const QconvTensor *t, const char *suffix, QconvDType dtype, guint64 n)
{
  g_autofree char *shape = t != NULL ? qconv_shape_to_string (&t->shape) : NULL;

  if (t == NULL)
    BROKEN (l, "missing", "%s is missing", suffix + 1);
  else if (t->dtype != dtype)
    BROKEN (l, "dtype", "%s is %s where %s is needed", suffix + 1, qconv_dtype_name (t->dtype),
            qconv_dtype_name (dtype));
  else if (t->shape.rank != 1 || t->shape.dim[0] != n)
    BROKEN (l, "shape", "%s is %s where %" G_GUINT64_FORMAT " items are needed", suffix + 1, shape, n);
  else
    return TRUE;
  return FALSE;
}

/* Checks a list of @n scales and their signs. */
static void
check_scales (BnbLook *l, const QconvTensor *t, const char *suffix, guint64 n, QconvSign sign)
{
  if (check_list (l, t, suffix, QCONV_F32, n) && !qconv_tensor_is_finite (t, sign))
    NOTE (l, "scale-value", "%s holds %s", suffix + 1,
          sign == QCONV_SIGN_ANY ? "Inf or NaN" : "numbers that are NaN, infinite or negative");
}

/* Checks the tensor of codes. It may have any type, because only its bytes matter. */
static void
check_packed (BnbLook *l, guint64 n)
{
  const QconvShape *shape = &l->weight->shape;
  g_autofree char *text = qconv_shape_to_string (shape);
  gboolean column = shape->rank == 2 && shape->dim[1] == 1, row = shape->rank == 2 && shape->dim[0] == 1;
  gboolean list = shape->rank == 1, foreign = l->layer->spelling->low_first;

  if (l->weight->dtype == QCONV_OPAQUE || l->weight->dtype == QCONV_U4)
    BROKEN (l, "dtype", "weight is %s, which cannot hold codes", qconv_dtype_name (l->weight->dtype));
  else if (l->weight->n_bytes != n / 2 + n % 2)
    BROKEN (l, "shape",
            "weight has %" G_GUINT64_FORMAT " bytes where %" G_GUINT64_FORMAT " codes need %" G_GUINT64_FORMAT,
            l->weight->n_bytes, n, n / 2 + n % 2);
  else if (row && !column)
    FOREIGN (l, "packed-shape", "weight is %s, the transposed packing, which is not supported", text);
  else if (!column && !list)
    BROKEN (l, "packed-shape", "weight is %s where a column of bytes is needed", text);
  else if (!foreign && (row || !column))
    NOTE (l, "packed-shape", "weight is %s, which bitsandbytes does not read as a column", text);
}

/* Notes a table that differs from the standard one: the GPU kernels of bitsandbytes ignore the table of the file. */
static void
compare_map (BnbLook *l)
{
  const float *table = g_str_equal (l->state.type, "nf4") ? qconv_levels_nf4 : qconv_levels_fp4;
  guint32 bits[16];
  float map[16];

  if (g_str_equal (l->state.type, "af4") || l->map->dtype != QCONV_F32 || l->map->n_bytes != sizeof bits
      || !qconv_tensor_read (l->map, 0, sizeof bits, bits, NULL))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (map); i++)
    bits[i] = GUINT32_FROM_LE (bits[i]);
  memcpy (map, bits, sizeof map);
  for (guint i = 0; i < G_N_ELEMENTS (map); i++)
    if (!(map[i] >= table[i] && map[i] <= table[i]))
      l->strange_map = TRUE;
}

static void
check_nested (BnbLook *l, guint64 blocks)
{
  const BnbSpelling *s = l->layer->spelling;
  guint64 groups = blocks / BNB_NESTED_BLOCK + (blocks % BNB_NESTED_BLOCK != 0);

  if (!l->state.nested && (l->nested_absmax != NULL || l->nested_map != NULL))
    BROKEN (l, "quant-state", "its quant_state has no nested_blocksize, but the layer has %s",
            (l->nested_absmax != NULL ? s->nested_absmax : s->nested_map) + 1);
  if (!l->state.nested)
    {
      check_scales (l, l->absmax, s->absmax, blocks, QCONV_SIGN_NOT_NEGATIVE);
      return;
    }
  if (s->nested_absmax == NULL || g_str_equal (l->state.type, "af4"))
    {
      FOREIGN (l, "quant-state", "nested absmax is not supported for such layers");
      return;
    }
  check_list (l, l->absmax, s->absmax, QCONV_U8, blocks);
  check_scales (l, l->nested_absmax, s->nested_absmax, groups, QCONV_SIGN_NOT_NEGATIVE);
  check_scales (l, l->nested_map, s->nested_map, BNB_MAP, QCONV_SIGN_ANY);
}

static void
read_state (BnbLook *l)
{
  const BnbLayer *layer = l->layer;
  g_autoptr (GError) error = NULL;

  if (layer->n_states > 1)
    BROKEN (l, "quant-state", "it has %u quant_state tensors where one is needed", layer->n_states);
  else if (layer->state == NULL)
    BROKEN (l, "missing", "%s%s is missing", layer->spelling->state + 1,
            g_str_has_suffix (layer->spelling->state, "__") ? "*" : "");
  else if (!bnb_state_parse (&l->state, layer->state, &error))
    {
      TROUBLE (l, qconv_trouble_weight (error), "quant-state", "%s: %s", layer->state->name, error->message);
      l->state.type[0] = '\0';
    }
  else if (layer->type != NULL && !g_str_equal (layer->type, l->state.type))
    BROKEN (l, "quant-state", "its quant_state is named %.32s, but its quant_type is %s", layer->type, l->state.type);
}

static void
look_at_four_bits (BnbLook *l)
{
  const BnbSpelling *s = l->layer->spelling;
  guint64 n, blocks;

  read_state (l);
  if (l->state.type[0] == '\0')
    return;
  n = l->state.rows * l->state.cols;
  blocks = n / l->state.block + (n % l->state.block != 0);
  check_packed (l, n);
  check_scales (l, l->map, s->map, 16, QCONV_SIGN_ANY);
  if (l->map != NULL)
    compare_map (l);
  check_nested (l, blocks);
}

static void
look_at_eight_bits (BnbLook *l)
{
  guint8 format = 0;

  if (l->weight->dtype != QCONV_I8)
    BROKEN (l, "dtype", "weight is %s where I8 is needed", qconv_dtype_name (l->weight->dtype));
  else if (l->weight->shape.rank != 2 || qconv_tensor_items (l->weight) == 0)
    BROKEN (l, "shape", "weight is not a matrix");
  else
    check_scales (l, l->rows, l->layer->spelling->rows, l->weight->shape.dim[0], QCONV_SIGN_NOT_NEGATIVE);
  if (l->format == NULL)
    return;
  if (l->format->dtype != QCONV_U8 || l->format->n_bytes != 1 || !qconv_tensor_read (l->format, 0, 1, &format, NULL))
    BROKEN (l, "weight-format", "weight_format is not a single byte (U8)");
  else if (format != 0)
    FOREIGN (l, "weight-format", "weight_format %u, a tiling of older GPU kernels, is not supported", format);
}

void
bnb_look (BnbLook *look, const QconvDirectory *d, const BnbLayer *layer)
{
  const BnbSpelling *s = layer->spelling;

  *look = (BnbLook) { .layer = layer,
                      .weight = bnb_tensor (d, layer, ".weight"),
                      .absmax = bnb_tensor (d, layer, s->absmax),
                      .map = bnb_tensor (d, layer, s->map),
                      .nested_absmax = bnb_tensor (d, layer, s->nested_absmax),
                      .nested_map = bnb_tensor (d, layer, s->nested_map),
                      .rows = bnb_tensor (d, layer, s->rows),
                      .format = bnb_tensor (d, layer, ".weight_format") };
  look->troubles = qconv_troubles_new ();
  if (layer->mixed || (layer->four_bit && layer->eight_bit))
    BROKEN (look, "members", "it has tensors of two different formats");
  else if (look->weight == NULL)
    BROKEN (look, "missing", "weight is missing");
  else if (layer->eight_bit)
    look_at_eight_bits (look);
  else
    look_at_four_bits (look);
  if (s->foreign)
    NOTE (look, "names", "bitsandbytes does not look for the names of its tensors");
}

void
bnb_look_clear (BnbLook *look)
{
  g_clear_pointer (&look->troubles, g_ptr_array_unref);
}
