/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ComfyUI's quantized checkpoints: what the files of this plugin share. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv-plugin.h"
#include "swizzle.h"
#include "trouble.h"

#define COMFY_MARKER ".comfy_quant"
#define COMFY_HEADER "_quantization_metadata"

/* Shapes that a loader wants of a scale. ROWS is [N], ONE_OR_ROWS one item or [N, 1] */
typedef enum { COMFY_ANY, COMFY_ONE, COMFY_ROWS, COMFY_ONE_OR_ROWS, COMFY_SWIZZLED } ComfyForm;

/**
 * ComfyMember: one tensor of a layer.
 * @good: 1 << dtype of what the loader takes as it is meant
 * @readable: what this plugin can take
 */
typedef struct {
  const char *suffix, *component;
  guint32 good, readable;
  ComfyForm form;
  gboolean required;
} ComfyMember;

/**
 * ComfyFormat: one value of "format" in a marker.
 * @per_item: columns in one item of the weight
 * @block: columns that share a block scale, and the multiple to which both axes are padded; 0: no padding
 * @members: the weight first; ends with { NULL }
 */
typedef struct {
  const char *name, *scheme;
  guint per_item, block;
  const ComfyMember *members;
} ComfyFormat;

/* Returns: (nullable): NULL for a name that no loader knows */
const ComfyFormat *comfy_format_find (const char *name);
extern const ComfyFormat *const comfy_nvfp4;

/**
 * ComfyMarker: what the file says of one layer.
 * @layer: name of the weight without ".weight"
 * @tensor: (nullable): NULL where only the header speaks
 * @format: (nullable): NULL: one that is not known here, see @name
 */
typedef struct {
  char *layer;
  JsonNode *json;
  const QconvTensor *tensor;
  const ComfyFormat *format;
  const char *name;
} ComfyMarker;

typedef struct {
  GPtrArray *list;   /* ComfyMarker, in the order of the file */
  GHashTable *named; /* layer -> ComfyMarker, of list */
} ComfyMarkers;

/* In-file markers with the header's laid over them. What is odd goes to @troubles */
ComfyMarkers *comfy_markers_read (const QconvDirectory *d, GPtrArray *troubles);
void comfy_markers_free (ComfyMarkers *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ComfyMarkers, comfy_markers_free)

/* Looks at the members of one layer. @format: (nullable): only the weight has to be there */
void comfy_check_layer (const QconvDirectory *d, const char *layer, const ComfyFormat *format, GPtrArray *troubles);

/* Whether @scale is that of codes which need it */
gboolean comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale);
/* Claims codes that have a scale and no layer yet */
void comfy_claim_scaled (const QconvDirectory *d, QconvClaims *claims, GPtrArray *troubles);

/* Whether the memory-mapped loader has a name for it (ComfyUI: comfy/utils.py _TYPES) */
gboolean comfy_knows_dtype (QconvDType dtype);
/* Reads the scales of an nvfp4 layer */
void comfy_check_numbers (const QconvDirectory *d, const char *layer, GPtrArray *troubles);
/* Whether the shape of @scale is that of tiles, or of plain rows of @blocks scales; both can be */
gboolean comfy_scales_swizzled (const QconvTensor *weight, const QconvTensor *scale, guint64 blocks);
gboolean comfy_scales_plain (const QconvTensor *weight, const QconvTensor *scale, guint64 blocks);

/* Appends @node as Python's json.dumps() spaces it */
void comfy_append_json (GString *out, JsonNode *node);

/* "high": the even column in the high nibble */
gboolean comfy_load_codes_high (const QconvLoad *load, GError **error);
gboolean comfy_load_codes_low (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_swizzled (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_plain (const QconvLoad *load, GError **error);
gboolean comfy_pack_codes_high (const QconvPack *pack, GError **error);
gboolean comfy_pack_scales_swizzled (const QconvPack *pack, GError **error);

extern const QconvReader comfy_reader;
extern const QconvWriter comfy_writer;
