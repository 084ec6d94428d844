/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Composes layers of rows of other layers: renamed, fused, split, reshaped, with rows in another order or with
   something added. The mapping of names and LoRAs call it. */
#pragma once
#include "layer/source-layer.h"

/* Makes @s, number @source of the sources, the source of @part, whose rows count items of the first axis of @s. A
   parameter of shape [1, N, C], or a stack of matrices, has more rows than these */
void qconv_part_set_source (Part *part, guint source, const SourceLayer *s);
/* Composes a layer. @plain_name: of the whole weight tensor; @sources: (element-type SourceLayer): distinct claimed
   layers, which outlive the result; @parts: (transfer full) (element-type Part).
   The result has the components of its sources if these can be stacked, else it decodes to floats.
   QCONV_ERROR_UNSUPPORTED: rows have different lengths, or a source lacks them. Returns: (transfer full) */
SourceLayer *qconv_compose (const char *plain_name, const QconvShape *shape, GPtrArray *sources, GArray *parts,
                            GError **error);
/* Returns: (transfer full): @s under another name or in another shape with as many items. It is composed of the claimed
   layers that @s is or is composed of, so it may outlive @s if @s is composed */
SourceLayer *qconv_compose_renamed (const SourceLayer *s, const char *plain_name, const QconvShape *shape,
                                    GError **error);
/* Returns: (transfer full): @s (transfer full), which must decode to floats, plus @number in every item */
SourceLayer *qconv_compose_plus (SourceLayer *s, float number);
/* Returns: (transfer full): @s, which must decode to floats, plus @deltas, (transfer full) (element-type Delta), which
   come behind those that @s has */
SourceLayer *qconv_compose_sum (const SourceLayer *s, GPtrArray *deltas);
