/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FP8 and INT8 codes beside floats that no marker explains: what the shapes alone say. */
#pragma once
#include "qconv-reader.h"

/**
 * QconvCodeScale: which scheme a weight and its scale make.
 * @scheme: (nullable): NULL: their shapes do not tell
 * @component: of the scale
 * @parameters: (nullable) (transfer full)
 * @load: (nullable): of the component
 */
typedef struct {
  const char *scheme, *component;
  char *parameters;
  QconvLoadFunc load;
} QconvCodeScale;

/* One item
   scales the tensor, one a row the rows, and a grid whose steps divide both axes alike square blocks. @flat_rows:
   whether [rows] means rows where the codes are INT8, too */
void qconv_code_scale (const QconvTensor *weight, const QconvTensor *scale, gboolean flat_rows, QconvCodeScale *found);
void qconv_code_scale_clear (QconvCodeScale *found);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QconvCodeScale, qconv_code_scale_clear)
