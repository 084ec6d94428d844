/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares and shortens names, and adds ".weight" to them or removes it. All of core calls it, and programs some of
   it. */
#include "base/names.h"

#include <string.h>

#include "qconv.h"

#define WEIGHT ".weight"
#define FIRST_NAMES 5 /* of a list in a message */

gint
qconv_compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char *
qconv_first_names (const GPtrArray *names)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < MIN (names->len, FIRST_NAMES); i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", (const char *) g_ptr_array_index (names, i));
  return g_string_free (g_string_append (text, names->len > FIRST_NAMES ? ", …" : ""), FALSE);
}

char *
qconv_text_start (const char *text, guint most)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autofree char *start = g_utf8_substring (valid, 0, MIN ((glong) most, g_utf8_strlen (valid, -1)));

  return g_strconcat (start, strlen (start) < strlen (valid) ? "…" : "", NULL);
}

char *
qconv_name_of_set (const char *name)
{
  g_autoptr (GRegex) number = g_regex_new ("-[0-9]{5}(-of-[0-9]{5}\\.[^/.]*)$", G_REGEX_RAW, 0, NULL);

  return g_regex_replace (number, name, -1, 0, "\\1", 0, NULL);
}

gboolean
qconv_is_weight_name (const char *name)
{
  return g_str_has_suffix (name, WEIGHT);
}

char *
qconv_weight_stem (const char *name)
{
  return g_strndup (name, strlen (name) - (qconv_is_weight_name (name) ? strlen (WEIGHT) : 0));
}

char *
qconv_weight_name (const char *layer)
{
  return g_strconcat (layer, WEIGHT, NULL);
}

char *
qconv_bias_name (const char *weight)
{
  g_autofree char *layer = qconv_weight_stem (weight);

  return g_strconcat (layer, ".bias", NULL);
}
