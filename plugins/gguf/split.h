/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of files "BASE-00001-of-00003.gguf", as llama.cpp splits models. The container opens all parts of a set. */
#pragma once
#include "header.h"

typedef struct {
  char *base;
  guint count;
} GgufSplit;
void qconv_gguf_split_free (GgufSplit *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GgufSplit, qconv_gguf_split_free)

/* Sets @count to the number of files in the set; 0 or 1: the file stands alone, or was merged. */
gboolean qconv_gguf_split_count (const GgufHeader *h, guint *count, GError **error);
/* Returns: (transfer full): the set of @count parts that the part @name belongs to. */
GgufSplit *qconv_gguf_split_parse (const char *name, guint count, GError **error);
/* Returns: (transfer full): the name of part @no, which counts from 0. */
char *qconv_gguf_split_name (const GgufSplit *s, guint no);
/* Fails with QCONV_ERROR_INPUT unless @h is the header of part @no. Sets @promised to the tensors of the whole set. */
gboolean qconv_gguf_split_check (const GgufHeader *h, const GgufSplit *s, guint no, guint64 *promised, GError **error);
