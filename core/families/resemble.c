/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares a file of no known family with the templates of all families; resemble.h describes the result. */
#include "families/resemble.h"

#include <string.h>

#include "families/expand.h"
#include "families/missing.h"

enum {
  FEWEST = 8,     /* names: fewer show nothing */
  STRANGERS = 20, /* one name of so many may have no template */
  LOST = 16       /* one tensor of so many may be missing. Other architectures lack one of every block */
};

/* @family, @missing: of the family that lacks the fewest tensors; NULL until one is found */
typedef struct {
  const Names *names;
  const Family *family;
  GPtrArray *missing;
} Search;

/* Returns how many of @original belong to @f; 0 if too many do not */
static guint
count_own (const Family *f, const Names *original)
{
  guint n = qconv_names_length (original), strangers = 0;

  for (guint i = 0; i < n && strangers * STRANGERS <= n; i++)
    strangers += qconv_family_template (f, NULL, qconv_names_name (original, i)) == NULL;
  return strangers * STRANGERS <= n ? n - strangers : 0;
}

/* Compares @behind, the names behind the prefix of @trial, with its family. Its dimensions are not known yet */
static void
compare (Search *s, Identity *trial, const Names *behind)
{
  gboolean renamed = strcmp (trial->naming, "original") != 0;
  g_autoptr (Names) mapped = renamed ? qconv_identity_names (trial, behind, NULL) : NULL;
  const Names *original = renamed ? mapped : behind;
  g_autoptr (GPtrArray) missing = NULL;
  guint own = original != NULL ? count_own (trial->family, original) : 0;

  if (own < FEWEST)
    return;
  trial->dims = qconv_family_infer (trial->family, original, NULL);
  missing = qconv_identity_missing (trial, behind, NULL);
  if (missing->len == 0 || missing->len * LOST > own || (s->missing != NULL && missing->len >= s->missing->len))
    return;
  g_clear_pointer (&s->missing, g_ptr_array_unref);
  s->missing = g_steal_pointer (&missing);
  s->family = trial->family;
}

/* Compares the names behind @prefix with @f in each naming of @f */
static void
compare_namings (Search *s, const Family *f, const char *prefix)
{
  const FamilyData *data = qconv_family_data (f);
  gboolean all = *prefix == '\0' && data->prefix_rewrites.n == 0;
  g_autoptr (Names) cut = all ? NULL : qconv_names_behind (s->names, prefix, &data->prefix_rewrites);
  const Names *behind = all ? s->names : cut;

  if (qconv_names_length (behind) < FEWEST)
    return;
  for (guint i = 0; i < data->detect.namings.n; i++)
    {
      g_autoptr (Identity) trial = g_new0 (Identity, 1);

      trial->family = f;
      trial->naming = data->detect.namings.at[i].result;
      trial->prefix = g_strdup (prefix);
      compare (s, trial, behind);
    }
}

GPtrArray *
qconv_identity_resembles (const Families *families, const Names *names, const Identity *id, const Family **family)
{
  const GPtrArray *list = qconv_families_list (families);
  Search s = { .names = names };

  for (guint i = 0; i < list->len; i++)
    {
      const Family *f = g_ptr_array_index (list, i);

      compare_namings (&s, f, "");
      if (*id->prefix != '\0')
        compare_namings (&s, f, id->prefix);
    }
  if (s.missing == NULL)
    return g_ptr_array_new_with_free_func (g_free);
  *family = s.family;
  return s.missing;
}
