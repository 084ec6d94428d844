/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A component has a type that does not exist. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_components_dtype

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvComponent codes
      = { .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (layer->rows, layer->cols), .run = QCONV_ROWWISE };
  const QconvComponent scale
      = { .name = "scale", .dtype = (QconvDType) 99, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE };

  qconv_components_add (out, &codes);
  qconv_components_add (out, &scale);
  return TRUE;
}

#define BROKEN_COMPONENTS list_components
#include "broken.h"
