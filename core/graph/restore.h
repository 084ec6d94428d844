/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shapes that a container could not hold. */
#pragma once
#include "families/identity.h"

/* GGUF drops leading ones and has four axes at most: some writers fold the first two of a convolution (ggml: gguf.md;
   stable-diffusion.cpp). Returns: (transfer full) (nullable): @names with the shapes that the templates of @id's family
   have; NULL where all do */
Names *qconv_restore_shapes (const Identity *id, const Names *names);
