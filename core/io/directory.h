/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions of directories that only core may call; qconv-container.h declares the others. Opening a model and planning
   an output use them. */
#pragma once
#include "qconv-container.h"

/* Returns: (transfer full): an empty directory. @source stays the caller's, and may be NULL. */
QconvDirectory *qconv_directory_new (const char *container, QconvSource *source);
void qconv_directory_free (QconvDirectory *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvDirectory, qconv_directory_free)

/* Returns: (transfer none) (element-type utf8): the warnings of the container, in order. */
GPtrArray *qconv_directory_warnings (const QconvDirectory *d);
/* Sets @key of a planned directory to @value (transfer floating) (nullable); NULL removes it. */
void qconv_directory_replace_metadata (QconvDirectory *d, const char *key, GVariant *value);
/* Returns: (transfer none): tensor @i of a planned directory, so that lay_out() can set its place. */
QconvTensor *qconv_directory_planned (QconvDirectory *d, guint i);
/* Removes all tensors from number @n on. */
void qconv_directory_truncate (QconvDirectory *d, guint n);
