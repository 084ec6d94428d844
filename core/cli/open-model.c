/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens an input as the options say. */
#include <glib/gi18n.h>

#include "cli/features.h"
#include "cli/open-model.h"
#include "cli/term.h"

QconvModel *
cli_model_open (const CliInput *input, const char *path, const char *from, gboolean for_verify, GPtrArray *warnings,
                GError **error)
{
  QconvOpenOptions options = { .from = from,
                               .options = (const char *const *) input->plugin_options->pdata,
                               .family_file = input->family_file,
                               .allow_nonfinite = input->allow_nonfinite,
                               .plain = (const char *const *) input->unscaled->pdata,
                               .for_verify = for_verify,
                               .warn = cli_warn,
                               .warn_data = warnings };

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
