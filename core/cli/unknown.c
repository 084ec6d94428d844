/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers to words that no table has, but that users of other programs type: half a target, an option for the output.
   The commands call it. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/features.h"
#include "cli/term.h"
#include "cli/unknown.h"

/* More targets than this are not listed */
enum { MOST_TARGETS = 8 };

/* Returns: (transfer full): the pieces of @word between hyphens, underscores, points and spaces, in small letters.
   Floats of 16 and 32 bits are called as targets call them: "fp16" becomes "f16" */
static GStrv
split_pieces (const char *word)
{
  g_autofree char *small = g_ascii_strdown (word, -1);
  GStrv pieces = g_strsplit_set (small, "-_. ", -1);

  for (guint i = 0; pieces[i] != NULL; i++)
    if (strcmp (pieces[i], "fp16") == 0 || strcmp (pieces[i], "fp32") == 0)
      memmove (pieces[i] + 1, pieces[i] + 2, strlen (pieces[i] + 2) + 1);
  return pieces;
}

/* Returns how well @target answers @pieces: 2 if one of them is its scheme, 1 if one is another piece of its name */
static guint
likeness (const QconvTargetInfo *target, const char *const *pieces)
{
  g_auto (GStrv) own = split_pieces (target->name);

  if (g_strv_contains (pieces, target->target->name))
    return 2;
  for (guint i = 0; own[i] != NULL; i++)
    if (g_strv_contains (pieces, own[i]))
      return 1;
  return 0;
}

/* Returns: (transfer full): "nvfp4-comfy, fp8-comfy": the targets that answer @word best; "" if there are none */
static char *
targets_like (const char *word)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_auto (GStrv) pieces = split_pieces (word);
  g_autoptr (GString) text = g_string_new (NULL);
  guint most = 1, n = 0;

  for (guint i = 0; i < targets->len; i++)
    most = MAX (most, likeness (targets->pdata[i], (const char *const *) pieces));
  for (guint i = 0; i < targets->len; i++)
    if (likeness (targets->pdata[i], (const char *const *) pieces) == most && ++n <= MOST_TARGETS)
      g_string_append_printf (text, "%s%s", n > 1 ? ", " : "", ((const QconvTargetInfo *) targets->pdata[i])->name);
  if (n > MOST_TARGETS)
    g_string_append (text, ", …");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

gboolean
cli_fail_unknown_target (const char *word, GError **error)
{
  g_autoptr (GPtrArray) names = cli_target_names (), formats = cli_format_names ();
  g_autofree char *small = g_ascii_strdown (word, -1), *like = targets_like (word);

  if (qconv_nearest (small, (const char *const *) names->pdata) != NULL)
    return cli_fail_unknown (error, QCONV_ERROR_NO_PLUGIN, g_strdup_printf (_ ("unknown target \"%s\""), word), small,
                             (const char *const *) names->pdata);
  if (*like != '\0')
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN,
                       _ ("unknown target \"%s\"; targets like it: %s; 'qconv targets' lists all"), word, like);
  if (g_strv_contains ((const char *const *) formats->pdata, small))
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN,
                       _ ("unknown target \"%s\": this format is read, but not written; 'qconv targets' lists the "
                          "targets"),
                       word);
  return qconv_fail (error, QCONV_ERROR_NO_PLUGIN, _ ("unknown target \"%s\"; 'qconv targets' lists the targets"),
                     word);
}

/* Returns whether other programs name the output or the input with @option, "--output" */
static gboolean
names_file (const char *option)
{
  static const char *const starts[] = { "--out", "--in", "--file", "--model", "--src", "--dst", "--dest" };

  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    if (g_str_has_prefix (option, starts[i]))
      return TRUE;
  return FALSE;
}

gboolean
cli_fail_unknown_option (const char *option, const char *const *labels, GError **error)
{
  if (names_file (option))
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       _ ("unknown option \"%s\"; files are named without options, the output is the second name: "
                          "qconv --to TARGET INPUT OUTPUT"),
                       option);
  return cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("unknown option \"%s\""), option), option,
                           labels);
}

/* Returns whether @setting, a value of -o, is the name of a file: it has no "=", and a slash or the end of a model's
   name */
static gboolean
looks_like_file (const char *setting)
{
  GPtrArray *containers = qconv_registry_containers ();

  if (strchr (setting, '=') != NULL)
    return FALSE;
  for (guint i = 0; i < containers->len; i++)
    for (const char *const *s = ((const QconvContainer *) containers->pdata[i])->suffixes; *s != NULL; s++)
      if (g_str_has_suffix (setting, *s))
        return TRUE;
  return strchr (setting, G_DIR_SEPARATOR) != NULL;
}

gboolean
cli_check_settings (const CliInput *input, GError **error)
{
  for (guint i = 0; input->plugin_options->pdata[i] != NULL; i++)
    {
      const char *setting = input->plugin_options->pdata[i];

      if (looks_like_file (setting))
        return qconv_fail (error, QCONV_ERROR_OPTION,
                           _ ("-o %s: -o sets an option of a plugin, KEY=VALUE; the output is the second name: qconv "
                              "--to TARGET INPUT OUTPUT"),
                           setting);
    }
  return TRUE;
}
