/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keymap.c and its parts share. */
#pragma once
#include "families/keymap.h"

/**
 * Mapping: one run from a naming to another.
 *
 * @dims: the caller's, or counted from @names
 * @known: they are the caller's
 * @from_a: from the map's naming "a" to "b", else the other way round
 * @permuted: (nullable): "permute" of the map, where it holds for this file
 * @sources: every spelling of the tensors' names -> their names
 * @made: names in the naming that is mapped to
 */
typedef struct {
  JsonObject *map;
  const Names *names;
  Dims *dims;
  gboolean known, from_a;
  JsonObject *permuted;
  Aliases *aliases_a, *aliases_b;
  GHashTable *sources, *made;
  GPtrArray *maps;
} Mapping;

/* Returns: (transfer none) (nullable): the map of @f; @from_a: (out): whether it is to be read from left to right */
JsonObject *qconv_keymap_find (const Family *f, const char *variant, const char *from, const char *to,
                               gboolean *from_a);
/* Returns: (transfer none) (nullable): name of the tensor that a rule calls @name */
const char *qconv_keymap_source (const Mapping *m, const char *name);
/* Adds the tensor that a rule calls @name. @parts: (transfer full) */
gboolean qconv_keymap_add (Mapping *m, const char *name, GArray *parts, const QconvShape *shape, gboolean transposed,
                           GError **error);
/* (transfer full): room for NameParts */
GArray *qconv_keymap_parts (void);
void qconv_keymap_part (GArray *parts, const char *name, guint64 first, guint64 stride, guint64 n);

/* One tensor of a name, whole */
gboolean qconv_keymap_copy (Mapping *m, const char *source, const char *name, GError **error);
/* The ways in which a map says what becomes what: "rules" and "block_map" */
gboolean qconv_keymap_apply_rules (Mapping *m, JsonArray *rules, GError **error);
gboolean qconv_keymap_apply_blocks (Mapping *m, JsonArray *blocks, GError **error);
