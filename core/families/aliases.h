/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other spellings of tensor names, which family files list as { match, replace }. Two names are one tensor if they are
   equal after all replacements. Keymaps, inference, the mapping and LoRA files compare names with these functions. */
#pragma once
#include "families/family-data.h"

/* Returns the one spelling that replaces all others of @name. Without @aliases every name is its only spelling.
   (transfer full) */
char *qconv_aliases_apply (const FamilyAliases *aliases, const char *name);
