/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Returns the version of this build and the level of its kernels. The program prints both. */
#include "kernels/kernels.h"
#include "qconv.h"

const char *
qconv_version (void)
{
  return QCONV_VERSION;
}

const char *
qconv_cpu_level (void)
{
  return qconv_kernel_level_chosen ()->name;
}
