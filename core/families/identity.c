/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognizes a model: tries the families behind their prefixes, then finds the variant and the dimensions.
   graph/identify.c calls it. */
#include <string.h>

#include "families/advice.h"
#include "families/identity.h"
#include "families/keymap.h"

/* Caches names behind a prefix for all families that strip and rewrite alike */
typedef struct {
  const Names *names;
  GHashTable *behind; /* prefix and rewrites -> Names */
} Views;

static void
free_names (gpointer data)
{
  qconv_names_free (data);
}

void
qconv_identity_free (Identity *id)
{
  if (id == NULL)
    return;
  g_free (id->prefix);
  qconv_dims_free (id->dims);
  g_free (id);
}

/* Returns whether programs of some architectures change rows or numbers in files of the naming of @id */
static gboolean
depends_on_architecture (const Identity *id)
{
  const FamilyKeymaps *maps = &qconv_family_data (id->family)->keymaps;

  for (guint i = 0; i < maps->n; i++)
    if (strcmp (maps->at[i].b, id->naming) == 0
        && (maps->at[i].permute.tensors != NULL || maps->at[i].offset.tensors != NULL))
      return TRUE;
  return FALSE;
}

const char *
qconv_identity_architecture (const Identity *id)
{
  const FamilyData *data = qconv_family_data (id->family);

  if (depends_on_architecture (id))
    return NULL;
  for (guint i = 0; id->dims != NULL && i < data->architecture_of.n; i++)
    if (qconv_dims_hold (id->dims, data->architecture_of.at[i].when))
      return data->architecture_of.at[i].architecture;
  return data->architecture_of.n == 0 && data->architectures != NULL ? data->architectures[0] : NULL;
}

Identity *
qconv_identity_copy (const Identity *id)
{
  Identity *copy = g_new (Identity, 1);

  *copy = *id;
  copy->prefix = g_strdup (id->prefix);
  copy->dims = id->dims != NULL ? qconv_dims_copy (id->dims) : NULL;
  return copy;
}

static char *
view_key (const char *prefix, const FamilyPairs *rewrites)
{
  GString *key = g_string_new (prefix);

  for (guint i = 0; i < rewrites->n; i++)
    g_string_append_printf (key, "\n%s\n%s", rewrites->at[i].from, rewrites->at[i].to);
  return g_string_free (key, FALSE);
}

/* Returns the names behind @prefix, or NULL if no name starts with it. (transfer none) */
static const Names *
view (Views *views, const char *prefix, const FamilyPairs *rewrites)
{
  g_autofree char *key = NULL;
  Names *behind;

  if (*prefix == '\0' && rewrites->at == NULL)
    return views->names;
  if (!qconv_names_starting (views->names, prefix))
    return NULL;
  key = view_key (prefix, rewrites);
  behind = g_hash_table_lookup (views->behind, key);
  if (behind == NULL)
    {
      behind = qconv_names_behind (views->names, prefix, rewrites);
      g_hash_table_insert (views->behind, g_steal_pointer (&key), behind);
    }
  return behind;
}

/* Returns how many of @list (nullable) are there */
static guint
count_present (const Names *names, FamilyTexts list)
{
  guint n = 0;

  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    n += qconv_names_find (names, list[i]) != NULL;
  return n;
}

static gboolean
names_hold (const Names *names, const FamilyDetectRule *rule)
{
  for (guint i = 0; rule->all_of != NULL && rule->all_of[i] != NULL; i++)
    if (qconv_names_find (names, rule->all_of[i]) == NULL)
      return FALSE;
  for (guint i = 0; i < rule->any_of.n; i++)
    if (count_present (names, rule->any_of.at[i]) == 0)
      return FALSE;
  return count_present (names, rule->none_of) == 0;
}

