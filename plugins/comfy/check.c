/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the tensors of one layer against ComfyUI's loader (comfy/ops.py _load_quantized_module). The loader itself
   checks few shapes; a wrong one shows as noise or as a failing product later. */
#include "check.h"

#include "finite.h"
#include "swizzle.h"
#include "trouble.h"

#define STRETCH 65536

static guint64
columns_of (const ComfySize *size)
{
  return size->cols / MAX (size->align, 1) + (size->cols % MAX (size->align, 1) != 0);
}

static void
check_swizzled (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  if (t->shape.rank == 2 && comfy_scales_swizzled (&l->size, t))
    return;
  qconv_trouble_add (l->troubles,
                     comfy_scales_swizzled (&l->size, t)
                         ? QCONV_TROUBLE_NOTE
                         : (comfy_scales_plain (&l->size, t) ? QCONV_TROUBLE_WARN : QCONV_TROUBLE_BROKEN),
                     l->layer, "scale-shape",
                     "%s is %s, but ComfyUI needs block scales in tiles, [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                     "]",
                     m->suffix + 1, shape, comfy_round_up (l->size.rows, COMFY_TILE_ROWS),
                     comfy_round_up (columns_of (&l->size), COMFY_TILE_COLS));
}

/* Notes a weight without padding, which kernels need. */
static void
check_padding (const ComfyLook *l)
{
  guint64 rows = l->size.rows, cols = l->size.cols;
  guint align = l->size.align;

  if (rows % align != 0 || cols % align != 0)
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_NOTE, l->layer, "padding",
                       "the weight is [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "], not padded to multiples of %u",
                       rows, cols, align);
}

static void
check_shape (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t)
{
  ComfyFit fit = comfy_form_fit (m->form, &l->size, t);
  QconvShape want = comfy_form_shape (m->form, &l->size);
  g_autofree char *have = qconv_shape_to_string (&t->shape), *wanted = qconv_shape_to_string (&want);

  if (m->form == COMFY_SWIZZLED)
    check_swizzled (l, m, t);
  else if (m == l->format->members && l->size.align != 0)
    check_padding (l);
  else if (fit != COMFY_FIT_GOOD)
    qconv_trouble_add (l->troubles,
                       fit == COMFY_FIT_NOT      ? QCONV_TROUBLE_BROKEN
                       : m->form == COMFY_COLUMN ? QCONV_TROUBLE_WARN
                                                 : QCONV_TROUBLE_NOTE,
                       l->layer, m == l->format->members ? "weight-shape" : "scale-shape",
                       "%s has the shape %s instead of %s", m->suffix + 1, have, wanted);
}

gboolean
comfy_is_odd_input (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t)
{
  return m->values == COMFY_FACTOR && l->size.align != 0 && comfy_form_fit (m->form, &l->size, t) == COMFY_FIT_NOT;
}

static void
check_member (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t)
{
  if (m->component == NULL)
    return;
  if (comfy_is_odd_input (l, m, t))
    {
      qconv_trouble_add (l->troubles, QCONV_TROUBLE_WARN, l->layer, "input-scale",
                         "%s is dropped: it is not one number", m->suffix + 1);
      return;
    }
  if ((m->readable & 1u << t->dtype) == 0)
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_BROKEN, l->layer, "dtype",
                       "%s is %s, a type that format %s does not have", m->suffix + 1, qconv_dtype_name (t->dtype),
                       l->format->name);
  else if ((m->good & 1u << t->dtype) == 0)
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_NOTE, l->layer, "dtype",
                       "%s is %s, which ComfyUI loads with another meaning", m->suffix + 1,
                       qconv_dtype_name (t->dtype));
  if (m->alias != NULL && g_str_has_suffix (t->name, m->alias))
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_WARN, l->layer, "name",
                       "%s is called %s, a name that ComfyUI does not know", m->suffix + 1, m->alias + 1);
  check_shape (l, m, t);
}

/* Notes a bias of the wrong length. A bias is not padded. */
static void
check_bias (const ComfyLook *l)
{
  const QconvTensor *bias = l->members.bias;
  guint64 rows = l->size.rows;

  if (bias != NULL
      && (bias->shape.rank != 1 || bias->shape.dim[0] > rows || rows - bias->shape.dim[0] >= MAX (l->size.align, 1)))
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_NOTE, l->layer, "bias-shape",
                       "the bias does not have one item for each of %" G_GUINT64_FORMAT " rows", rows);
}

/* Returns whether another row with the same suffix owns the tensor. */
static gboolean
is_elsewhere (const ComfyLook *l, const ComfyMember *m)
{
  for (const ComfyMember *same = l->format->members; same->suffix != NULL; same++)
    if (same != m && g_str_equal (same->suffix, m->suffix) && comfy_members_own (&l->members, same) != NULL)
      return TRUE;
  return FALSE;
}

void
comfy_check_members (const ComfyLook *l)
{
  gboolean told = FALSE;

  for (const ComfyMember *m = l->format->members; m->suffix != NULL; m++)
    {
      const QconvTensor *t = comfy_members_own (&l->members, m);

      if (t != NULL)
        check_member (l, m, t);
      else if (m->required && !told && !is_elsewhere (l, m))
        {
          qconv_trouble_add (l->troubles, QCONV_TROUBLE_BROKEN, l->layer, "missing", "%s%s is missing", l->layer,
                             m->suffix);
          told = TRUE;
        }
    }
  check_bias (l);
}

/* Returns how many bytes of @t are NaN or, unless they are @exponents, negative E4M3; -1 if reading fails. */
static gint64
count_wrong (const QconvTensor *t, gboolean exponents)
{
  g_autofree guint8 *bytes = g_malloc (STRETCH);
  guint8 first = exponents ? 0xff : 0x7f;
  gint64 wrong = 0;

  for (guint64 at = 0; at < t->n_bytes; at += STRETCH)
    {
      gsize n = MIN (t->n_bytes - at, STRETCH);

      if (!qconv_tensor_read (t, at, n, bytes, NULL))
        return -1;
      for (gsize i = 0; i < n; i++)
        wrong += bytes[i] >= first;
    }
  return wrong;
}

static void
check_numbers (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t)
{
  static const QconvSign signs[] = { [COMFY_NUMBERS] = QCONV_SIGN_ANY,
                                     [COMFY_SCALE] = QCONV_SIGN_NOT_NEGATIVE,
                                     [COMFY_FACTOR] = QCONV_SIGN_POSITIVE,
                                     [COMFY_EXPONENTS] = QCONV_SIGN_ANY };
  gint64 wrong = 0;

  if (qconv_dtype_is_float (t->dtype))
    {
      if (!qconv_tensor_is_finite (t, signs[m->values]))
        qconv_trouble_add (l->troubles, QCONV_TROUBLE_NOTE, l->layer, "scale-value", "%s holds an invalid scale",
                           m->suffix + 1);
      return;
    }
  wrong = count_wrong (t, m->values == COMFY_EXPONENTS);
  if (wrong != 0)
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_NOTE, l->layer, "scale-value",
                       wrong < 0 ? "the block scales cannot be read" : "block scales are NaN or negative");
}

void
comfy_check_numbers (const ComfyLook *l)
{
  for (const ComfyMember *m = l->format->members; m->suffix != NULL; m++)
    {
      const QconvTensor *t = comfy_members_own (&l->members, m);

      if (t != NULL && m->values != COMFY_CODES && !comfy_is_odd_input (l, m, t))
        check_numbers (l, m, t);
    }
}
