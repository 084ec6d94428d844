/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a family says about single layers: which to keep, which to hold in another scheme, what they are for. */
#pragma once
#include "families/dims.h"
#include "families/family.h"

typedef enum { ADVICE_TARGET, ADVICE_KEEP, ADVICE_FALLBACK } AdviceKind;

/**
 * Advice: about one layer for one scheme.
 *
 * @fallback: id of a scheme, with ADVICE_FALLBACK
 * @why: (nullable): the pattern, the blocks or the operation that decided; belongs to the family
 * @full_precision_mm: whether products should be computed without quantizing activations
 */
typedef struct {
  AdviceKind kind;
  const char *fallback;
  const char *why;
  gboolean full_precision_mm;
} Advice;

/* @layer: in the original naming, without prefix and ".weight". @dims: (nullable): without them the last blocks are not
   known. @scheme_bits: of one weight */
Advice qconv_family_advise (const Family *f, const Dims *dims, const char *scheme, guint scheme_bits,
                            const char *layer);
/* Returns the preset for @scheme: the one of that name, else the one that the base names for it, else the one for so
   many bits; NULL if there is none. (transfer none) */
const FamilyPreset *qconv_family_preset (const Family *f, const char *scheme, guint scheme_bits);
/* Returns the preset called @name (nullable), or NULL. (transfer none) */
const FamilyPreset *qconv_family_preset_named (const Family *f, const char *name);
/* Returns the preset that the base names for @scheme, or NULL. (transfer none) */
const char *qconv_family_scheme_preset (const Family *f, const char *scheme);
/* Whether loaders tell models apart by the stored shape of this layer's weight */
gboolean qconv_family_is_probed (const Family *f, const char *layer);
/* Both dimensions of a layer without a template must have at least this many items to be quantized unasked */
guint64 qconv_family_least_dim (const Family *f);

/* @name: of a tensor. Returns: (transfer none) (nullable): by template, else by the rules of the family, else by those
   of the base */
const char *qconv_family_role (const Family *f, const Dims *dims, const char *name);
const char *qconv_family_class (const Family *f, const Dims *dims, const char *name);