static gboolean
compare_size (const FamilyComparison *c, guint64 size)
{
  if (c->eq.given)
    return size == (guint64) c->eq.value;
  if (c->ne.given)
    return size != (guint64) c->ne.value;
  if (c->ge.given)
    return size <= G_MAXINT64 && (gint64) size >= c->ge.value;
  for (guint i = 0; i < c->in.n; i++)
    if (size == (guint64) c->in.at[i])
      return TRUE;
  return FALSE;
}

/* Returns the shape of the first of @tensors that exists, or NULL */
static const QconvShape *
find_shape (const Names *names, FamilyTexts tensors)
{
  const QconvShape *shape = NULL;

  for (guint i = 0; shape == NULL && tensors[i] != NULL; i++)
    shape = qconv_names_find (names, tensors[i]);
  return shape;
}

static gboolean
rule_holds (const Names *names, const FamilyDetectRule *rule)
{
  if (!names_hold (names, rule))
    return FALSE;
  for (guint i = 0; i < rule->shapes.n; i++)
    {
      const FamilySizeRule *size = &rule->shapes.at[i];
      const QconvShape *shape = find_shape (names, size->tensors);

      if (shape == NULL || size->axis >= shape->rank || !compare_size (&size->size, shape->dim[size->axis]))
        return FALSE;
    }
  for (guint i = 0; i < rule->counts.n; i++)
    if (!compare_size (&rule->counts.at[i].count, qconv_names_count (names, rule->counts.at[i].stem, NULL)))
      return FALSE;
  return TRUE;
}

/* Returns the result of the first of @rules that holds, or NULL */
static const char *
first_rule (const Names *names, const FamilyDetectRules *rules)
{
  for (guint i = 0; i < rules->n; i++)
    if (rule_holds (names, &rules->at[i]))
      return rules->at[i].result;
  return NULL;
}

Names *
qconv_identity_names (const Identity *id, const Names *behind, GError **error)
{
  g_autoptr (GPtrArray) maps = NULL;
  KeymapRequest request;

  if (strcmp (id->naming, "original") == 0)
    return qconv_names_behind (behind, "", NULL);
  if (!qconv_keymap_exists (id->family, id->variant, id->naming, "original"))
    return NULL;
  request = (KeymapRequest) { .family = id->family,
                              .variant = id->variant,
                              .names = behind,
                              .from = id->naming,
                              .to = "original",
                              .any_order = TRUE };
  maps = qconv_keymap (&request, error);
  return maps != NULL ? qconv_keymap_names (maps, behind) : NULL;
}

/* Mapping errors are ignored here; qconv_mapping_new() reports them */
static gboolean
find_variant (Identity *id, const Names *behind, GError **error)
{
  gboolean renamed = strcmp (id->naming, "original") != 0;
  g_autoptr (Names) mapped = renamed ? qconv_identity_names (id, behind, NULL) : NULL;
  const Names *original = renamed ? mapped : behind;
  const FamilyDetectRules *variants = &qconv_family_data (id->family)->detect.variants;

  id->variant = first_rule (original != NULL ? original : behind, variants);
  id->dims = original != NULL ? qconv_family_infer (id->family, original, error) : NULL;
  return id->dims != NULL || original == NULL;
}

/* Fills @id if the names behind @prefix belong to @f. Returns FALSE only with an error. */
static gboolean
try_prefix (Views *views, const Family *f, const char *prefix, Identity *id, GError **error)
{
  const FamilyData *data = qconv_family_data (f);
  const Names *behind = view (views, prefix, &data->prefix_rewrites);
  const char *naming = behind != NULL ? first_rule (behind, &data->detect.namings) : NULL;

  if (naming == NULL)
    return TRUE;
  id->family = f;
  id->naming = naming;
  id->prefix = g_strdup (prefix);
  return find_variant (id, behind, error);
}

