/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

QconvModel *
cli_model_open (const CliSettings *s, const char *path, const char *from, gboolean for_verify, GError **error)
{
  QconvOpenOptions options = { .from = from,
                               .options = (const char *const *) s->settings->pdata,
                               .family_file = s->family_file,
                               .allow_nonfinite = s->allow_nonfinite,
                               .for_verify = for_verify,
                               .warn = cli_warn };

  if (from != NULL)
    {
      g_autoptr (GPtrArray) names = cli_format_names ();

      if (!g_strv_contains ((const char *const *) names->pdata, from))
        {
          cli_fail_unknown (error, QCONV_ERROR_NO_PLUGIN, g_strdup_printf (_ ("unknown format \"%s\""), from), from,
                            (const char *const *) names->pdata);
          return NULL;
        }
    }
  return qconv_model_open (path, &options, error);
}
