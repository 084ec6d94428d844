/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Name maps there and back, for each variant of each family that has one. */
#pragma once
#include <string.h>

#include "families/aliases.h"
#include "families/expand.h"
#include "families/identity.h"
#include "families/keymap.h"

/* A request to map names of a file that states no architecture */
#define MAP(f, variant, dims, names, from, to) (&(KeymapRequest) { f, variant, NULL, dims, names, from, to })

/* A family of the repository */
Family *map_family (const char *id);
/* @published: of true size, instead of the small ones */
void map_add_round_trips (gboolean published);
