/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applies the two forms of keymaps, rules and block maps. Only keymap.c calls it. */
#pragma once
#include "families/keymap-build.h"

/* Applies "rules" */
gboolean qconv_keymap_apply_rules (KeymapRun *m, GError **error);
/* Applies "block_map" */
gboolean qconv_keymap_apply_blocks (KeymapRun *m, GError **error);
