/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the length of a bias with the rows of its weight. model.c, plan.c and verify.c call it. */
#include "graph/odd-bias.h"

#include <string.h>

#include "base/names.h"

const SourceLayer *
qconv_odd_bias (const QconvModel *m, const SourceLayer *s, gboolean encoded)
{
  const QconvShape *shape = &s->layer->pub.shape, *length;
  g_autofree char *name = NULL;
  const SourceLayer *bias;

  /* The rows of a transposed convolution are its inputs; a matrix is a linear layer */
  if (s->parts != NULL || shape->rank != 2 || !qconv_source_layer_plain (s) || !qconv_is_weight_name (s->plain_name))
    return NULL;
  name = qconv_bias_name (s->plain_name);
  bias = qconv_model_find_tensor (m, name);
  if (bias == NULL)
    return NULL;
  length = &bias->layer->pub.shape;
  /* A norm over two axes has a bias of its shape */
  return (length->rank == 1 && (length->dim[0] == shape->dim[0] || (!encoded && length->dim[0] == shape->dim[1])))
                 || qconv_shape_equal (length, shape)
             ? NULL
             : bias;
}

char *
qconv_odd_bias_text (const SourceLayer *bias, const SourceLayer *s)
{
  g_autofree char *shape = qconv_shape_to_string (&bias->layer->pub.shape);

  return g_strdup_printf ("\"%s\" has the shape %s, but its weight has %" G_GUINT64_FORMAT " rows", bias->plain_name,
                          shape, s->layer->pub.shape.dim[0]);
}
