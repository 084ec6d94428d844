/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Defines the domain of our errors, and the exit status of the program for each of them. Everything that fails calls
   it. */
#include "base/error.h"

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

gboolean
qconv_fail_by_errno (GError **error, int code, const char *path)
{
  g_set_error (error, G_IO_ERROR, (gint) g_io_error_from_errno (code), "%s: %s", path, g_strerror (code));
  return FALSE;
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

static gboolean
is_ours (GError **error)
{
  return error != NULL && (*error)->domain == QCONV_ERROR;
}

void
qconv_error_name_file (GError **error, const char *path)
{
  if (is_ours (error) && (*error)->code != QCONV_ERROR_OPTION && (*error)->code != QCONV_ERROR_NO_PLUGIN
      && (*error)->code != QCONV_ERROR_LIMIT)
    g_prefix_error (error, "%s: ", path);
}

void
qconv_error_name_layer (GError **error, const char *layer)
{
  g_autofree char *prefix = g_strdup_printf ("layer \"%s\": ", layer);

  if (is_ours (error) && !g_str_has_prefix ((*error)->message, prefix))
    g_prefix_error_literal (error, prefix);
}
