/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of formats: which tensors and marker keys each one has, and how arrays lie in tensors. Reader, check and
   writer look formats up here. */
#pragma once
#include "qconv-plugin.h"

/**
 * ComfySize: the sizes from which the shapes of a layer's tensors follow.
 *
 * @rows, @cols: of the weight as the file stores it, padding included
 * @group: items that share a scale; 0: nothing is grouped
 * @align: see #ComfyFormat
 */
typedef struct {
  guint64 rows, cols, group;
  guint align;
} ComfySize;

/* The form of an array in a tensor. Forms of weights come first: BYTES, NIBBLES and SIXES by rows, FLAT without regard
   to rows. ACROSS is [groups, rows]; SQUARES has one item for group × group weights */
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

/* The numbers that a tensor must hold. SCALE: finite and not negative; FACTOR: finite and positive */
typedef enum { COMFY_CODES, COMFY_NUMBERS, COMFY_SCALE, COMFY_FACTOR, COMFY_EXPONENTS } ComfyValues;

/**
 * ComfyMember: one tensor of a layer. If several rows have one suffix, the first row whose form fits has the tensor.
 *
 * @suffix: behind the name of the layer
 * @alias: (nullable): another suffix that some files have
 * @component: (nullable): NULL: the loader ignores the tensor, so it is dropped
 * @dtype: that is written; QCONV_OPAQUE: the component's
 * @good: 1 << dtype of each type that the loader takes as it is meant
 * @readable: 1 << dtype of each type that this plugin reads
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

/* The meaning of a key of the marker. ROTATED: TRUE if ROTATION counts. MAP: the code book, which is known last */
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
 *
 * @option: of the scheme; with TEXT the text that is always written
 * @fallback: the value if the marker lacks the key; 0: none
 * @base, @min, @max: powers of @base in this range; base 1: any number
 */
typedef struct {
  const char *key;
  ComfyKeyType type;
  const char *option;
  guint64 fallback, base, min, max;
} ComfyKey;

/* The use of the key full_precision_matrix_mult. NEVER: it has no meaning. TOLD: it is written if the user or the
   family asks for it. AUTO: it may also be written by default */
typedef enum { COMFY_FULL_NEVER, COMFY_FULL_TOLD, COMFY_FULL_AUTO } ComfyFull;

/* The fit of a tensor to a form. ODD: readable, but not what the loader wants */
typedef enum { COMFY_FIT_NOT, COMFY_FIT_ODD, COMFY_FIT_GOOD } ComfyFit;

typedef struct _ComfyLook ComfyLook;

/**
 * ComfyFormat: one value of "format" in a marker, as one scheme. If several rows have one name, the first row whose
 * weight fits counts.
 *
 * @option, @value: (nullable): the parameter of the scheme that goes with it
 * @extension: for nodes of others, not for ComfyUI itself
 * @align: columns that share a block scale, and the multiple to which both axes are padded; 0: no padding
 * @members: the weight first; ends with { NULL }
 * @keys: (nullable): in the order of the marker; ends with { NULL }
 * @measure: finds the size of a layer that is read. Returns FALSE, and adds the reason to the layer's troubles, if the
 *   size makes no sense
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

/* Returns: (transfer none) (nullable): the first row called @name; NULL if no loader knows it. */
const ComfyFormat *comfy_format_find (const char *name);
/* Returns: (transfer none) (nullable): the next row of the same name. */
const ComfyFormat *comfy_format_next (const ComfyFormat *f);
/* Returns: (transfer none) (nullable): the first row with this scheme and @layer's parameters, among the rows for
   ComfyUI or, if @extension, for nodes of others. */
const ComfyFormat *comfy_format_for (const QconvLayer *layer, gboolean extension);
/* Returns: (transfer none) (nullable): the row for @key; NULL if the format lacks it. */
const ComfyKey *comfy_format_key (const ComfyFormat *f, const char *key);

/* Returns the number of codes in one item of the tensor. */
guint comfy_form_per_item (ComfyForm form);
/* Returns the shape that is written. */
QconvShape comfy_form_shape (ComfyForm form, const ComfySize *size);
/* Returns how the bytes of a packed form follow rows. */
QconvRun comfy_form_run (ComfyForm form, const ComfySize *size);
ComfyFit comfy_form_fit (ComfyForm form, const ComfySize *size, const QconvTensor *t);
/* Return whether the shape of block scales is that of tiles, and whether it is that of plain rows; both can be. */
gboolean comfy_scales_swizzled (const ComfySize *size, const QconvTensor *scale);
gboolean comfy_scales_plain (const ComfySize *size, const QconvTensor *scale);
