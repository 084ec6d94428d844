/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a family advises for one layer: quantize, keep or use another scheme; and what the layer is for. The rules ask.
 */
#pragma once
#include "families/dims.h"
#include "families/family.h"

typedef enum { ADVICE_TARGET, ADVICE_KEEP, ADVICE_FALLBACK } AdviceKind;

/**
 * Advice: about one layer for one scheme.
 *
 * @fallback: id of a scheme, with ADVICE_FALLBACK
 * @why: (nullable): the pattern, the blocks or the operation that decided; NULL with ADVICE_TARGET. Belongs to the
 *   family
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
   @dims: (nullable): if NULL, nobody knows which blocks are the last, and none is kept as such
   @scheme_bits: bits of one weight */
Advice qconv_family_advise (const Family *f, const Dims *dims, const char *scheme, guint scheme_bits,
                            const char *layer);
/* Returns the preset for @scheme: the one of that name, else the one that the base names for it, else the one for so
   many bits; NULL if there is none. (transfer none) */
const FamilyPreset *qconv_family_preset (const Family *f, const char *scheme, guint scheme_bits);
/* Returns the preset called @name (nullable), or NULL. (transfer none) */
const FamilyPreset *qconv_family_preset_named (const Family *f, const char *name);
/* Returns the preset that the base names for @scheme, or NULL. (transfer none) */
const char *qconv_family_scheme_preset (const Family *f, const char *scheme);
/* Returns TRUE if loaders tell models apart by the stored shape of this layer's weight */
gboolean qconv_family_is_probed (const Family *f, const char *layer);
/* Returns the least rows and columns of a layer without a template that is quantized without being asked for */
guint64 qconv_family_least_dim (const Family *f);

/* Returns the role or class of tensor @name: of its template, else of a role rule of the family, else of one of the
   base; NULL if nothing says it. (transfer none) */
const char *qconv_family_role (const Family *f, const Dims *dims, const char *name);
const char *qconv_family_class (const Family *f, const Dims *dims, const char *name);
