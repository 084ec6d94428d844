/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ComfyUI's quantized checkpoints: what the files of this plugin share. */
#pragma once
#include <json-glib/json-glib.h>

#include "qconv-plugin.h"
#include "swizzle.h"
#include "trouble.h"

#define COMFY_MARKER ".comfy_quant"
#define COMFY_HEADER "_quantization_metadata"
/* Behind any prefix, of the older form */
#define COMFY_OLD_MARKER "scaled_fp8"
#define COMFY_FULL_PRECISION "full_precision_matrix_mult"
#define COMFY_MAP "quant_map"
#define COMFY_MAP_SIZE 16

/* ---- Formats: what reader, writer and check know of one ---- */

/**
 * ComfySize: what the shapes of a layer's tensors follow from.
 * @align: see #ComfyFormat
 * @group: items that share a scale; 0: nothing is grouped
 */
typedef struct {
  guint64 rows, cols, group;
  guint align;
} ComfySize;

/* How an array lies in a tensor. Weights come first: BYTES, NIBBLES and SIXES by rows, FLAT without regard to them.
   ACROSS is [groups, rows], SQUARES one for group × group items */
typedef enum {
  COMFY_BYTES,
  COMFY_NIBBLES,
  COMFY_SIXES,
  COMFY_FLAT,
  COMFY_FLAT_COLUMN,
  COMFY_ONE,
  COMFY_ROWS,
  COMFY_COLUMN,
  COMFY_COLS,
  COMFY_GROUPS,
  COMFY_ACROSS,
  COMFY_SQUARES,
  COMFY_FLAT_GROUPS,
  COMFY_SIXTEEN,
  COMFY_SWIZZLED,
} ComfyForm;

/* What its numbers have to be. SCALE is finite and not negative, FACTOR positive */
typedef enum { COMFY_CODES, COMFY_NUMBERS, COMFY_SCALE, COMFY_FACTOR, COMFY_EXPONENTS } ComfyValues;

/**
 * ComfyMember: one tensor of a layer. Several rows with one suffix: the first whose form fits.
 * @alias: (nullable): a name that some files have instead
 * @component: (nullable): NULL: its loader ignores it, and so it is dropped
 * @dtype: written; QCONV_OPAQUE: that of the component
 * @good: 1 << dtype of what the loader takes as it is meant
 * @readable: what this plugin can take
 * @load, @pack: (nullable): NULL: the bytes as they are
 */
typedef struct {
  const char *suffix, *alias, *component;
  QconvDType dtype;
  guint32 good, readable;
  ComfyForm form;
  ComfyValues values;
  gboolean required;
  QconvLoadFunc load;
  QconvPackFunc pack;
} ComfyMember;

/* ROTATED says whether ROTATION counts. MAP is filled in when the code book is known */
typedef enum {
  COMFY_KEY_GROUP,
  COMFY_KEY_ROTATED,
  COMFY_KEY_ROTATION,
  COMFY_KEY_SHAPE,
  COMFY_KEY_DTYPE,
  COMFY_KEY_TEXT,
  COMFY_KEY_FALSE,
  COMFY_KEY_MAP,
} ComfyKeyType;

/**
 * ComfyKey: a key of the marker that follows from the layer.
 * @option: of the scheme; TEXT: what is always written
 * @fallback: where the marker lacks it; 0: nothing
 * @base, @min, @max: powers of @base in this range; base 1: any number
 */
typedef struct {
  const char *key;
  ComfyKeyType type;
  const char *option;
  guint64 fallback, base, min, max;
} ComfyKey;

/* Whether the key full_precision_matrix_mult means something, and is written by default */
typedef enum { COMFY_FULL_NEVER, COMFY_FULL_TOLD, COMFY_FULL_AUTO } ComfyFull;

typedef struct _ComfyLook ComfyLook;

/**
 * ComfyFormat: one value of "format" in a marker, as one scheme. Several rows with one name: the first whose weight
 * fits.
 * @option, @value: (nullable): parameter of the scheme that goes with it
 * @extension: for nodes of others, not for ComfyUI itself
 * @align: columns that share a block scale, and the multiple to which both axes are padded; 0: no padding
 * @members: the weight first; ends with { NULL }
 * @keys: (nullable): in the order of the marker; ends with { NULL }
 * @measure: finds the size of a layer that is read. Returns: FALSE where that makes no sense, told to its troubles
 */
