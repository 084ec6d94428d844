/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers made of rows of others: renamed, fused, split or with their rows in another order. */
#pragma once
#include "layer/source-layer.h"

/**
 * Part: rows of one layer, in the order in which they are stacked.
 *
 * @source: index in the composed layer's sources
 * @first, @stride, @n: rows first, first + stride, …: @n of them
 * @transposed: the stack's rows are the source's columns: columns [first, first + n)
 */
typedef struct {
  guint source;
  guint64 first, stride, n;
  gboolean transposed;
} Part;

/* @plain_name: of the whole weight tensor; @sources: (element-type SourceLayer): distinct, they outlive the result;
   @parts: (transfer full) (element-type Part). The components are those of the sources where they can be stacked,
   else it decodes to floats.
   QCONV_ERROR_UNSUPPORTED: rows of different lengths, or that are not there. Returns: (transfer full) */
SourceLayer *qconv_compose (const char *plain_name, const QconvShape *shape, GPtrArray *sources, GArray *parts,
                            GError **error);
/* @s, which is floats, and what is added to it. @deltas: (transfer full) (element-type Delta): see delta.h.
   Returns: (transfer full): decodes to floats; outlives neither @s nor what that is composed of */
SourceLayer *qconv_compose_sum (const SourceLayer *s, GPtrArray *deltas);
/* Returns: whether all rows of one layer are there, in their order */
gboolean qconv_composed_whole (const SourceLayer *s);
