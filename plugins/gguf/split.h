/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of files "BASE-00001-of-00003.gguf", as llama.cpp splits models. */
#pragma once
#include "header.h"

typedef struct {
  char *base;
  guint count;
} GgufSplit;
void qconv_gguf_split_free (GgufSplit *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GgufSplit, qconv_gguf_split_free)

/* @count: 0 and 1 where the file stands alone, or was merged */
gboolean qconv_gguf_split_count (const GgufHeader *h, guint *count, GError **error);
/* Returns: (transfer full): from the name of any part */
GgufSplit *qconv_gguf_split_parse (const char *name, guint count, GError **error);
/* Returns: (transfer full): name of part @no, from 0 */
char *qconv_gguf_split_name (const GgufSplit *s, guint no);
/* Whether @h says that it is part @no; @promised: tensors of the whole set */
gboolean qconv_gguf_split_check (const GgufHeader *h, const GgufSplit *s, guint no, guint64 *promised, GError **error);
