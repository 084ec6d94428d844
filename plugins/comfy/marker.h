/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Markers of quantized layers, which lie beside the weights and, as a copy, in the header. claim() and check() of the
   reader read all of them once. */
#pragma once
#include <json-glib/json-glib.h>

#include "format.h"

#define COMFY_MARKER ".comfy_quant"
#define COMFY_HEADER "_quantization_metadata"
/* Name, behind any prefix, of the marker of the older form. */
#define COMFY_OLD_MARKER "scaled_fp8"
#define COMFY_FULL_PRECISION "full_precision_matrix_mult"
#define COMFY_MAP "quant_map"
#define COMFY_MAP_SIZE 16
/* Most bytes that comfy_pack_marker() writes behind the planned text. */
#define COMFY_MAP_ROOM (COMFY_MAP_SIZE * 17 + 32)

/**
 * ComfyMarker: the marker of one layer.
 *
 * @layer: name of the weight without ".weight"
 * @json: an object
 * @blank: the marker's bytes are lost: it is empty or NUL
 * @tensor: (nullable): NULL: only the header has it
 * @format: (nullable): NULL: @name is not known here
 */
typedef struct {
  char *layer;
  JsonNode *json;
  gboolean blank;
  const QconvTensor *tensor;
  const ComfyFormat *format;
  const char *name;
} ComfyMarker;

/**
 * ComfyMarkers: all markers of a file.
 *
 * @list: (element-type ComfyMarker): in the order of the file
 * @named: layer -> ComfyMarker of @list
 * @idle: (element-type QconvTensor): markers of layers that are of the older form
 */
typedef struct {
  GPtrArray *list;
  GHashTable *named;
  GPtrArray *idle;
} ComfyMarkers;

/* Reads the markers beside the weights and those of the header. @options: (nullable): of the reader; NULL: defaults.
   Adds oddities to @troubles. */
ComfyMarkers *comfy_markers_read (const QconvDirectory *d, const QconvValues *options, GPtrArray *troubles);
void comfy_markers_free (ComfyMarkers *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ComfyMarkers, comfy_markers_free)

/* Returns: (transfer none) (nullable): @key of @marker or of its object "params". @marker: (nullable) */
JsonNode *comfy_marker_member (JsonObject *marker, const char *key);
/* Returns whether @node is one value of @type. */
gboolean comfy_node_is (JsonNode *node, GType type);
