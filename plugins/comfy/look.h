/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One layer of a file, read and measured once. claim() and check() of the reader both start from it. */
#pragma once
#include "marker.h"
#include "members.h"

/* How block scales lie. UNKNOWN: nothing shows it */
typedef enum { COMFY_SCALES_UNKNOWN, COMFY_SCALES_TILES, COMFY_SCALES_PLAIN } ComfyScales;

/**
 * ComfyLook: one layer of a file, measured.
 *
 * @format: (nullable): NULL: it is not known, and only the weight has been looked for
 * @marker: (nullable): NULL: the layer has none
 * @size: as stored
 * @rows, @cols: of the weight before padding if they are known, else those of @size
 * @dtype: of the weight before it was quantized; BF16 if it is not known
 * @parameters: of the scheme, "key=value,…"
 * @judged: how block scales lie that have no marker and whose shape does not say it; comfy_judge_scales() sets it
 * @troubles: (element-type QconvTrouble): of the file, to which the look adds its own
 */
struct _ComfyLook {
  const char *layer;
  const ComfyFormat *format;
  JsonObject *marker;
  const QconvDirectory *directory;
  ComfyMembers members;
  ComfySize size;
  guint64 rows, cols;
  QconvDType dtype;
  GString *parameters;
  ComfyScales judged;
  GPtrArray *troubles;
};

/* Finds the tensors of @layer, measures it by its marker and their shapes, and checks all its members. @layer, @marker
   and @troubles must outlive the look. @format: (nullable), @marker: (nullable) */
ComfyLook *comfy_look_new (const QconvDirectory *d, const char *layer, const ComfyFormat *format, JsonObject *marker,
                           GPtrArray *troubles);
void comfy_look_free (ComfyLook *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ComfyLook, comfy_look_free)

/* Measure a layer; the table of formats names them as #ComfyFormat.measure. */
gboolean comfy_measure_matrix (ComfyLook *l);
gboolean comfy_measure_int8 (ComfyLook *l);
gboolean comfy_measure_squares (ComfyLook *l);
gboolean comfy_measure_w4a8 (ComfyLook *l);
gboolean comfy_measure_awq (ComfyLook *l);
gboolean comfy_measure_flat (ComfyLook *l);
