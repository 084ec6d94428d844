/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Advice of a family about one layer: quantize, keep or use another scheme; and the purpose of the layer. The rules ask
   for it. */
#pragma once
#include "families/dims.h"
#include "families/family.h"

typedef enum { ADVICE_TARGET, ADVICE_KEEP, ADVICE_FALLBACK } AdviceKind;

/**
 * Advice: the advice about one layer for one scheme.
 *
 * @fallback: id of a scheme, with ADVICE_FALLBACK
 * @why: (nullable): the pattern, the blocks or the operation that decided, which belongs to the family; NULL with
 *   ADVICE_TARGET
 * @full_precision_mm: whether products should be computed without quantizing activations
 */
typedef struct {
  AdviceKind kind;
  const char *fallback;
  const char *why;
  gboolean full_precision_mm;
} Advice;

/* Returns what to do with @layer if the target is @scheme.
   @layer: in the original naming, without prefix and ".weight"
   @dims: NULL if they are not known: no block is then kept for being one of the last
   @scheme_bits: bits of one weight */
Advice qconv_family_advise (const Family *f, const Dims *dims, const char *scheme, guint scheme_bits,
                            const char *layer);
/* Returns the preset for @scheme: the preset of that name, else the preset that the base names for it, else the preset
   for its number of bits; NULL if there is none. (transfer none) */
const FamilyPreset *qconv_family_preset (const Family *f, const char *scheme, guint scheme_bits);
/* Returns the preset called @name (nullable), or NULL. (transfer none) */
const FamilyPreset *qconv_family_preset_named (const Family *f, const char *name);
/* Returns the preset that the base names for @scheme, or NULL. (transfer none) */
const char *qconv_family_scheme_preset (const Family *f, const char *scheme);
/* Returns TRUE if loaders tell models apart by the stored shape of this layer's weight */
gboolean qconv_family_is_probed (const Family *f, const char *layer);
/* Returns the least rows and columns with which a layer that no template matches is quantized although the user did not
   name it */
guint64 qconv_family_least_dim (const Family *f);

/* Finds the number of the block that @layer, in the original naming, is in, and the number of such blocks. Returns
   FALSE if it is in none, or if @dims (nullable) do not say how many there are */
gboolean qconv_family_find_block (const Family *f, const Dims *dims, const char *layer, guint64 *block, guint64 *n);

/* Returns the role or class of tensor @name: of its template, else of a role rule of the family, else of one of the
   base; NULL if none of them has one. (transfer none) */
const char *qconv_family_role (const Family *f, const Dims *dims, const char *name);
const char *qconv_family_class (const Family *f, const Dims *dims, const char *name);
