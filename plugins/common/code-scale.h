/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the scheme that FP8 or INT8 codes and a scale beside them make, by their shapes alone. The readers comfy and
   legacy use it for layers without a marker. */
#pragma once
#include "qconv-reader.h"

/**
 * QconvCodeScale: the scheme that a weight and its scale make.
 *
 * @scheme: (nullable): NULL: no scheme fits the shapes
 * @component: that the scale is
 * @parameters: (nullable) (transfer full): of the scheme
 * @load: (nullable): load function of the component
 */
typedef struct {
  const char *scheme, *component;
  char *parameters;
  QconvLoadFunc load;
} QconvCodeScale;

/* Finds the scheme. One item scales the tensor, one item a row scales rows, and a grid that divides both axes by one
   number scales square blocks. @flat_rows: a scale [rows] of INT8 codes means rows, as it always does for FP8 */
void qconv_code_scale (const QconvTensor *weight, const QconvTensor *scale, gboolean flat_rows, QconvCodeScale *found);
void qconv_code_scale_clear (QconvCodeScale *found);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QconvCodeScale, qconv_code_scale_clear)