typedef struct {
  const char *name, *scheme;
  const char *option, *value;
  gboolean extension;
  guint align;
  ComfyFull full;
  const ComfyMember *members;
  const ComfyKey *keys;
  gboolean (*measure) (ComfyLook *l);
} ComfyFormat;

/* Returns: (nullable): NULL for a name that no loader knows */
const ComfyFormat *comfy_format_find (const char *name);
/* Returns: (nullable): the next row of the same name */
const ComfyFormat *comfy_format_next (const ComfyFormat *f);
/* Returns: (nullable): the first row with this scheme and @layer's parameters, of those for ComfyUI or for others */
const ComfyFormat *comfy_format_for (const QconvLayer *layer, gboolean extension);
/* Returns: (nullable): the format of the marker that moves with @layer */
const ComfyFormat *comfy_format_before (const QconvLayer *layer);
/* Returns: (nullable): what a layer with a blank marker looks like */
const ComfyFormat *comfy_format_guess (const QconvDirectory *d, const char *layer);
/* Puts into the empty @marker what @options say of a rotation, which no tensor tells. @options: (nullable): of the
   reader. Returns: (transfer full): what is taken for true, to go behind a message */
char *comfy_guess_rotation (const ComfyFormat *f, const QconvTensor *weight, const QconvValues *options,
                            JsonObject *marker);
/* Returns: (nullable): the row for @key, NULL where the format does not have it */
const ComfyKey *comfy_format_key (const ComfyFormat *f, const char *key);

/* Codes in one item of the tensor */
guint comfy_form_per_item (ComfyForm form);
QconvShape comfy_form_shape (ComfyForm form, const ComfySize *size);
/* In bytes, for forms that are packed */
QconvRun comfy_form_run (ComfyForm form, const ComfySize *size);
/* ODD: readable, but not what the loader wants */
typedef enum { COMFY_FIT_NOT, COMFY_FIT_ODD, COMFY_FIT_GOOD } ComfyFit;
ComfyFit comfy_form_fit (ComfyForm form, const ComfySize *size, const QconvTensor *t);
/* Whether the shape of @scale is that of tiles, or of plain rows; both can be */
gboolean comfy_scales_swizzled (const ComfySize *size, const QconvTensor *scale);
gboolean comfy_scales_plain (const ComfySize *size, const QconvTensor *scale);

/* ---- Markers ---- */

/**
 * ComfyMarker: what the file says of one layer.
 * @layer: name of the weight without ".weight"
 * @tensor: (nullable): NULL where only the header speaks
 * @blank: it says nothing at all
 * @format: (nullable): NULL: one that is not known here, see @name
 */
typedef struct {
  char *layer;
  JsonNode *json;
  gboolean blank;
  const QconvTensor *tensor;
  const ComfyFormat *format;
  const char *name;
} ComfyMarker;

typedef struct {
  GPtrArray *list;   /* ComfyMarker, in the order of the file */
  GHashTable *named; /* layer -> ComfyMarker, of list */
  GPtrArray *idle;   /* #QconvTensor: markers of layers that are of the older form */
} ComfyMarkers;

/* In-file markers and the header's. @options: (nullable): of the reader. What is odd goes to @troubles */
ComfyMarkers *comfy_markers_read (const QconvDirectory *d, const QconvValues *options, GPtrArray *troubles);
void comfy_markers_free (ComfyMarkers *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ComfyMarkers, comfy_markers_free)

/* Appends @node as Python's json.dumps() spaces it */
void comfy_append_json (GString *out, JsonNode *node);
/* Returns: (nullable): @key of the marker, or of its object "params" */
JsonNode *comfy_marker_member (JsonObject *marker, const char *key);
gboolean comfy_node_is (JsonNode *node, GType type);

/* The marker of @layer, without the closing brace; keys that move with it behind those that follow from the layer.
   @values: of the writer */
void comfy_append_marker (GString *out, const ComfyFormat *format, const QconvLayer *layer, const QconvValues *values);
gboolean comfy_pack_marker (const QconvPack *pack, GError **error);
/* Largest number of bytes that comfy_pack_marker() puts behind the text that was planned */
#define COMFY_MAP_ROOM (COMFY_MAP_SIZE * 17 + 32)

