/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removes the parts of layer names that software adds when it wraps a module: "blocks.0._orig_mod.attn.q" becomes
   "blocks.0.attn.q". The model calls it after the readers; mappings and edits ask for the names in the file. */
#pragma once
#include "families/catalogue.h"
#include "graph/mapping.h"

/* Gives the layers of @m names without the wrappers that @families list. A layer keeps its name if another layer has
   the name without wrappers */
void qconv_unwrap_layers (QconvModel *m, const Families *families);
/* Gives the layers of @m their names in the file again */
void qconv_unwrap_undo (QconvModel *m);
/* Gives the layers of @x that no rule composed their names in the file again */
gboolean qconv_unwrap_keep (Mapping *x, GError **error);
/* Returns the number of layers of @m whose names in the file have wrappers. Sets @wrapper (transfer none) to the first
   wrapper of the first of them; leaves it alone if there is none */
guint qconv_unwrap_count (const QconvModel *m, const Families *families, const char **wrapper);
/* Returns: (transfer full): @name without the wrappers of modules inside the model. A wrapper at the start of @name
   stays: it is part of the prefix */
char *qconv_unwrap_name (const Families *families, const char *name);
