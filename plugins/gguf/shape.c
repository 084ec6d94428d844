/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the shape that a tensor had before a converter stored it in another one. */
#include "shape.h"

#include <string.h>

#include "gguf-keys.h"
#include "value.h"

static gboolean
parse_shape (GVariant *value, QconvShape *shape)
{
  gsize n = g_variant_is_of_type (value, G_VARIANT_TYPE_ARRAY) ? g_variant_n_children (value) : 0;

  if (n == 0 || n > QCONV_MAX_RANK)
    return FALSE;
  *shape = (QconvShape) { .rank = (guint32) n };
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) item = g_variant_get_child_value (value, i);
      gint64 dim;

      if (!qconv_gguf_value_integer (item, &dim) || dim < 0)
        return FALSE;
      shape->dim[i] = (guint64) dim;
    }
  return TRUE;
}

/* Returns whether @t has trailing ones that the model does not know. stable-diffusion.cpp stores SDXL's projections of
   attention blocks as convolutions, and ComfyUI-GGUF drops the ones when it loads them. Such files have no metadata;
   the name of one tensor shows that the model is SDXL. */
static gboolean
is_padded_projection (const QconvDirectory *d, const QconvTensor *t)
{
  return t->shape.rank > 2 && t->shape.dim[t->shape.rank - 1] == 1
         && (g_str_has_suffix (t->name, ".proj_in.weight") || g_str_has_suffix (t->name, ".proj_out.weight"))
         && qconv_directory_metadata (d, GGUF_ARCHITECTURE) == NULL
         && (qconv_directory_find (d, "model.diffusion_model.label_emb.0.0.weight") != NULL
             || qconv_directory_find (d, "label_emb.0.0.weight") != NULL);
}

gboolean
qconv_gguf_true_shape (const QconvDirectory *d, const QconvTensor *t, QconvShape *shape, gboolean *known,
                       GError **error)
{
  g_autofree char *key = g_strconcat (GGUF_ORIG_SHAPE, t->name, NULL);
  GVariant *value = qconv_directory_metadata (d, key);
  guint64 items, stored;

  *shape = t->shape;
  *known = value != NULL || is_padded_projection (d, t);
  if (value == NULL)
    {
      while (*known && shape->rank > 2 && shape->dim[shape->rank - 1] == 1)
        shape->dim[--shape->rank] = 0;
      return TRUE;
    }
  if (!parse_shape (value, shape))
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\": its orig_shape is not a list of dimensions", t->name);
  if (!qconv_shape_items (shape, &items) || !qconv_shape_items (&t->shape, &stored) || items != stored)
    {
      g_autofree char *text = qconv_shape_to_string (shape);

      return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\": its orig_shape %s has another number of items",
                         t->name, text);
    }
  return TRUE;
}

void
qconv_gguf_check_shape_keys (const QconvDirectory *d, QconvClaims *claims)
{
  const char *const *keys = qconv_directory_metadata_keys (d);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_str_has_prefix (keys[i], GGUF_ORIG_SHAPE)
        && qconv_directory_find (d, keys[i] + strlen (GGUF_ORIG_SHAPE)) == NULL)
      qconv_claims_warn_each (claims, keys[i] + strlen (GGUF_ORIG_SHAPE), "orig-shape",
                              "orig_shape names this tensor, which does not exist");
}