/* ---- Layers that are read ---- */

/**
 * ComfyLook: one layer of a file, measured.
 * @marker: (nullable): NULL: it has none
 * @parameters: of the scheme, "key=value,…"
 */
struct _ComfyLook {
  const QconvDirectory *directory;
  const char *layer;
  const ComfyFormat *format;
  JsonObject *marker;
  const QconvTensor *weight;
  ComfySize size;
  GString *parameters;
  GPtrArray *troubles;
};

/* Measures the layer and looks at all its members. @format: (nullable): only the weight has to be there */
ComfyLook *comfy_look_new (const QconvDirectory *d, const char *layer, const ComfyFormat *format, JsonObject *marker,
                           GPtrArray *troubles);
void comfy_look_free (ComfyLook *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ComfyLook, comfy_look_free)
/* Returns: (transfer none) (nullable): the member's tensor; NULL where another row of the same suffix has it */
const QconvTensor *comfy_look_tensor (const ComfyLook *l, const ComfyMember *m);
gboolean comfy_measure_matrix (ComfyLook *l);
gboolean comfy_measure_int8 (ComfyLook *l);
gboolean comfy_measure_squares (ComfyLook *l);
gboolean comfy_measure_w4a8 (ComfyLook *l);
gboolean comfy_measure_awq (ComfyLook *l);
gboolean comfy_measure_flat (ComfyLook *l);
void comfy_check_members (const ComfyLook *l);
/* Whether @t is an input_scale that cannot be one: convert_to_quant copies the tiles of block scales there */
gboolean comfy_is_odd_input (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t);
/* Reads the scales */
void comfy_check_numbers (const ComfyLook *l);

/* @options: of the reader. Returns: FALSE where it cannot be known how block scales lie */
gboolean comfy_claim_layer (const ComfyLook *l, const QconvValues *options, QconvClaims *claims);

/* Whether @scale is that of codes which need it */
gboolean comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale);
/* Whether @scale may belong to a weight that needs none */
gboolean comfy_is_orphan (const QconvDirectory *d, const QconvTensor *scale);
/* Claims codes that have a scale and no layer yet. @old_too: those of the older form, too; @options: of the reader */
void comfy_claim_scaled (const QconvDirectory *d, gboolean old_too, const QconvValues *options, QconvClaims *claims,
                         GPtrArray *troubles);
/* Drops scales that belong to nothing: beside weights that nobody has claimed, or whose format has none, or alone */
void comfy_drop_orphans (const QconvDirectory *d, const ComfyMarkers *markers, gboolean old_too, QconvClaims *claims,
                         GPtrArray *troubles);
/* Tells of scales that nobody will apply */
void comfy_check_scaled (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *troubles);

/* ---- Load functions and the pack functions that they undo. "high": the even column in the high nibble ---- */

gboolean comfy_load_bytes (const QconvLoad *load, GError **error);
gboolean comfy_load_nibbles_high (const QconvLoad *load, GError **error);
gboolean comfy_load_nibbles_low (const QconvLoad *load, GError **error);
gboolean comfy_load_sixes (const QconvLoad *load, GError **error);
gboolean comfy_load_flat_high (const QconvLoad *load, GError **error);
gboolean comfy_load_flat_low (const QconvLoad *load, GError **error);
gboolean comfy_load_across (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_swizzled (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_plain (const QconvLoad *load, GError **error);
/* From the layer's marker */
gboolean comfy_load_map (const QconvLoad *load, GError **error);

gboolean comfy_pack_bytes (const QconvPack *pack, GError **error);
gboolean comfy_pack_nibbles_high (const QconvPack *pack, GError **error);
gboolean comfy_pack_nibbles_low (const QconvPack *pack, GError **error);
gboolean comfy_pack_sixes (const QconvPack *pack, GError **error);
gboolean comfy_pack_flat_high (const QconvPack *pack, GError **error);
gboolean comfy_pack_flat_low (const QconvPack *pack, GError **error);
gboolean comfy_pack_across (const QconvPack *pack, GError **error);
gboolean comfy_pack_scales_swizzled (const QconvPack *pack, GError **error);

extern const QconvReader comfy_reader;
extern const QconvWriter comfy_writer;
