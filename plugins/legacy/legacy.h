/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scaled FP8 as ComfyUI had it before markers for each layer (comfy/utils.py convert_old_quants). */
#pragma once
#include "qconv-plugin.h"

#define LEGACY_HEADER "_quantization_metadata"
#define LEGACY_MARKER "scaled_fp8"
#define LEGACY_MARKER_INT8 "scaled_int8"
#define LEGACY_SCALE ".scale_weight"
#define LEGACY_INPUT ".scale_input"
#define LEGACY_FULL_PRECISION "full_precision_matrix_mult"
/* Items of a marker that ask for products in full precision; any other number does not */
#define LEGACY_FULL 2

/* Whether @t says that layers behind its prefix are scaled */
gboolean legacy_is_marker (const QconvTensor *t);
/* Returns: length of the prefix in the marker's name */
gsize legacy_prefix_length (const QconvTensor *marker);
/* Returns: (transfer full): of #QconvTensor */
GPtrArray *legacy_markers (const QconvDirectory *d);
/* Returns: (transfer none) (nullable): the marker with the longest prefix that @layer has */
const QconvTensor *legacy_find_marker (const GPtrArray *markers, const char *layer);

extern const QconvReader legacy_reader;
extern const QconvWriter legacy_writer;
