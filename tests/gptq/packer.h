/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes layers as GPTQ and AutoAWQ store them, bit by bit, so that the tests share no code with the readers. */
#pragma once
#include "fixture.h"

/**
 * GptqRecipe: what a layer is to be.
 *
 * @group: columns of a group; 0: all
 * @word: bits of a word
 * @planar: codes are split into planes
 * @stored_less: 1: version 1 of zero points, 0: version 2
 * @borrows: version 1 is made from version 2 by arithmetic on words of 32 bits
 * @symmetric: all zero points are 2^(bits - 1)
 * @shuffled: columns belong to groups in any order
 * @no_index: leaves out g_idx
 */
typedef struct {
  guint bits, rows, cols, group, word;
  gboolean planar, symmetric, shuffled, no_index, borrows;
  guint stored_less;
} GptqRecipe;

/**
 * GptqSample: a layer before it is packed.
 *
 * @codes: [rows, cols]; @zeros, @scales: [rows, groups]
 */
typedef struct {
  GptqRecipe recipe;
  guint groups;
  guint8 *codes;
  gint16 *zeros;
  float *scales;
  gint32 *index;
} GptqSample;
/* Returns: (transfer full): random codes, zero points and scales, the same in every run. Scales are F16 numbers. */
GptqSample *gptq_sample_new (const GptqRecipe *recipe, guint32 seed);
/* Replaces codes, zero points and scales by those nearest to @weights, [rows, cols]. */
void gptq_sample_quantize (GptqSample *s, const float *weights);
void gptq_sample_free (GptqSample *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GptqSample, gptq_sample_free)
/* Returns: (transfer full): the weight, [rows, cols] */
float *gptq_sample_values (const GptqSample *s);

/* Adds qweight, qzeros, scales and g_idx of the layer @name. */
void gptq_sample_add (const GptqSample *s, Builder *b, const char *name);
/* Does the same in AutoAWQ's packings; the recipe must have 4 bits and no order of its own. */
void gptq_sample_add_gemm (const GptqSample *s, Builder *b, const char *name);
void gptq_sample_add_gemv (const GptqSample *s, Builder *b, const char *name);

/* Writes JSON beside the files of the test; NULL removes it. */
void gptq_write_config (const char *json);
/* Asserts that the layers in @path decode to @values, [rows, cols] of @s. */
void gptq_assert_decodes (const char *path, const char *name, const GptqSample *s, const char *const *options);
