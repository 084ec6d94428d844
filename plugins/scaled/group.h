/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensors of one layer, found by their names. The reader asks for them and claims those whose weight holds codes. */
#pragma once
#include "names.h"
#include "qconv-reader.h"

/**
 * ScaledGroup: the tensors of one layer that no other reader has claimed.
 *
 * @codes: (nullable): the weight, if its items may be codes
 * @packed: the name of the weight says that its items are no numbers
 * @members: (element-type QconvTensor): all others
 * @roles: (element-type ScaledRole): of @members
 * @scaled: one of @members may scale or index @codes
 */
typedef struct {
  char *layer;
  const QconvTensor *codes;
  gboolean packed, scaled;
  GPtrArray *members;
  GArray *roles;
} ScaledGroup;
/* Returns: (transfer full) (element-type ScaledGroup): groups whose weight may hold codes, in the order of the file.
   @claims: (nullable): leaves out the tensors that are taken */
GPtrArray *scaled_groups (const QconvDirectory *d, const QconvClaims *claims);
/* Returns whether qconv knows no numbers of the type (F4, F6, FNUZ). */
gboolean scaled_is_strange (QconvDType dtype);
