/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Splits the name of a tensor into its layer and its role. The reader groups tensors by it. */
#pragma once
#include <glib.h>

/**
 * ScaledRole: what the words of a name say about a tensor. The larger role counts if the words have several.
 *
 * @SCALED_OTHER: nothing; the whole name is that of the layer
 * @SCALED_NEUTRAL: only words such as "block", which go with others
 * @SCALED_CODES: it is the weight
 * @SCALED_PACKED: it is the weight, and its items are surely no numbers
 * @SCALED_FACTOR: the weight is multiplied by it
 * @SCALED_SCALE: the weight cannot be decoded without it
 * @SCALED_INPUT: it scales the layer's input or output, so the weight does not need it
 */
typedef enum {
  SCALED_OTHER,
  SCALED_NEUTRAL,
  SCALED_CODES,
  SCALED_PACKED,
  SCALED_FACTOR,
  SCALED_SCALE,
  SCALED_INPUT,
} ScaledRole;

/* Removes the words of a role from the end of @name. Examples: "m.weight_scale_inv", "m.weight._scale" and "m.W_q" are
   tensors of the layer "m", "m.up_proj_blocks" is one of "m.up_proj".
   Returns: (transfer full): the name of the layer */
char *scaled_layer_name (const char *name, ScaledRole *role);
/* Returns whether @name ends in a word of a tensor that scales nothing, such as a bias. */
gboolean scaled_is_innocent (const char *name);
