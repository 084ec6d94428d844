/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks the golden files of ComfyUI's formats layer by layer, for the tests of quantizers. */
#pragma once
#include "golden-file.h"
#include "qconv-types.h"

/**
 * ComfyGolden: one stored layer and its source.
 *
 * @format, @variant: the file's name up to the dot, and behind it: "w4a8_g16_r16", "kmin"
 * @layer: "bf16.A": the type of the source and its maker
 * @source: [rows, cols] of @dtype
 * @informative: the file marks the bytes as informative: tests decode them but do not compare encoded bytes
 */
typedef struct {
  const GoldenFile *file;
  char *format, *variant, *layer;
  QconvDType dtype;
  const GoldenTensor *source;
  guint64 rows, cols;
  gboolean informative;
} ComfyGolden;

/* Returns: (transfer none) (nullable): tensor @suffix of the layer: "weight_scale" */
const GoldenTensor *comfy_golden_tensor (const ComfyGolden *g, const char *suffix);

/* Calls @check for each layer of @mode ("A") in files comfy/@prefix*. Returns the number of layers */
guint comfy_golden_each (const char *prefix, const char *mode, void (*check) (const ComfyGolden *g));
