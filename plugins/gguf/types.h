/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensor types of GGUF (ggml: ggml.h enum ggml_type, ggml-common.h). Header, reader and quantizers look them up. */
#pragma once
#include "qconv-plugin.h"

/* Block types: number, name, scheme, items and bytes of one block, and the places of its F16 fields if big-endian
   files of this type exist, else -1. The last number is the worst relative MSE that the check accepts of an encoded
   layer, or 0 if there is no encoder. It is far above the error of normally distributed weights: larger ones come
   from scales that F16 lacks. The scheme is the stem of the operations. Q8_1 and Q8_K are types of ggml's run time,
   but nothing forbids them in a file. */
#define GGUF_BLOCK_TYPES(X)                           \
  X (2, "Q4_0", q4_0, 32, 18, 0, -1, 0.13)            \
  X (3, "Q4_1", q4_1, 32, 20, -1, -1, 0.13)           \
  X (6, "Q5_0", q5_0, 32, 22, -1, -1, 0.04)           \
  X (7, "Q5_1", q5_1, 32, 24, -1, -1, 0.04)           \
  X (8, "Q8_0", q8_0, 32, 34, 0, -1, 5e-4)            \
  X (9, "Q8_1", q8_1, 32, 36, -1, -1, 0)              \
  X (10, "Q2_K", q2_k, 256, 84, -1, -1, 0.5)          \
  X (11, "Q3_K", q3_k, 256, 110, -1, -1, 0.25)        \
  X (12, "Q4_K", q4_k, 256, 144, 0, 2, 0.08)          \
  X (13, "Q5_K", q5_k, 256, 176, -1, -1, 0.03)        \
  X (14, "Q6_K", q6_k, 256, 210, 208, -1, 8e-3)       \
  X (15, "Q8_K", q8_k, 256, 292, -1, -1, 0)           \
  X (16, "IQ2_XXS", iq2_xxs, 256, 66, -1, -1, 0)      \
  X (17, "IQ2_XS", iq2_xs, 256, 74, -1, -1, 0)        \
  X (18, "IQ3_XXS", iq3_xxs, 256, 98, -1, -1, 0)      \
  X (19, "IQ1_S", iq1_s, 256, 50, -1, -1, 0)          \
  X (20, "IQ4_NL", iq4_nl, 32, 18, -1, -1, 0.1)       \
  X (21, "IQ3_S", iq3_s, 256, 110, -1, -1, 0)         \
  X (22, "IQ2_S", iq2_s, 256, 82, -1, -1, 0)          \
  X (23, "IQ4_XS", iq4_xs, 256, 136, -1, -1, 0.1)     \
  X (29, "IQ1_M", iq1_m, 256, 56, -1, -1, 0)          \
  X (34, "TQ1_0", tq1_0, 256, 54, -1, -1, 0.95)       \
  X (35, "TQ2_0", tq2_0, 256, 66, -1, -1, 0.95)       \
  X (39, "MXFP4", mxfp4_blocks, 32, 17, -1, -1, 0.13) \
  X (40, "NVFP4", nvfp4_blocks, 64, 36, -1, -1, 0.13) \
  X (41, "Q1_0", q1_0, 128, 18, -1, -1, 0)            \
  X (42, "Q2_0", q2_0, 64, 18, -1, -1, 0)

/* The two block types that the reader unpacks into the components of "mxfp4" and "nvfp4". */
#define GGUF_MXFP4 39
#define GGUF_NVFP4 40

/**
 * GgufType: one type.
 *
 * @items, @bytes: of one block; a plain type has blocks of one item
 * @dtype: QCONV_OPAQUE: blocks
 * @scheme: (nullable): of blocks
 * @bound: the worst relative MSE of an encoded layer; 0: decode only
 * @halves: bytes from the start of a block to the F16 fields that big-endian files swap; -1: no field. A block type
 *   without any is not read from big-endian files
 */
typedef struct {
  guint32 id;
  const char *name;
  guint32 items, bytes;
  QconvDType dtype;
  const char *scheme;
  double bound;
  gint16 halves[2];
} GgufType;

/* Returns: (transfer none) (nullable): the type with this number; NULL if it was never used, was removed, or is
   newer. */
const GgufType *qconv_gguf_type (guint32 id);
/* Returns: (transfer none) (nullable): the type called @name, as QconvTensor.type has it. */
const GgufType *qconv_gguf_type_named (const char *name);

/* Returns: (transfer none) (nullable): the type of plain items. */
const GgufType *qconv_gguf_type_plain (QconvDType dtype);
/* Returns the number of matrices of @cols columns that a weight holds. Each may have a tensor scale of its own. */
guint64 qconv_gguf_matrices (const QconvShape *shape, guint64 cols);