/* Tries the names behind the first @foreign bytes of @start, then behind each prefix of @f that follows them */
static gboolean
try_family (Views *views, const Family *f, const char *start, gsize foreign, Identity *id, GError **error)
{
  FamilyTexts prefixes = qconv_family_data (f)->prefixes;
  g_autofree char *first = g_strndup (start, foreign);

  if (!try_prefix (views, f, first, id, error))
    return FALSE;
  for (guint i = 0; id->family == NULL && prefixes[i] != NULL; i++)
    {
      g_autofree char *prefix = g_strconcat (first, prefixes[i], NULL);

      if (!try_prefix (views, f, prefix, id, error))
        return FALSE;
    }
  id->foreign = id->family != NULL ? foreign : 0;
  return TRUE;
}

/* Tries all families behind the first @foreign bytes of @start */
static gboolean
try_families (Views *views, const GPtrArray *list, const char *start, gsize foreign, Identity *id, GError **error)
{
  for (guint i = 0; id->family == NULL && i < list->len; i++)
    if (!try_family (views, g_ptr_array_index (list, i), start, foreign, id, error))
      return FALSE;
  return TRUE;
}

/* Returns the start that all names share, up to a dot. Names without a dot do not count: they are markers of a whole
   file. (transfer full) */
static char *
shared_start (const Names *names)
{
  g_autofree char *shared = NULL;
  char *dot;

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      gsize n = 0;

      if (strchr (name, '.') == NULL)
        continue;
      if (shared == NULL)
        shared = g_strdup (name);
      while (shared[n] != '\0' && shared[n] == name[n])
        n++;
      shared[n] = '\0';
    }
  dot = shared != NULL ? strrchr (shared, '.') : NULL;
  return dot != NULL ? g_strndup (shared, (gsize) (dot - shared) + 1) : g_strdup ("");
}

/* The most parts of a start, such as "pipe." and "dit.", that are tried as a prefix */
enum { MOST_PARTS = 6 };

/* Returns the start that more than half of the names with a dot have, and that is one part longer than @start; NULL if
   there is none. (transfer full) */
static char *
longer_start (const Names *names, const char *start)
{
  g_autoptr (GHashTable) votes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gsize n = strlen (start);
  GHashTableIter iter;
  gpointer longest, vote;
  guint all = 0;
  char *most = NULL;

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      const char *dot = strncmp (name, start, n) == 0 ? strchr (name + n, '.') : NULL;
      char *longer = dot != NULL ? g_strndup (name, (gsize) (dot - name) + 1) : NULL;
      guint n_votes = longer != NULL ? GPOINTER_TO_UINT (g_hash_table_lookup (votes, longer)) + 1 : 0;

      all += strchr (name, '.') != NULL;
      if (longer != NULL)
        g_hash_table_replace (votes, longer, GUINT_TO_POINTER (n_votes));
    }
  g_hash_table_iter_init (&iter, votes);
  while (most == NULL && g_hash_table_iter_next (&iter, &longest, &vote))
    if (GPOINTER_TO_UINT (vote) > all / 2)
      most = g_strdup (longest);
  return most;
}

/* Returns the longest start, of MOST_PARTS parts at most, that more than half of the names with a dot have. (transfer
   full) */
static char *
common_start (const Names *names)
{
  char *start = g_strdup ("");

  for (guint i = 0; i < MOST_PARTS; i++)
    {
      char *longer = longer_start (names, start);

      if (longer == NULL)
        break;
      g_free (start);
      start = longer;
    }
  return start;
}

/* Returns TRUE if names of a part of an all-in-one checkpoint, such as a VAE, start with @start */
static gboolean
starts_part (const Family *generic, const char *start)
{
  const FamilyComponents *parts = &qconv_family_data (generic)->components;

  for (guint i = 0; i < parts->n; i++)
    for (guint k = 0; parts->at[i].starts[k] != NULL; k++)
      if (g_str_has_prefix (start, parts->at[i].starts[k]))
        return TRUE;
  return FALSE;
}

/* Tries the families behind "pipe.", then behind "pipe.dit.", if that is what most names share. The start of a part of
   a checkpoint counts only if all names share it */
