/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps names there and back, for each variant of each family with a keymap. The tests of keymaps call it. */
#pragma once
#include <string.h>

#include "families/aliases.h"
#include "families/expand.h"
#include "families/identity.h"
#include "families/keymap.h"

/* A request to map names, whatever the order of the rows */
#define MAP(f, variant, dims, names, from, to) \
  (&(KeymapRequest) { f, variant, NULL, dims, names, from, to, NULL, FALSE, TRUE })
/* A request to map tensors of a file of @architecture, which may be NULL */
#define MAP_OF(architecture, f, variant, dims, names, from, to) \
  (&(KeymapRequest) { f, variant, architecture, dims, names, from, to, NULL, FALSE, FALSE })

/* Returns a family of the repository. (transfer full) */
Family *map_family (const char *id);
/* Returns names of triples name, rows, columns (0: a vector), ended by NULL. (transfer full) */
Names *names_of (const char *name, ...);
/* Asserts that @maps make @name of @parts: "x 0+1*4" is rows 0, 1, 2, 3 of x; "[2+3]" columns 2, 3, 4 of these. " | "
   is before a part that lies beside the one before it */
void assert_map (GPtrArray *maps, const char *name, const char *parts);
/* Adds the tests of two maps after each other */
void map_add_chains (void);
/* Adds a test for each variant. @published: those of true size instead of the small ones */
void map_add_round_trips (gboolean published);
