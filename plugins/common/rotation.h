/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The option "convrot" of schemes whose rows are rotated (the operation "convrot"). */
#pragma once
#include "qconv-quantizer.h"

/* For QconvQuantizer.settle(): puts the group that is meant for @layer in the place of "auto". @none: the option has
   the choice "none", which also stands for a group that does not suit the columns */
void qconv_rotation_settle (const QconvLayer *layer, QconvValues *values, gboolean none);
/* Returns: columns that are rotated together, "auto" or not; 1: no rotation */
guint64 qconv_rotation_group (const QconvLayer *layer);
/* Rotates decoded rows back, in place */
gboolean qconv_rotation_undo (const QconvTile *t, GError **error);
