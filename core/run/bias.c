/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the bias of a layer as floats. convert-layers.c calls it before the layer is encoded. */
#include "run/bias.h"

#include <string.h>

#include "base/error.h"
#include "layer/load.h"

gboolean
qconv_load_bias (const PlannedLayer *l, const Components *made, Arena *kept, GError **error)
{
  const SourceLayer *s = l->bias;
  g_autoptr (Components) source = NULL;
  Rows rows = { .arena = kept };
  QconvBuffer floats;

  if (s == NULL)
    return TRUE;
  source = qconv_components_new_source (s);
  rows.n = s->layer->pub.rows;
  if (!qconv_components_load (s, source, SCOPE_LAYER, &rows, error)
      || !qconv_floats_load (s, source, &rows, FALSE, &floats, error) || !qconv_floats_check (&floats, NULL, error))
    {
      qconv_error_name_layer (error, s->name);
      return FALSE;
    }
  memcpy (made->buffers[qconv_layer_component_index (&l->layer->pub, QCONV_BIAS)].data, floats.data, floats.size);
  return TRUE;
}
