/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the tensors lie in one file. The plan lays out, run/ writes and completes the file. */
#pragma once
#include "layer/hooks.h"

/* Lets @c lay out @tensors (element-type QconvTensor) of a planned directory with the metadata of @metadata, and checks
   that they lie in order, behind the header and beside each other. @layout: keeps @metadata; cleared by
   qconv_layout_clear(), also on failure */
gboolean qconv_layout_make (Layout *layout, const QconvContainer *c, const QconvDirectory *metadata,
                            const GPtrArray *tensors, GError **error);
/* The same for all tensors of @planned */
gboolean qconv_layout_make_whole (Layout *layout, const QconvContainer *c, QconvDirectory *planned, GError **error);
void qconv_layout_clear (Layout *layout);
