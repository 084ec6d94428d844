/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of zeros, which the tests of this folder share. */
#pragma once
#include "fixture.h"

/* A tensor of @n bytes */
typedef struct {
  const char *name, *dtype, *shape;
  gsize n;
} Zeros;
/* Adds the first @n tensors, or those before one without a name, and a tensor that no test is about. */
void add_zeros (Builder *b, const Zeros *tensors, guint n);
