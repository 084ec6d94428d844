/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qconv-types.h"

/* clang-format off */
G_DEFINE_QUARK (qconv-error-quark, qconv_error)
/* clang-format on */

gboolean
qconv_fail (GError **error, QconvError code, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (QCONV_ERROR, (gint) code, format, args);
  va_end (args);
  return FALSE;
}
