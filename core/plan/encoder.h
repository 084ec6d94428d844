/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses the encoders that a planned layer goes through. The plan, its costs and the run ask. */
#pragma once
#include "plan/planned.h"

/* Returns encoder number @i of those that core tries for the source of @l, in this order; NULL if there are fewer */
const QconvEncoder *qconv_encoder (const PlannedLayer *l, guint i);
/* Returns the word for what happens to @l, as plans show it: "move", "encode", "adopt" … */
const char *qconv_how_name (const PlannedLayer *l);
/* Returns the passes and memory that encoder number @i of the planned layer takes */
QconvWork qconv_encoder_work (const PlannedLayer *l, guint i);
/* Fails with QCONV_ERROR_BUG if the work that an encoder of @l states is impossible */
gboolean qconv_encoder_check (const PlannedLayer *l, GError **error);
/* Returns whether the passes read the rows before encode() does */
gboolean qconv_work_reads (const QconvWork *work);
/* Returns the bytes that all phases of @l read */
guint64 qconv_work_bytes (const PlannedLayer *l);
/* Returns whether the rows of @l, which is encoded, are loaded in the type that they are stored in */
gboolean qconv_floats_as_is (const PlannedLayer *l);
/* Returns whether a cast goes from type to type in one step; casts from and to FP8 go through F32 */
gboolean qconv_casts_directly (const PlannedLayer *l);
