/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes small complete nunchaku files, whole or with one damage, and lists what verify says of them. */
#pragma once
#include "fixture.h"

#define DOUBLE "transformer_blocks.0."
#define SINGLE "single_transformer_blocks.0."
#define WIDTH 128

/**
 * Damage: one change of the model.
 *
 * @tensor: (nullable): its tensor; NULL: metadata. It is added if the model lacks it
 * @dtype: (nullable): its new type, with @shape and @n bytes; NULL: it is dropped unless @patch is set
 * @fill: 16 bits, little-endian: its new items; with @patch only the bytes at @at
 */
typedef struct {
  const char *tensor, *dtype, *shape;
  gsize n;
  guint16 fill;
  gboolean patch;
  gsize at;
} Damage;

/* SDXL: nothing but one block of the middle, because its class has 70 blocks at least */
typedef enum { TINY_FLUX, TINY_QWEN_IMAGE, TINY_Z_IMAGE, TINY_SDXL } TinyKind;
#define MIDDLE "mid_block.attentions.0.transformer_blocks.0."

/**
 * TinyModel: a model of the width 128 with one block of each kind.
 *
 * @damage: (nullable)
 * @from, @to: (nullable): the second replaces the first in all names
 * @plain: (nullable): a module that is not quantized
 * @rank: 0: 16
 * @b, @found: set by tiny_write()
 */
typedef struct {
  TinyKind kind;
  const Damage *damage;
  const char *from, *to, *plain;
  gboolean fp4, plain_refiners;
  guint rank;
  Builder *b;
  gboolean found;
} TinyModel;

/* Metadata, which follow the tensors. @rank: text behind the object "weight" */
#define CONFIG(depth, channels, guidance)                                                                          \
  "{\"num_layers\": " depth ", \"num_single_layers\": 1, \"attention_head_dim\": 64, \"num_attention_heads\": 2, " \
  "\"in_channels\": " channels ", \"out_channels\": null, \"joint_attention_dim\": 32, "                           \
  "\"pooled_projection_dim\": 16, \"guidance_embeds\": " guidance "}"
#define COMFY(class, depth)                                                                                          \
  "{\"model_class\": " class ", \"model_config\": {" depth "\"depth_single_blocks\": 1, \"hidden_size\": 128, "      \
                             "\"num_heads\": 2, \"in_channels\": 16, \"out_channels\": 16, \"context_in_dim\": 32, " \
                             "\"vec_in_dim\": 16, "                                                                  \
                             "\"guidance_embed\": true}}"
#define INT4(rank) "{\"weight\": {\"dtype\": \"int4\", \"group_size\": 64}" rank "}"
#define FP4(rank) "{\"weight\": {\"dtype\": \"fp4_e2m1_all\", \"group_size\": 16}" rank "}"

/* Writes the model. @key: (nullable): of the metadata, which becomes @text, or is left out if that is NULL. Returns:
   (transfer full): the path */
char *tiny_write (TinyModel *m, const char *key, const char *text);
/* Returns: (transfer full): problems as "layer: code: message", then warnings as "warning: text", a line each. @notes:
   (nullable): gets the only note. */
char *tiny_report (const char *path, char **notes);
