/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --input-scale none|VALUE|FILE: finds the measured scales of layer inputs. The plan calls it. */
#pragma once
#include "graph/model.h"

typedef struct _InputScales InputScales;

/* Reads "none", a number for all layers, or a file. @text: (nullable): NULL means "none".
   Returns: (transfer full): NULL without error for "none" */
InputScales *qconv_input_scales_new (const char *text, GError **error);
void qconv_input_scales_free (InputScales *s);
/* Appends to @paths (element-type utf8) the files that were read */
void qconv_input_scales_list_files (const InputScales *s, GPtrArray *paths);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (InputScales, qconv_input_scales_free)
/* The component that holds the scale of a layer's input */
#define QCONV_INPUT_SCALE "input_scale"
/* @found: the layer has a scale; @for_all: it is the one number for all layers */
typedef struct {
  gboolean found, for_all;
  float value;
} InputScale;
/* Finds the scale for @layer, which becomes @scheme, under its name or that of the claimed layer of which it is a
   renamed copy. QCONV_ERROR_OPTION: the scale was made for another scheme */
gboolean qconv_input_scales_find (InputScales *s, const SourceLayer *layer, const char *scheme, InputScale *scale,
                                  GError **error);
/* Fails with QCONV_ERROR_OPTION if a scale was given for a name that none of @layers (element-type SourceLayer) has */
gboolean qconv_input_scales_check (const InputScales *s, const GPtrArray *layers, GError **error);
