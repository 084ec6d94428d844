/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The option "convrot" of schemes whose rows are rotated by the operation "convrot". The quantizers int8, w4a8 and
   convrot_w4a4 share it. */
#pragma once
#include "qconv-quantizer.h"

/* Replaces "auto" by the group for @layer, for QconvQuantizer.settle(). @none: the option has the choice "none", which
   also replaces a group that does not suit the columns */
void qconv_rotation_settle (const QconvLayer *layer, QconvValues *values, gboolean none);
/* Returns the columns that are rotated together, also for "auto"; 1: no rotation. */
guint64 qconv_rotation_group (const QconvLayer *layer);
/* Rotates decoded rows back, in place. */
gboolean qconv_rotation_undo (const QconvTile *t, GError **error);
