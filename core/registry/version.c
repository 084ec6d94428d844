/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

int
qconv_error_exit_status (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return 130;
  if (error->domain != QCONV_ERROR)
    return 1;
  switch ((QconvError) error->code)
    {
    case QCONV_ERROR_INPUT:
    case QCONV_ERROR_UNSUPPORTED:
    case QCONV_ERROR_NON_FINITE:
      return 3;
    case QCONV_ERROR_OPTION:
    case QCONV_ERROR_NO_PLUGIN:
      return 2;
    case QCONV_ERROR_CHECK:
      return 4;
    case QCONV_ERROR_LIMIT:
    case QCONV_ERROR_DEVICE:
    case QCONV_ERROR_BUG:
      return 1;
    }
  return 1;
}
