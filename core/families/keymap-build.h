/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One run of a keymap, and the helpers that its kinds share. keymap.c begins the run; keymap-rules.c and
   keymap-blocks.c add tensors to it. */
#pragma once
#include "families/aliases.h"
#include "families/dims.h"
#include "families/family.h"
#include "families/name-map.h"
#include "families/tensor-names.h"

/**
 * KeymapRun: one run of a map from a naming to the other.
 *
 * @dims: the caller's, or counted from @names
 * @known: whether @dims are the caller's
 * @from_a: from the map's naming "a" to "b", else from "b" to "a"
 * @permuted: (nullable): "permute" of the map, if it holds for this file
 * @offset: (nullable): "offset" of the map, if it holds for this file
 * @sources: every spelling of the tensors' names -> their names in the file
 * @made: names of @maps
 * @maps: (element-type NameMap): the tensors that were made so far
 */
typedef struct {
  const FamilyKeymap *map;
  const Names *names;
  Dims *dims;
  gboolean known, from_a;
  const FamilyPermute *permuted;
  const FamilyOffset *offset;
  const FamilyAliases *aliases_a, *aliases_b;
  GHashTable *sources, *made;
  GPtrArray *maps;
} KeymapRun;

/* Returns the map of @f between @from and @to, or NULL. Sets @from_a to TRUE if @from is the map's naming "a".
   (transfer none) */
const FamilyKeymap *qconv_keymap_find (const Family *f, const char *variant, const char *from, const char *to,
                                       gboolean *from_a);
/* Returns the name in the file of the tensor that a rule calls @name, or NULL. (transfer none) */
const char *qconv_keymap_source (const KeymapRun *m, const char *name);

/* Returns an empty list of NameMaps. (transfer full) */
GPtrArray *qconv_keymap_maps (void);
/* Returns: (transfer full): the same map, with the same list of parts */
NameMap *qconv_keymap_copy_map (const NameMap *map);
/* Returns an empty list of NameParts. (transfer full) */
GArray *qconv_keymap_parts (void);
void qconv_keymap_part (GArray *parts, const char *name, guint64 first, guint64 stride, guint64 n);
/* Adds the tensor that a rule calls @name. Takes @parts. Fails if another tensor got the same name. */
gboolean qconv_keymap_add (KeymapRun *m, const char *name, GArray *parts, const QconvShape *shape, gboolean transposed,
                           GError **error);
/* Adds tensor @name, which is the whole of @source */
gboolean qconv_keymap_copy (KeymapRun *m, const char *source, const char *name, GError **error);
