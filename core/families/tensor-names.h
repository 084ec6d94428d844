/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names and logical shapes of a file's tensors. Everything that compares a file with a family takes them. */
#pragma once
#include "families/family-data.h"
#include "qconv-types.h"

typedef struct _Names Names;

Names *qconv_names_new (void);
void qconv_names_free (Names *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Names, qconv_names_free)

/* Adds a copy of both. Does nothing if @name is there already. */
void qconv_names_add (Names *names, const char *name, const QconvShape *shape);
/* Returns the shape of @name, or NULL. (transfer none), until a tensor is added */
const QconvShape *qconv_names_find (const Names *names, const char *name);
/* Returns the name in the file of tensor @name, or NULL. (transfer none) */
const char *qconv_names_full (const Names *names, const char *name);
/* Returns TRUE if any name starts with @stem. Searches a sorted list that the first call makes, so two threads must not
   call it at once. */
gboolean qconv_names_starting (const Names *names, const char *stem);

/* Return the number of names, and the names in the order in which they were added */
guint qconv_names_length (const Names *names);
const char *qconv_names_name (const Names *names, guint i);
const QconvShape *qconv_names_shape (const Names *names, guint i);

/* Returns the names that start with @prefix, without it, with their start replaced by the first of @rewrites that fits.
   qconv_names_full() still returns their names in the file. @rewrites may be NULL. (transfer full) */
Names *qconv_names_behind (const Names *names, const char *prefix, const FamilyPairs *rewrites);
