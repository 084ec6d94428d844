/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restores shapes that a container could not hold. GGUF lists axes from the last to the first and has four at most. Its
   writers drop sizes of 1 at the end of that list, which are the first axes of our shapes, and fold the first two axes
   of a convolution into one (ggml: gguf.md; stable-diffusion.cpp). Identification restores names and shapes before
   dimensions are known; the mapping restores layers when they are. */
#pragma once
#include "families/identity.h"

/* Sets @out to the shape that @have had before the container dropped or folded axes. Returns FALSE if @have lost none,
   or if @want cannot have become @have.
   @want: the shape in the family's template, with 0 for each size that is not known
   @rows: size of the first axis by other evidence, such as the bias; 0: not known */
gboolean qconv_restore_shape (const QconvShape *have, const QconvShape *want, guint64 rows, QconvShape *out);
/* Returns @names with the shapes that the templates of @id's family have, or NULL if no shape lost an axis. Uses the
   sizes that are numbers in the templates, and biases for folded axes. (transfer full) */
Names *qconv_restore_shapes (const Identity *id, const Names *names);
