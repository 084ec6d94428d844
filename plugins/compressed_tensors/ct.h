/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers as compressed-tensors stores them, and what its configuration says of them. The files of the reader share
   it. */
#pragma once
#include "qconv-plugin.h"
#include "trouble.h"

/* The forms of a layer (compressed_tensors: config/format.py). naive-quantized has the tensors of INT or FLOAT */
typedef enum { CT_PACKED, CT_INT, CT_FLOAT, CT_NVFP4, CT_MXFP4, CT_MXFP6, CT_MXFP8 } CtKind;
/* Returns: (transfer none): the word of config.json for the form. */
const char *ct_kind_name (CtKind kind);

/* ---- Configuration ---- */

/**
 * CtGroup: one of the config_groups: what it says of the weights of its layers. 0 and NULL: it says nothing.
 *
 * @format: one of the names above, "naive-quantized" …
 * @block: rows and columns of a block
 */
typedef struct {
  char *format;
  gint64 bits, group;
  guint64 block[2];
} CtGroup;
typedef struct _CtConfig CtConfig;
/* Reads the JSON files beside the weights. @warn: as in quant_config_read()
   Returns: (transfer full): the configuration */
CtConfig *ct_config_read (const QconvDirectory *d, void (*warn) (gpointer data, const char *file, const char *why),
                          gpointer data);
void ct_config_free (CtConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CtConfig, ct_config_free)
/* Returns whether the files say that compressed-tensors wrote the weights. */
gboolean ct_config_ours (const CtConfig *c);
/* Returns: (transfer none): the name of the file, for messages. */
const char *ct_config_file (const CtConfig *c);
/* Returns: (transfer none) (nullable): the group of @layer. */
const CtGroup *ct_config_group (const CtConfig *c, const char *layer);
/* Returns whether the layer is one of those that are not to be quantized. */
gboolean ct_config_ignores (const CtConfig *c, const char *layer);

/* ---- Layers ---- */

/**
 * CtLook: one layer.
 *
 * @codes: "weight_packed" or "weight"; all others may be NULL
 * @bits: of a code; @group: columns that share a scale, at most @cols
 * @padded: codes do not straddle words, as in files before the library's commit 3f01c782
 * @troubles: what makes the layer unreadable; the sizes are then not set
 */
typedef struct {
  char *layer;
  CtKind kind;
  const QconvTensor *codes, *scale, *global, *zero, *index, *shape, *input, *input_global, *input_zero;
  guint64 rows, cols, group;
  guint bits;
  gboolean padded;
  GPtrArray *troubles;
} CtLook;
/* Returns whether @d has a layer of the format. */
gboolean ct_has_layers (const QconvDirectory *d);
/* Returns: (transfer full) (element-type CtLook): all layers of the format. @ours: so are codes with plain names;
   @claims: (nullable): leaves out layers that are taken */
GPtrArray *ct_looks (const QconvDirectory *d, const CtConfig *config, gboolean ours, const QconvClaims *claims);

/* ---- Loading ---- */

/* The data of the load functions below. @groups: scales of a row; @one: one scale for all rows */
typedef struct {
  guint64 cols, group, groups;
  guint bits;
  gboolean padded, one;
} CtPacking;
/* Loads codes of words, as unsigned numbers. */
gboolean ct_load_packed (const QconvLoad *load, GError **error);
/* Loads I8 codes as unsigned numbers. */
gboolean ct_load_bytes (const QconvLoad *load, GError **error);
/* Loads codes of MXFP6 as E4M3, which has the same numbers. */
gboolean ct_load_sixes (const QconvLoad *load, GError **error);
/* Loads scales as F32; repeats one scale for all rows. */
gboolean ct_load_scale (const QconvLoad *load, GError **error);
/* Load zeros: of words that are packed along the rows; I8, which may be one for all rows; the middle of the range. */
gboolean ct_load_packed_zero (const QconvLoad *load, GError **error);
gboolean ct_load_byte_zero (const QconvLoad *load, GError **error);
gboolean ct_load_middle (const QconvLoad *load, GError **error);
/* Loads the group of each column; a list of -1 stands for groups in order. */
gboolean ct_load_index (const QconvLoad *load, GError **error);
/* Returns the bytes that a load function of a layer with @stride bytes a row allocates at most. */
gsize ct_load_scratch (guint64 stride);