static gboolean
try_common (Views *views, const Families *families, const char *common, Identity *id, GError **error)
{
  g_autofree char *shared = shared_start (views->names);
  gboolean part = starts_part (qconv_families_generic (families), common);
  const char *end = common;

  while (id->family == NULL && *end != '\0')
    {
      gsize n = (gsize) (strchr (end, '.') + 1 - common);

      if (part && strncmp (shared, common, n) != 0)
        break;
      if (!try_families (views, qconv_families_list (families), common, n, id, error))
        return FALSE;
      end = common + n;
    }
  return TRUE;
}

gboolean
qconv_identity_probes (const Identity *id, const char *layer)
{
  const char *start = layer, *dot;

  if (qconv_family_is_probed (id->family, layer))
    return TRUE;
  if (qconv_family_base (id->family) != id->family)
    return FALSE;
  while ((dot = strchr (start, '.')) != NULL && !g_ascii_isdigit (*start))
    {
      start = dot + 1;
      if (qconv_family_is_probed (id->family, start))
        return TRUE;
    }
  return FALSE;
}

/* A loader strips a prefix that more than this number of names have, even if most names lack it */
enum { FEW_NAMES = 5 };

/* Returns the prefix of the generic family that most names have. A name counts for the first prefix that it has. */
static const char *
common_prefix (const Family *generic, const Names *names)
{
  FamilyTexts prefixes = qconv_family_data (generic)->prefixes;
  guint n = g_strv_length ((char **) prefixes), best = n;
  g_autofree guint *counts = g_new0 (guint, n + 1);

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      guint k = 0;

      while (k < n && !g_str_has_prefix (qconv_names_name (names, i), prefixes[k]))
        k++;
      counts[k]++;
    }
  for (guint k = 0; k < n; k++)
    if (counts[k] > (best < n ? counts[best] : 0) && (counts[k] > FEW_NAMES || counts[k] > counts[n]))
      best = k;
  return best < n ? prefixes[best] : "";
}

/* Makes @id the generic family. Removes wrappers such as "_orig_mod." at the start that most names share, or @start */
static void
be_generic (Identity *id, const Families *families, const Names *names, const char *start, const char *common)
{
  const Family *generic = qconv_families_generic (families);
  FamilyTexts wrappers = qconv_family_data (generic)->wrappers;
  g_autoptr (Names) behind = NULL;
  g_autofree char *first = NULL;

  id->foreign = strlen (start);
  for (guint i = 0; *start == '\0' && wrappers != NULL && wrappers[i] != NULL;)
    if (g_str_has_prefix (common + id->foreign, wrappers[i]))
      {
        id->foreign += strlen (wrappers[i]);
        i = 0;
      }
    else
      i++;
  id->family = generic;
  id->naming = "original";
  first = *start != '\0' ? g_strdup (start) : g_strndup (common, id->foreign);
  behind = qconv_names_behind (names, first, NULL);
  id->prefix = g_strconcat (first, common_prefix (generic, behind), NULL);
  id->dims = qconv_dims_new ();
}

Identity *
qconv_identify_behind (const Families *families, const Names *names, const char *start, GError **error)
{
  g_autoptr (GHashTable) behind = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_names);
  g_autoptr (Identity) id = g_new0 (Identity, 1);
  g_autofree char *common = NULL;
  GPtrArray *list = qconv_families_list (families);
  Views views = { names, behind };

  if (!try_families (&views, list, start, strlen (start), id, error))
    return NULL;
  common = id->family == NULL ? common_start (names) : NULL;
  if (id->family == NULL && *start == '\0' && !try_common (&views, families, common, id, error))
    return NULL;
  if (id->family == NULL)
    be_generic (id, families, names, start, common);
  return g_steal_pointer (&id);
}

Identity *
qconv_identify (const Families *families, const Names *names, GError **error)
{
  return qconv_identify_behind (families, names, "", error);
}
