/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of this plugin, which reads and writes the 4-bit and 8-bit layers of bitsandbytes. */
#pragma once
#include "qconv-plugin.h"
#include "trouble.h"

#define BNB_NESTED_BLOCK 256
#define BNB_MAP 256

/**
 * BnbSpelling: the suffixes of one spelling of a layer's tensors.
 *
 * @state: the text; if it ends with "__", the type stands behind it
 * @nested_absmax, @nested_map, @rows: (nullable): NULL if the spelling lacks it. @rows: row maxima of 8-bit codes
 * @low_first: the even weight lies in the low nibble
 * @foreign: bitsandbytes does not know this spelling
 */
typedef struct {
  const char *absmax, *map, *nested_absmax, *nested_map, *state, *rows;
  gboolean low_first, foreign;
} BnbSpelling;

/**
 * BnbLayer: the tensors of one layer, found by their names.
 *
 * @state: (nullable): the first of @n_states
 * @type: (nullable): the type behind the name of the state
 */
typedef struct {
  char *name;
  const BnbSpelling *spelling;
  const QconvTensor *state;
  const char *type;
  guint n_states;
  gboolean four_bit, eight_bit, mixed;
} BnbLayer;

/* Returns all layers (BnbLayer) in the order of the file. */
GPtrArray *bnb_layers (const QconvDirectory *d);
gboolean bnb_has_layers (const QconvDirectory *d);
/* Returns the tensor @suffix of @l, or NULL if the file has none. @suffix may be NULL. */
const QconvTensor *bnb_tensor (const QconvDirectory *d, const BnbLayer *l, const char *suffix);

/* The contents of a layer's quant_state */
typedef struct {
  char type[8]; /* "nf4", empty: unknown */
  guint64 block, rows, cols;
  QconvDType dtype;
  gboolean nested;
  float offset;
} BnbState;
/* Parses the quant_state @t. Fails with QCONV_ERROR_UNSUPPORTED if it is well formed but of a kind that qconv cannot
   read, else with QCONV_ERROR_INPUT. */
gboolean bnb_state_parse (BnbState *s, const QconvTensor *t, GError **error);
/* Returns the quant_state of @layer without its closing brace; if @nested, also without the offset. */
char *bnb_state_text (const QconvLayer *layer, gboolean nested);
/* Prints @number as Python does. */
#define BNB_NUMBER_SIZE 32
void bnb_print_number (char text[BNB_NUMBER_SIZE], double number);

/**
 * BnbLook: one layer and its problems.
 *
 * @weight, @absmax …: (nullable): the tensors
 * @troubles: (element-type QconvTrouble)
 * @strange_map: its table is not that of its type
 */
typedef struct {
  const BnbLayer *layer;
  const QconvTensor *weight, *absmax, *map, *nested_absmax, *nested_map, *rows, *format;
  BnbState state;
  GPtrArray *troubles;
  gboolean strange_map;
} BnbLook;
void bnb_look (BnbLook *look, const QconvDirectory *d, const BnbLayer *l);
void bnb_look_clear (BnbLook *look);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BnbLook, bnb_look_clear)

gboolean bnb_load_codes_high (const QconvLoad *load, GError **error);
gboolean bnb_load_codes_low (const QconvLoad *load, GError **error);
gboolean bnb_load_offset (const QconvLoad *load, GError **error);

extern const QconvReader bnb_reader;
extern const QconvWriter bnb_writer;
extern const QconvQuantizer bnb_int8;
