/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares names with regular expressions, after a search for a text that every match contains: GRegex allocates
   20 KiB for each comparison. */
#include "base/regex.h"

#include <string.h>

struct _Regex {
  GRegex *compiled;
  char *needs;
};

/* Moves *@at from a class's first bracket to its last one. Returns FALSE if the class is not simple */
static gboolean
skip_class (const char **at)
{
  const char *p = *at + ((*at)[1] == '^' ? 2 : 1);

  for (const char *first = p; *p != '\0' && (*p != ']' || p == first); p++)
    {
      if (*p == '[')
        return FALSE;
      if (*p == '\\' && p[1] != '\0')
        p++;
    }
  *at = p;
  return *p == ']';
}

/* Keeps the longer of @best and @run, and begins a new run */
static void
end_run (GString *best, GString *run)
{
  if (run->len > best->len)
    g_string_assign (best, run->str);
  g_string_truncate (run, 0);
}

/* Takes what begins at *@at, outside of groups: adds a character to @run, or ends the run. Returns FALSE if this may
   mean something else */
static gboolean
take (const char **at, GString *best, GString *run)
{
  const char *p = *at;
  gboolean escaped = *p == '\\';

  if (*p == '?' || *p == '*')
    g_string_truncate (run, run->len - MIN (run->len, 1));
  if (escaped)
    p = ++*at;
  if (escaped ? g_ascii_ispunct (*p) : g_ascii_isalnum (*p) || strchr ("_-/ ,:;", *p) != NULL)
    {
      g_string_append_c (run, *p);
      return TRUE;
    }
  end_run (best, run);
  if (*p == '[' && !escaped)
    return skip_class (at);
  return *p != '\0' && strchr (escaped ? "dDwWsSbB" : "?*+^$.", *p) != NULL;
}

char *
qconv_regex_needs (const char *pattern)
{
  GString *best = g_string_new (NULL);
  g_autoptr (GString) run = g_string_new (NULL);
  gboolean known = TRUE;
  guint depth = 0;

  for (const char *p = pattern; known && *p != '\0'; p++)
    if (*p == '(')
      {
        end_run (best, run);
        depth++;
        /* Options such as (?i) change what follows, and verbs such as (*UTF) what all means */
        known = p[1] != '*' && (p[1] != '?' || (p[2] != '\0' && strchr (":=!", p[2]) != NULL));
      }
    else if (*p == ')')
      depth -= MIN (depth, 1);
    else if (depth == 0)
      known = take (&p, best, run);
    else if (*p == '[')
      known = skip_class (&p);
    else if (*p == '\\')
      known = *++p != '\0' && *p != 'Q';
  end_run (best, run);
  if (!known)
    g_string_truncate (best, 0);
  return g_string_free (best, FALSE);
}

Regex *
qconv_regex_new (const char *pattern, GError **error)
{
  GRegex *compiled = g_regex_new (pattern, 0, 0, error);
  Regex *r = compiled != NULL ? g_new (Regex, 1) : NULL;

  if (r == NULL)
    return NULL;
  r->compiled = compiled;
  r->needs = qconv_regex_needs (pattern);
  return r;
}

void
qconv_regex_free (Regex *r)
{
  g_regex_unref (r->compiled);
  g_free (r->needs);
  g_free (r);
}

gboolean
qconv_regex_match (const Regex *r, const char *name)
{
  return strstr (name, r->needs) != NULL && g_utf8_validate (name, -1, NULL)
         && g_regex_match (r->compiled, name, 0, NULL);
}

GRegex *
qconv_regex_compiled (const Regex *r)
{
  return r->compiled;
}
