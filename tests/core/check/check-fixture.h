/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model of the toy world, and reports about it, for the tests of the check. */
#pragma once
#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

/* Three layers in F32, of which the targets of the toy quantize "a" and "b" */
extern const ToyTensor check_model[];

/* Returns: (transfer full): what verify says of @path. @original: (nullable); @memory, @n_threads: 0: the default */
QconvReport *check_verify (const char *path, const char *original, guint64 memory, guint n_threads);
/* Returns: (transfer none) (nullable): the error of layer @name */
const QconvLayerError *check_find_layer (const QconvReport *r, const char *name);
