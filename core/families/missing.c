/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the tensors of a file with the templates of its family. graph/identify.c calls it for plans and for
   verify. */
#include "families/missing.h"

#include <string.h>

#include "families/aliases.h"
#include "families/expand.h"
#include "families/keymap.h"

/* Returns the number after the highest number that follows @stem in @names, at most the number of names */
static gint64
highest (const Names *names, const char *stem)
{
  gint64 most = 0;

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      gsize n = strlen (stem), digits = g_str_has_prefix (name, stem) ? strspn (name + n, "0123456789") : 0;

      if (digits > 0 && name[n + digits] == '.')
        most = MAX (most, MIN (g_ascii_strtoll (name + n, NULL, 10), G_MAXINT32) + 1);
    }
  return MIN (most, (gint64) qconv_names_length (names));
}

/* Raises numbers of blocks so that blocks behind a gap count */
static void
raise_counts (Dims *dims, const FamilyDims *all, const Names *names)
{
  for (guint i = 0; i < all->n; i++)
    {
      const FamilyInfer *rule = &all->at[i].infer;
      gint64 most = rule->count != NULL && rule->with == NULL ? highest (names, rule->count) : 0;

      if (most > qconv_dims_get (dims, all->at[i].name))
        qconv_dims_set (dims, all->at[i].name, most);
    }
}

/* Sets the dimensions that must not be 0 where @condition holds, such as "a" and "b" for "a & b & !c" */
static void
raise_condition (Dims *dims, const char *condition)
{
  g_auto (GStrv) words = g_strsplit (condition, "&", 0);

  for (guint i = 0; words[i] != NULL; i++)
    {
      const char *name = g_strstrip (words[i]);

      if (*name != '!' && qconv_dims_get (dims, name) == 0)
        qconv_dims_set (dims, name, 1);
    }
}

/* Raises the dimensions without which tensors of @names have no template */
static void
raise_conditions (Dims *dims, const Family *f, const Names *names)
{
  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      const FamilyLayer *stray
          = qconv_family_template (f, dims, name) == NULL ? qconv_family_template (f, NULL, name) : NULL;

      if (stray != NULL && stray->when != NULL)
        raise_condition (dims, stray->when);
    }
}

/* What a file is compared with. @counted: the dimensions of the file, with the blocks behind a gap; @tensors: of these
   dimensions and those that strays ask for; @present: common spelling of the names of the file */
typedef struct {
  const FamilyAliases *aliases;
  Dims *counted;
  GPtrArray *tensors;
  GHashTable *present;
} Compared;

static gboolean
is_present (const Compared *c, const GraphTensor *t)
{
  g_autofree char *name = qconv_aliases_apply (c->aliases, t->name);

  return g_hash_table_contains (c->present, name);
}

/* Returns: (transfer full): for each condition that only strays ask for, how many more of its tensors are present than
   absent. A model may have a few of them by design; only if most are there, the others are missing */
static GHashTable *
count_strays (const Compared *c)
{
  GHashTable *balance = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < c->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (c->tensors, i);
      gint more = GPOINTER_TO_INT (g_hash_table_lookup (balance, t->layer->when));

      if (!qconv_dims_hold (c->counted, t->layer->when))
        g_hash_table_insert (balance, (gpointer) t->layer->when, GINT_TO_POINTER (more + (is_present (c, t) ? 1 : -1)));
    }
  return balance;
}

/* Adds to @missing the tensors that @c lacks, in the original naming */
static void
list_missing (const Compared *c, Names *missing)
{
  g_autoptr (GHashTable) balance = count_strays (c);

  for (guint i = 0; i < c->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (c->tensors, i);
      const FamilyLayer *l = t->layer;

      if (!l->optional && strcmp (t->op, "buffer") != 0 && !is_present (c, t)
          && (qconv_dims_hold (c->counted, l->when) || GPOINTER_TO_INT (g_hash_table_lookup (balance, l->when)) > 0))
        qconv_names_add (missing, t->name, &t->shape);
    }
}

/* Returns the names of @missing. In a file of another naming, returns the names that its makers give to these tensors,
   without those that @behind has; if no keymap makes them, returns the original names. (transfer full) (element-type
   utf8) */
