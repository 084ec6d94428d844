/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "qconv-container.h"

/* Returns: (transfer full): empty. @source: (nullable): stays the caller's */
QconvDirectory *qconv_directory_new (const char *container, QconvSource *source);
void qconv_directory_free (QconvDirectory *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvDirectory, qconv_directory_free)

/* Returns: (transfer none) (element-type utf8): what containers wanted to say, in order */
GPtrArray *qconv_directory_warnings (const QconvDirectory *d);
/* For a planned directory: @value NULL removes */
void qconv_directory_replace_metadata (QconvDirectory *d, const char *key, GVariant *value);
/* Returns: (transfer none): tensor @i of a planned directory, to be given its place */
QconvTensor *qconv_directory_planned (QconvDirectory *d, guint i);
/* Forgets all tensors from number @n on */
void qconv_directory_truncate (QconvDirectory *d, guint n);
