/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --input-scale none|VALUE|FILE: scales of layer inputs that somebody measured. */
#pragma once
#include "graph/model.h"

typedef struct _InputScales InputScales;

/* @text: (nullable): NULL is as "none". Returns: (transfer full) (nullable): NULL without error: none were asked for */
InputScales *qconv_input_scales_new (const char *text, GError **error);
void qconv_input_scales_free (InputScales *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (InputScales, qconv_input_scales_free)
/* The component that holds one */
#define QCONV_INPUT_SCALE "input_scale"
/* Whether there is one for @layer, which becomes @scheme, under its name or that of the layer that it is. A plain
   number is for layers that do not have their own (@has_own). QCONV_ERROR_OPTION: it was made for another scheme */
gboolean qconv_input_scales_find (InputScales *s, const SourceLayer *layer, const char *scheme, gboolean has_own,
                                  gboolean *found, float *value, GError **error);
/* QCONV_ERROR_OPTION for a key that none of @layers (SourceLayer) has */
gboolean qconv_input_scales_check (const InputScales *s, const GPtrArray *layers, GError **error);
