/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files that are written through all modules, and what is in them. */
#pragma once
#include "build.h"
#include "comfy/fixture.h"

enum { ROWS = 64, COLS = 256 };

/* A block type: its number in the format, and the target that writes it */
typedef struct {
  guint32 id;
  const char *name, *target;
  guint items, bytes;
} BlockType;
#define N_BLOCK_TYPES 16
extern const BlockType block_types[N_BLOCK_TYPES];
/* Two of them */
#define Q8_0 (&block_types[4])
#define NVFP4 (&block_types[N_BLOCK_TYPES - 1])

/* Returns: (transfer full): blocks of rows of COLS, whose F16 fields are finite. Codes of MXFP4 are not −0, which
   readers make 0. Scales of NVFP4 lie between 2 and 16, so that they can be multiplied by a power of two. */
guint8 *random_blocks (const BlockType *type, guint rows, gsize *n);

/* Returns: (transfer full): the path of the file that @b makes. */
char *write_build (const Build *b, const char *name);

/* What a conversion did. @how: of the layers, one a line; @warnings: of the plan */
typedef struct {
  QconvModel *model;
  GString *how;
  GPtrArray *warnings;
} Written;
void written_clear (Written *w);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Written, written_clear)

/* Runs @job, whose output is @name, and asserts that its file has the planned size and opens without a warning. */
Written write_job (const char *input, const char *name, QconvJob job);
/* Quantizes all layers that the target can hold; a target of floats knows no rules. */
Written write_all (const char *input, const char *name, const char *target);

/* Returns: (transfer none): the tensor called @name, which must exist. */
const QconvTensor *find (const Written *w, const char *name);
/* Asserts that the tensor has the bytes @want. */
void assert_bytes (const Written *w, const char *name, gconstpointer want, gsize n);
/* Returns: (transfer none) (nullable): the value of @key. */
GVariant *metadata (const Written *w, const char *key);
/* Asserts that the value of @key is @expected, as g_variant_print() spells it; NULL: there is none. */
void assert_value (const Written *w, const char *key, const char *expected);
