/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensor types that synthetic models are written in. The block types follow ggml's reference quantizers. */
#pragma once
#include <glib.h>

/**
 * ModelType: one type of stored numbers.
 *
 * @name: as on the command line
 * @safetensors: (nullable): its dtype there
 * @gguf: number of the type in GGUF
 * @file_type: general.file_type of a model of it
 * @items, @bytes: of one block
 * @scale: 1, or what a side tensor "<stem>.scale" says and values are divided by before they are encoded
 * @encode: @n items, a multiple of @items
 */
typedef struct {
  const char *name, *safetensors;
  guint32 gguf, file_type;
  guint items, bytes;
  float scale;
  void (*encode) (const float *src, gsize n, guint8 *dst);
} ModelType;

/* Returns: (nullable) */
const ModelType *model_type_find (const char *name);

guint16 encode_half (float x);
void encode_q4_0 (const float *src, gsize n, guint8 *dst);
void encode_q4_1 (const float *src, gsize n, guint8 *dst);
void encode_q5_0 (const float *src, gsize n, guint8 *dst);
void encode_q5_1 (const float *src, gsize n, guint8 *dst);
void encode_q8_0 (const float *src, gsize n, guint8 *dst);
void encode_mxfp4 (const float *src, gsize n, guint8 *dst);
void encode_nvfp4 (const float *src, gsize n, guint8 *dst);
