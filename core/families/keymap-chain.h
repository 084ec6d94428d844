/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two maps after each other: names of nunchaku become those of the model's makers, and these become those of diffusers.
   keymap.c and keymap-stray.c call it. */
#pragma once
#include "families/keymap.h"

/**
 * KeymapChain: the steps between two namings that no map joins.
 *
 * @steps: from the file's naming to the one between, from there to the other. The second has @between as names
 * @maps: (element-type NameMap): what each step makes
 * @between: all tensors after the first step
 */
typedef struct {
  KeymapRequest steps[2];
  GPtrArray *maps[2];
  Names *between;
} KeymapChain;

/* Returns: (nullable) (transfer none): the naming that has maps to both @from and @to, which no map joins */
const char *qconv_keymap_between (const Family *f, const char *variant, const char *from, const char *to);
/* Takes both steps through the naming @between. The rest as qconv_keymap(). Returns: (transfer full) */
KeymapChain *qconv_keymap_chain_new (const KeymapRequest *r, const char *between, GError **error);
void qconv_keymap_chain_free (KeymapChain *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (KeymapChain, qconv_keymap_chain_free)
/* Returns the tensors that both steps together make, and those of the first step that the second leaves as they are.
   Fails with QCONV_ERROR_UNSUPPORTED if rows that the first step moves cannot be moved again. Returns:
   (transfer container) (element-type NameMap) */
GPtrArray *qconv_keymap_chain_join (const KeymapChain *c, GError **error);
