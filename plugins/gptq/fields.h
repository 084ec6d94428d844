/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Codes of 2 to 8 bits in packed words, 64 at a time. 64 codes fill whole words of 8, 16, 32 and 64 bits. */
#pragma once
#include "spread.h"

#define GPTQ_RUN 64
/* Bytes of GPTQ_RUN codes, and more, which unpacking may read */
#define GPTQ_RUN_BYTES(bits) ((gsize) 8 * (bits))
#define GPTQ_RUN_SIZE (GPTQ_RUN_BYTES (8) + QCONV_SPREAD)

/**
 * GptqPacking: how codes lie in words.
 *
 * @word: bytes of a word: 1, 2, 4 or 8
 * @planar: each 32 codes are split into planes of 1, 2 and 4 bits (GPTQModel: utils/planar_packing.py)
 */
typedef struct {
  guint bits, word;
  gboolean planar;
} GptqPacking;
/* Returns the words that hold @n codes. */
guint64 gptq_words (const GptqPacking *p, guint64 n);
/* Unpacks GPTQ_RUN codes from GPTQ_RUN_SIZE bytes. */
void gptq_unpack (const GptqPacking *p, const guint8 *src, guint8 codes[GPTQ_RUN]);

/* Unpacks GPTQ_RUN codes of 2 to 4 bits, which are not planar, to two in a byte, the first low. */
void gptq_unpack_nibbles (const GptqPacking *p, const guint8 *src, guint8 nibbles[GPTQ_RUN / 2]);

/**
 * GptqZeros: how a stored zero point is meant.
 *
 * @GPTQ_ZEROS_AS_STORED: version 2
 * @GPTQ_ZEROS_PLUS_ONE: version 1: one is added to each, so that the largest becomes 2^bits
 * @GPTQ_ZEROS_PACKED: version 1 as GPTQModel makes it from version 2, by arithmetic on whole words: one is added to
 *   each, and what overflows is carried to the next of the word; for 3 bits it is lost (utils/model.py
 *   convert_gptq_v1_to_v2_format_module)
 */
typedef enum { GPTQ_ZEROS_AS_STORED, GPTQ_ZEROS_PLUS_ONE, GPTQ_ZEROS_PACKED } GptqZeros;
/* Turns GPTQ_RUN stored zero points into those that are meant. */
void gptq_read_zeros (const GptqPacking *p, GptqZeros how, const guint8 codes[GPTQ_RUN], gint16 zeros[GPTQ_RUN]);
