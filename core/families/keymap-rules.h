/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two ways in which a keymap says what becomes what. Only keymap.c calls them. */
#pragma once
#include "families/keymap-build.h"

/* Applies "rules" */
gboolean qconv_keymap_apply_rules (KeymapRun *m, GError **error);
/* Applies "block_map" */
gboolean qconv_keymap_apply_blocks (KeymapRun *m, GError **error);
