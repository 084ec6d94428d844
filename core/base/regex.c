/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks regular expressions when they are read, and compiles them for speed when they are first used. */
#include "base/regex.h"

struct _Pattern {
  const char *text;
  GRegex *regex; /* set once, by the first who needs it */
};

Regex *
qconv_regex_new (const char *text, GError **error)
{
  g_autoptr (GRegex) checked = g_regex_new (text, 0, 0, error);
  Regex *p = checked != NULL ? g_new0 (Regex, 1) : NULL;

  if (p != NULL)
    p->text = text;
  return p;
}

void
qconv_regex_free (Regex *p)
{
  g_clear_pointer (&p->regex, g_regex_unref);
  g_free (p);
}

GRegex *
qconv_regex_compiled (Regex *p)
{
  if (g_once_init_enter (&p->regex))
    g_once_init_leave (&p->regex, g_regex_new (p->text, G_REGEX_OPTIMIZE, 0, NULL));
  return p->regex;
}

gboolean
qconv_regex_match (Regex *p, const char *name)
{
  return g_utf8_validate (name, -1, NULL) && g_regex_match (qconv_regex_compiled (p), name, 0, NULL);
}
