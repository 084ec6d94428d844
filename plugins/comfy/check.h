/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the tensors of one layer for ComfyUI's loader. Looks call it for members, check() of the reader for
   numbers. */
#pragma once
#include "look.h"

/* Adds a trouble for every member that is missing, or has the wrong type, shape or name. */
void comfy_check_members (const ComfyLook *l);
/* Reads the scales and adds a trouble for each one that holds an invalid number. */
void comfy_check_numbers (const ComfyLook *l);
/* Returns whether @t, the tensor of @m, is named input_scale but is not one number: convert_to_quant copies the tiles
   of block scales there. */
gboolean comfy_is_odd_input (const ComfyLook *l, const ComfyMember *m, const QconvTensor *t);
