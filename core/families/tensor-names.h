/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and logical shapes of a file's tensors, as family files look at them. */
#pragma once
#include "families/family-data.h"
#include "qconv-types.h"

typedef struct _Names Names;

Names *qconv_names_new (void);
void qconv_names_free (Names *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Names, qconv_names_free)

/* Both are copied; of a name that is there already the first stays */
void qconv_names_add (Names *names, const char *name, const QconvShape *shape);
/* Returns: (transfer none) (nullable) */
const QconvShape *qconv_names_find (const Names *names, const char *name);
/* Returns: (transfer none) (nullable): what @name is called in the file */
const char *qconv_names_full (const Names *names, const char *name);
/* Whether any name starts with @stem; quick, not for two threads at once */
gboolean qconv_names_starting (const Names *names, const char *stem);

/* In the order in which they were added */
guint qconv_names_length (const Names *names);
const char *qconv_names_name (const Names *names, guint i);
const QconvShape *qconv_names_shape (const Names *names, guint i);

/* Returns the names that start with @prefix, without it, with their start replaced by the first of @rewrites that fits.
   qconv_names_full() still has their names in the file. @rewrites: (nullable). (transfer full) */
Names *qconv_names_behind (const Names *names, const char *prefix, const FamilyPairs *rewrites);
