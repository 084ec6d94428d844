/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the FP8 and MXFP8 kernels of all levels include. */
#pragma once
#include "kernels/items/fp8.h"
#include "kernels/ops.h"
