/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates of names, such as "blocks.{i}.attn.qkv.weight": families and keymaps ask them what a name stands for. */
#pragma once
#include "families/dims.h"

/* Returns TRUE if @template with the variables of @index stands for @name. @dims: if NULL, numbers may lie outside the
   ranges */
gboolean qconv_template_fits (const char *template, const FamilyIndex *index, const Dims *dims, const char *name);

/* Returns @name with one mark for every run of digits: all names of a template have few keys. (transfer full) */
char *qconv_template_key (const char *name);
/* Returns a table from qconv_template_key() of a name to the places in @layers, ascending, of the templates that may
   make it. (transfer full) (element-type utf8 GArray(guint)) */
GHashTable *qconv_template_index_new (const FamilyLayers *layers);
