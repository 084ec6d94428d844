/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types that the generator writes the tensors of synthetic models in. The block types follow ggml's reference
   quantizers. */
#pragma once
#include <glib.h>

/**
 * ModelType: one type of stored numbers.
 *
 * @name: as on the command line
 * @safetensors: (nullable): its dtype in safetensors; NULL if there is none
 * @gguf: its number in GGUF
 * @file_type: general.file_type of a model that has it
 * @items, @bytes: of one block
 * @scale: values are divided by it before they are encoded; if it is not 1, a tensor "<stem>.scale" holds it
 * @encode: encodes @n items, a multiple of @items
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
