/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The code tables of the ggml types IQ1, IQ2 and IQ3. */
#pragma once
#include "kernels/items/ggml.h"

/* Returns: (transfer none): unpacked by the first call; any thread may ask */
const QconvGgmlGrids *qconv_ggml_grids (void);