static GPtrArray *
spell_missing (const Identity *id, const Dims *dims, const Names *missing, const Names *behind)
{
  KeymapRequest request = { .family = id->family,
                            .variant = id->variant,
                            .dims = dims,
                            .names = missing,
                            .from = "original",
                            .to = id->naming,
                            .any_order = TRUE };
  g_autoptr (GPtrArray) maps
      = strcmp (id->naming, "original") != 0 && qconv_names_length (missing) > 0 ? qconv_keymap (&request, NULL) : NULL;
  GPtrArray *spelled = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; maps != NULL && i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);

      if (qconv_names_find (behind, map->name) == NULL)
        g_ptr_array_add (spelled, g_strdup (map->name));
    }
  if (spelled->len > 0)
    return spelled;
  for (guint i = 0; i < qconv_names_length (missing); i++)
    g_ptr_array_add (spelled, g_strdup (qconv_names_name (missing, i)));
  return spelled;
}

/* Returns TRUE if loaders count the blocks of @dim in the file, as opposed to dimensions that follow from others */
static gboolean
counts_blocks (const FamilyDim *dim)
{
  return dim->infer.count != NULL && dim->infer.with == NULL;
}

/* Returns TRUE if @a and @b differ in nothing but the numbers of blocks */
static gboolean
same_but_for_blocks (const FamilyDims *all, const Dims *a, const Dims *b)
{
  for (guint i = 0; i < all->n; i++)
    {
      const FamilyDim *dim = &all->at[i];

      if (dim->infer.count == NULL && qconv_dims_get (a, dim->name) != qconv_dims_get (b, dim->name))
        return FALSE;
    }
  return TRUE;
}

/* Compares the numbers of blocks. Returns TRUE if they are equal, or if @dims has more of some. Else sets *has and
   *wants for the first kind of which @dims has fewer */
static gboolean
enough_blocks (const FamilyDims *all, const Dims *dims, const Dims *published, gint64 *has, gint64 *wants)
{
  gboolean fewer = FALSE;

  for (guint i = 0; i < all->n; i++)
    {
      gint64 a = qconv_dims_get (dims, all->at[i].name), b = qconv_dims_get (published, all->at[i].name);

      if (!counts_blocks (&all->at[i]) || a == b)
        continue;
      if (a > b)
        return TRUE;
      if (!fewer)
        {
          *has = a;
          *wants = b;
        }
      fewer = TRUE;
    }
  return !fewer;
}

const char *
qconv_identity_fewer_blocks (const Identity *id, gint64 *has, gint64 *wants)
{
  const FamilyData *data = qconv_family_data (id->family);
  const char *fewer_than = NULL;

  for (guint i = 0; id->dims != NULL && i < data->variants.n; i++)
    {
      const FamilyVariant *v = &data->variants.at[i];
      g_autoptr (Dims) dims = v->synthetic ? NULL : qconv_family_variant_dims (id->family, v->name, NULL);
      gint64 a = 0, b = 0;

      if (dims == NULL || !same_but_for_blocks (&data->dims, id->dims, dims))
        continue;
      if (enough_blocks (&data->dims, id->dims, dims, &a, &b))
        return NULL;
      if (fewer_than != NULL && b >= *wants)
        continue;
      fewer_than = v->name;
      *has = a;
      *wants = b;
    }
  return fewer_than;
}

GPtrArray *
qconv_identity_missing (const Identity *id, const Names *behind, const Dims *stated)
{
  g_autoptr (GPtrArray) tensors = NULL;
  g_autoptr (Names) names = id->dims != NULL ? qconv_identity_names (id, behind, NULL) : NULL;
  g_autoptr (Names) missing = qconv_names_new ();
  g_autoptr (GHashTable) present = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (Dims) counted = NULL, dims = NULL;
  const FamilyData *data = qconv_family_data (id->family);

  if (names == NULL)
    return g_ptr_array_new_with_free_func (g_free);
  counted = qconv_dims_copy (id->dims);
  raise_counts (counted, &data->dims, names);
  for (guint i = 0; i < data->dims.n; i++)
    if (qconv_dims_get (stated, data->dims.at[i].name) > qconv_dims_get (counted, data->dims.at[i].name))
      qconv_dims_set (counted, data->dims.at[i].name, qconv_dims_get (stated, data->dims.at[i].name));
  dims = qconv_dims_copy (counted);
  raise_conditions (dims, id->family, names);
  tensors = qconv_family_expand (id->family, dims, NULL);
  for (guint i = 0; i < qconv_names_length (names); i++)
    g_hash_table_add (present, qconv_aliases_apply (&data->aliases, qconv_names_name (names, i)));
  if (tensors != NULL)
    list_missing (&(Compared) { &data->aliases, counted, tensors, present }, missing);
  return spell_missing (id, dims, missing, behind);
}
