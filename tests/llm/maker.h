/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of this folder share: files beside the weights, random numbers, and results. */
#pragma once
#include "fixture.h"

/* Writes @text as the file @name beside the weights; NULL removes it. */
void write_beside (const char *name, const char *text);
/* Returns the next random number below @below. */
guint32 next_random (guint64 *state, guint32 below);
/* Converts @input to F32. Returns: (transfer full): the numbers of the tensor @name */
GBytes *decoded (const char *input, const char *name);
/* Asserts that the bits of @bytes are those of @want. */
void assert_floats (GBytes *bytes, const float *want, gsize n);
/* Returns how the plan for @target treats the only layer of @input. Returns: (transfer full) */
char *how_planned (const char *input, const char *target);

/* ---- Packed integers of compressed-tensors ---- */

/* @group: 0: one for a row. @zeros: asymmetric */
typedef struct {
  guint rows, cols, bits, group;
  gboolean zeros, padded;
} PackedForm;

/* A layer and the weights that it stands for. @codes, @zero: unsigned */
typedef struct {
  guint32 *codes, *zero;
  float *scale, *weights;
  guint groups, group;
} Packed;
/* Fills the layer with random codes, zeros and scales. */
void packed_fill (Packed *l, const PackedForm *f, guint64 seed);
void packed_clear (Packed *l);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Packed, packed_clear)
/* Adds it to @b as the layer "m". */
void packed_add (Builder *b, const PackedForm *f, const Packed *l);
