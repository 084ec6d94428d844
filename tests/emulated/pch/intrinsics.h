/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiled once for each emulated level: SIMDe is long, and most kernels include it */
#if QCONV_VECTOR == 128
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
