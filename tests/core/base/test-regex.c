/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the text that every match of a pattern contains, and that the search for it never hides a match. */
#include "base/regex.h"

static const struct {
  const char *pattern, *needs;
} texts[] = {
  { "^double_blocks\\.\\d+\\.(img|txt)_mod\\.lin$", "double_blocks." },
  { "\\.emb_layers\\.1$", ".emb_layers.1" },
  { "attn2?\\.qkv$", "attn" },
  { "ab+cd", "ab" },
  { "ab*c", "a" },
  { "a\\.?bc", "bc" },
  { "^(time_embed|label_emb)\\.", "." },
  { "(a|b(c)?)de", "de" },
  { "x[)(|]y[]a]zz", "zz" },
  { "x[^]a]*y", "x" },
  { "(?:ab)cd", "cd" },
  { "^(?!lora)head", "head" },
  { "a(\\))b\\(cd", "b(cd" },
  { "", "" },
  { "abc|d", "" },
  { "(?i)abc", "" },
  { "a(?i)bc", "" },
  { "(?<name>a)b", "" },
  { "(*UTF)abc", "" },
  { "a{0}bc", "" },
  { "\\x41bc", "" },
  { "\\Qa|b\\E", "" },
  { "(\\Q)\\E)bc", "" },
  { "[[:alpha:]]bc", "" },
  { "\303\251?bc", "" },
  { "ab.c\\wdef", "def" },
};

static void
test_needs (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *needs = qconv_regex_needs (texts[i].pattern);

      g_assert_cmpstr (needs, ==, texts[i].needs);
    }
}

/* Makes all names of four characters of a small alphabet. No answer may differ from that of GRegex */
static void
test_match (void)
{
  static const char alphabet[] = "abcde.()|";
  const guint n = sizeof alphabet - 1;

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      Regex *r = qconv_regex_new (texts[i].pattern, &error);

      g_assert_no_error (error);
      for (guint code = 0; code < n * n * n * n; code++)
        {
          char name[5] = { alphabet[code % n], alphabet[code / n % n], alphabet[code / n / n % n],
                           alphabet[code / n / n / n], '\0' };

          g_assert_cmpint (qconv_regex_match (r, name), ==, g_regex_match (qconv_regex_compiled (r), name, 0, NULL));
        }
      qconv_regex_free (r);
    }
}

static void
test_refused (void)
{
  g_autoptr (GError) error = NULL;
  Regex *r = qconv_regex_new ("a(b", &error);

  g_assert_null (r);
  g_assert_error (error, G_REGEX_ERROR, G_REGEX_ERROR_UNMATCHED_PARENTHESIS);
  r = qconv_regex_new ("a", NULL);
  g_assert_false (qconv_regex_match (r, "a\377"));
  qconv_regex_free (r);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/regex/needs", test_needs);
  g_test_add_func ("/regex/match", test_match);
  g_test_add_func ("/regex/refused", test_refused);
  return g_test_run ();
}
