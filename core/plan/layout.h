/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the tensors lie in the output. The plan lays out, run/ writes and completes the file. */
#pragma once
#include "layer/hooks.h"

/* Lets @c lay out the @n tensors of @planned, and checks that they lie in order, behind the header and beside each
   other. @layout: cleared by qconv_layout_clear(), also on failure */
gboolean qconv_layout_make (Layout *layout, const QconvContainer *c, QconvDirectory *planned, GError **error);
void qconv_layout_clear (Layout *layout);
