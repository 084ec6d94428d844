/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensors of one layer, looked up once by their names. A look finds them; claim and check take them from there. */
#pragma once
#include "format.h"

/**
 * ComfyMembers: the tensors of one layer. All pointers to tensors may be NULL.
 *
 * @pre_scale: ".pre_quant_scale", also of formats without such a row
 * @rows: (nullable): members of the format
 * @named: for each of @rows the tensor with its suffix or alias
 * @own: for each of @rows the tensor that this row describes. Several rows may have one suffix; one of them owns the
 *   tensor
 */
typedef struct {
  const QconvTensor *weight, *bias, *pre_scale;
  const ComfyMember *rows;
  const QconvTensor **named, **own;
} ComfyMembers;

/* Looks the tensors of @layer up. @m: zero, or filled for another format. @format: (nullable): NULL: no rows */
void comfy_members_find (ComfyMembers *m, const QconvDirectory *d, const char *layer, const ComfyFormat *format);
void comfy_members_clear (ComfyMembers *m);
/* Decides by @size which row owns a tensor that several rows name. */
void comfy_members_fit (ComfyMembers *m, const ComfySize *size);

/* Returns: (transfer none) (nullable): the tensor of the first row with @suffix, its alias included. */
const QconvTensor *comfy_members_named (const ComfyMembers *m, const char *suffix);
/* Returns: (transfer none) (nullable): the tensor that @row owns; NULL before comfy_members_fit(). */
const QconvTensor *comfy_members_own (const ComfyMembers *m, const ComfyMember *row);
