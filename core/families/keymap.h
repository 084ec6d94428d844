/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps between the namings of a family: which rows of which tensors make the tensors of another naming. Identification,
   the mapping and LoRA names ask. */
#pragma once
#include "families/dims.h"
#include "families/family.h"
#include "families/name-map.h"
#include "families/tensor-names.h"

/**
 * KeymapRequest: the names to map, and the two namings.
 *
 * @variant: (nullable): of @family
 * @architecture: (nullable): the architecture that the file states. Some keymaps permute rows or add to norms in files
 *   of some architectures only; they fail for an architecture that they do not list, and if the file states none
 * @dims: (nullable): of the original naming. If NULL, numbers of blocks are counted from @names, no tensor can be split
 *   by row counts, and no rows can be permuted
 * @names: all tensors behind the prefix
 * @from, @to: two namings of @family
 * @row_order: (nullable): "plain" or "permuted": counts instead of @architecture
 * @heads_unknown: the rows of a head in @dims are a guess: permuting rows fails
 * @any_order: the caller uses neither the order of rows nor numbers: unknown ones are no failure
 */
typedef struct {
  const Family *family;
  const char *variant, *architecture;
  const Dims *dims;
  const Names *names;
  const char *from, *to;
  const char *row_order;
  gboolean heads_unknown, any_order;
} KeymapRequest;

/* Returns the tensors in naming @to, in the order of the family's rules. If no map of the family joins the namings,
   takes two maps after each other. Leaves out tensors that no rule makes and tensors of which all sources are missing;
   fails if only some sources are missing, or with QCONV_ERROR_UNSUPPORTED if the order of rows is unknown.
   (transfer container) (element-type NameMap) */
GPtrArray *qconv_keymap (const KeymapRequest *r, GError **error);
/* Returns the first tensor that is not part of @maps although a rule moves such names, perhaps with other numbers of
   blocks; NULL if there is none. @maps: the result of qconv_keymap() for the same @r. (transfer none) */
const char *qconv_keymap_stray (const KeymapRequest *r, const GPtrArray *maps);
/* Returns the first tensor that is not part of @maps although rules move others of such blocks, unless the family says
   that it keeps its name; NULL if there is none. (transfer none) */
const char *qconv_keymap_unnamed (const KeymapRequest *r, const GPtrArray *maps);
/* Returns: (nullable) (transfer none): the spellings of names in @naming that maps read but do not write; NULL if no
   map of the family has @naming */
const FamilyAliases *qconv_keymap_aliases (const Family *f, const char *naming);
/* Returns: (nullable) (transfer none): the pattern of the first map to the names @naming that keeps @layer plain in
   such files. @layer: in the original naming, without prefix and ".weight" */
const char *qconv_keymap_keeps (const Family *f, const char *naming, const char *layer);
/* Returns: (transfer full): the tensors of @maps, and under their own names those of @names that no map moves */
Names *qconv_keymap_names (const GPtrArray *maps, const Names *names);
/* Returns TRUE if the family can map between @from and @to. @variant: (nullable) */
gboolean qconv_keymap_exists (const Family *f, const char *variant, const char *from, const char *to);
