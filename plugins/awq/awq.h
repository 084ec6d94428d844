/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the encoders of the quantizer awq. */
#pragma once
#include "qconv-plugin.h"

/* The scale and centre of one group, in F32, before they are rounded to the stored type */
typedef struct {
  float scale, zero;
} AwqGroup;

/* Returns the columns of a group. */
guint64 awq_group (const QconvLayer *layer);
/* Returns the code that stands for the zero alone. */
int awq_centre (const QconvLayer *layer);
/* Returns item @i of @buffer, which holds F32, F16 or BF16. */
float awq_load_number (QconvBuffer *buffer, guint64 i);
/* Stores @x as item @i. Returns FALSE if the type cannot hold it. */
gboolean awq_store_number (QconvBuffer *buffer, guint64 i, float x);
/* Returns the rows of one partial result. */
guint64 awq_chunk_rows (const QconvLayer *layer);
/* Plans one pass whose partial results hold an AwqGroup for each group of the chunk. */
void awq_plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work);

/* adopt.c */
extern const QconvEncoder awq_from_gptq;
