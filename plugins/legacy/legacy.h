/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and markers of scaled FP8 as ComfyUI had it before each layer carried a marker (ComfyUI: comfy/utils.py
   convert_old_quants). Reader and writer share them. */
#pragma once
#include "qconv-plugin.h"

#define LEGACY_HEADER "_quantization_metadata"
#define LEGACY_MARKER "scaled_fp8"
#define LEGACY_MARKER_INT8 "scaled_int8"
#define LEGACY_SCALE ".scale_weight"
#define LEGACY_INPUT ".scale_input"
#define LEGACY_FULL_PRECISION "full_precision_matrix_mult"
/* Number of items of a marker that asks for products in full precision. */
#define LEGACY_FULL 2

/* Returns whether @t is a marker, which means that all layers with its prefix are scaled. */
gboolean legacy_is_marker (const QconvTensor *t);
/* Returns the length of the prefix in the marker's name. */
gsize legacy_prefix_length (const QconvTensor *marker);
/* Returns: (transfer none) (nullable): of the markers of @d whose prefix @layer has, the one with the longest. */
const QconvTensor *legacy_find_marker (const QconvDirectory *d, const char *layer);

extern const QconvReader legacy_reader;
extern const QconvWriter legacy_writer;
