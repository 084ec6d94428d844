/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drops the layers that a run does not convert, such as those of another part of a checkpoint. */
#include "graph/select-part.h"

#include <string.h>

#include "base/names.h"

#define ALL "all"
#define EMA "ema"
#define DIFFUSION "diffusion"
#define TEXT_ENCODER "text-encoder"

/* Returns the part of an all-in-one checkpoint that a name belongs to, or NULL */
static const char *
part_of (const FamilyComponents *components, const char *name)
{
  for (guint i = 0; i < components->n; i++)
    for (guint k = 0; components->at[i].starts[k] != NULL; k++)
      if (g_str_has_prefix (name, components->at[i].starts[k]))
        return components->at[i].name;
  return NULL;
}

/* Returns the part of a checkpoint that the whole model is by itself */
static const char *
whole_part (const Identity *id)
{
  const char *kind = qconv_identity_known (id) ? qconv_family_kind (id->family) : DIFFUSION;

  return strcmp (kind, DIFFUSION) == 0 ? DIFFUSION : TEXT_ENCODER;
}

/* Returns the length of the start of @name that @root stands for, or 0 if @name starts differently. A "*" in @root is
   one part of a name: *part and *n are its text and length */
static gsize
root_length (const char *root, const char *name, const char **part, gsize *n)
{
  const char *star = strchr (root, '*');
  gsize before = star != NULL ? (gsize) (star - root) : strlen (root);

  if (strncmp (name, root, before) != 0)
    return 0;
  *part = name + before;
  *n = star != NULL ? strcspn (*part, ".") : 0;
  if (star == NULL)
    return before;
  return g_str_has_prefix (*part + *n, star + 1) ? before + *n + strlen (star + 1) : 0;
}

const char *
qconv_select_part (const QconvModel *m, const char *name)
{
  const Family *generic = qconv_families_generic (qconv_model_families (m, NULL));

  return part_of (&qconv_family_data (generic)->components, name);
}

char *
qconv_select_root (const QconvModel *m, const char *name, gsize *length)
{
  const Families *families = qconv_model_families (m, NULL);
  const FamilyPairs *roots = &qconv_family_data (qconv_families_generic (families))->component_roots;
  const char *part = NULL;
  gsize n = 0;

  for (guint i = 0; i < roots->n; i++)
    {
      *length = root_length (roots->at[i].from, name, &part, &n);
      if (*length > 0)
        return strcmp (roots->at[i].to, "*") == 0 ? g_strndup (part, n) : g_strdup (roots->at[i].to);
    }
  return NULL;
}

/* Returns @name behind the start that the names of its model have in a checkpoint */
static const char *
behind_root (const QconvModel *m, const char *name)
{
  gsize length = 0;
  g_autofree char *root = qconv_select_root (m, name, &length);

  return name + (root != NULL ? length : 0);
}

const char *
qconv_select_bare (const QconvModel *m, const Identity *id, const char *name)
{
  if (g_str_has_prefix (name, id->prefix) && *id->prefix != '\0')
    return name + strlen (id->prefix);
  return behind_root (m, name + (strncmp (name, id->prefix, id->foreign) == 0 ? id->foreign : 0));
}

/* Leaves in @layers those of the model @wanted of a component; without @wanted, fails if there are several.
   @component: for messages */
static gboolean
choose_model (const QconvModel *m, GPtrArray *layers, const char *component, const char *wanted, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *all = NULL;

  for (guint i = layers->len; i-- > 0;)
    {
      gsize length;
      char *name = qconv_select_root (m, ((const SourceLayer *) g_ptr_array_index (layers, i))->plain_name, &length);

      if (wanted != NULL && g_strcmp0 (name, wanted) != 0)
        g_ptr_array_remove_index (layers, i);
      if (name != NULL && !g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
        g_ptr_array_add (names, name);
      else
        g_free (name);
    }
  g_ptr_array_sort (names, qconv_compare_strings);
  all = qconv_first_names (names);
  if (wanted != NULL && layers->len == 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--component %s:%s: this file holds %s", component, wanted, all);
  return wanted != NULL || names->len < 2
         || qconv_fail (error, QCONV_ERROR_OPTION, "--component %s: this file holds %s: name one, such as %s:%s",
                        component, all, component, (const char *) g_ptr_array_index (names, 0));
}

/* Returns whether @component takes a layer of @part. Without a component, all but the copy that a training averages */
static gboolean
takes_part (const char *component, const char *part)
{
  if (component == NULL)
    return g_strcmp0 (part, EMA) != 0;
  return strcmp (component, ALL) == 0 || g_strcmp0 (part, component) == 0;
}

GPtrArray *
qconv_select_component (const QconvModel *m, const GPtrArray *from, const Identity *id, const char *component,
                        GError **error)
{
  const FamilyComponents *components = &qconv_family_data (qconv_family_base (id->family))->components;
  const char *chosen = g_strcmp0 (component, QCONV_COMPONENT_MAIN) == 0 ? whole_part (id) : component;
  g_auto (GStrv) words = g_strsplit (chosen != NULL ? chosen : "", ":", 2);
  const char *kind = component != NULL ? words[0] : NULL;
  g_autoptr (GPtrArray) layers = g_ptr_array_new ();

  for (guint i = 0; i < from->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (from, i);
      gsize wrapper = strncmp (s->plain_name, id->prefix, id->foreign) == 0 ? id->foreign : 0;
      const char *part = part_of (components, s->plain_name + wrapper);

      if (part == NULL && g_str_has_prefix (s->plain_name, id->prefix))
        part = whole_part (id);
      if (takes_part (kind, part))
        g_ptr_array_add (layers, s);
    }
  if (layers->len == 0 && kind == NULL) /* nothing but an averaged copy, or nothing */
    g_ptr_array_extend (layers, (GPtrArray *) from, NULL, NULL);
  if (layers->len == 0 && from->len > 0)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "--component %s: there is no such part in this file", kind);
      return NULL;
    }
  if (kind != NULL && strcmp (kind, ALL) != 0 && strcmp (kind, DIFFUSION) != 0
      && !choose_model (m, layers, kind, words[1], error))
    return NULL;
  return g_steal_pointer (&layers);
}

char *
qconv_select_start (const QconvModel *m, const GPtrArray *layers)
{
  g_autoptr (GHashTable) votes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *best = g_strdup ("");
  guint most = 0;

  for (guint i = 0; i < layers->len; i++)
    {
      const char *name = ((const SourceLayer *) g_ptr_array_index (layers, i))->plain_name;
      g_autofree char *start = g_strndup (name, (gsize) (behind_root (m, name) - name));
      guint n = GPOINTER_TO_UINT (g_hash_table_lookup (votes, start)) + 1;

      if (n > most && *start != '\0')
        {
          most = n;
          g_free (best);
          best = g_strdup (start);
        }
      g_hash_table_replace (votes, g_steal_pointer (&start), GUINT_TO_POINTER (n));
    }
  return g_steal_pointer (&best);
}

/* Gives @s, a tensor by itself, another name */
static void
rename_verbatim (SourceLayer *s, const char *name)
{
  char *plain = g_strdup (name);

  g_free (s->plain_name);
  g_free (s->name);
  s->plain_name = plain;
  s->name = qconv_weight_stem (plain);
}

GPtrArray *
qconv_select_verbatim (const QconvModel *m, const char *component, GError **error)
{
  g_autoptr (GPtrArray) all = qconv_model_verbatim (m, error), selected = NULL;
  g_autoptr (GHashTable) taken = g_hash_table_new (NULL, NULL);
  g_autoptr (Identity) id = NULL;

  if (all == NULL || component == NULL || strcmp (component, ALL) == 0)
    return g_steal_pointer (&all);
  id = qconv_layers_identify (m, all, "", error);
  selected = id != NULL ? qconv_select_component (m, all, id, component, error) : NULL;
  if (selected == NULL)
    return NULL;
  for (guint i = 0; i < selected->len; i++)
    g_hash_table_add (taken, g_ptr_array_index (selected, i));
  for (guint i = all->len; i-- > 0;)
    {
      SourceLayer *s = g_ptr_array_index (all, i);

      if (g_hash_table_contains (taken, s))
        rename_verbatim (s, qconv_select_bare (m, id, s->plain_name));
      else
        g_ptr_array_remove_index (all, i);
    }
  return g_steal_pointer (&all);
}

static gboolean
drop_matching (GPtrArray *layers, const char *pattern, GError **error)
{
  g_autoptr (GError) broken = NULL;
  g_autoptr (GRegex) re = g_regex_new (pattern, G_REGEX_DEFAULT, 0, &broken);
  guint n = layers->len;

  for (guint i = layers->len; re != NULL && broken == NULL && i-- > 0;)
    {
      g_autofree char *name = qconv_short_name (((SourceLayer *) g_ptr_array_index (layers, i))->plain_name);

      if (g_regex_match_full (re, name, -1, 0, 0, NULL, &broken))
        g_ptr_array_remove_index (layers, i);
    }
  if (broken != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--drop %s: %s", pattern, broken->message);
  return layers->len < n || qconv_fail (error, QCONV_ERROR_OPTION, "--drop %s matches no tensor", pattern);
}

/* Returns whether loaders have no use for @s. @names: of the model, behind its prefix */
static gboolean
useless (const Identity *id, const Names *names, const SourceLayer *s)
{
  const FamilyExtras *extra = &qconv_family_data (id->family)->extra_tensors;

  if (!g_str_has_prefix (s->plain_name, id->prefix))
    return FALSE;
  for (guint i = 0; i < extra->n; i++)
    {
      const FamilyExtra *row = &extra->at[i];

      if ((row->twin == NULL || qconv_names_find (names, row->twin) != NULL) && row->drop
          && qconv_family_match (&row->match, s->plain_name + strlen (id->prefix)))
        return TRUE;
    }
  return FALSE;
}

gboolean
qconv_select_drop (GPtrArray *layers, const char *const *patterns, const Identity *id, guint *n, GError **error)
{
  g_autoptr (Names) names = id != NULL ? qconv_layers_names (layers, id) : NULL;
  guint before;

  for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++)
    if (!drop_matching (layers, patterns[i], error))
      return FALSE;
  if (layers->len == 0 && patterns != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--drop leaves no tensor");
  before = layers->len;
  for (guint i = layers->len; id != NULL && i-- > 0;)
    if (useless (id, names, g_ptr_array_index (layers, i)))
      g_ptr_array_remove_index (layers, i);
  *n = before - layers->len;
  return TRUE;
}

guint
qconv_select_leave_out (GPtrArray *layers, const char *const *patterns, const Identity *id)
{
  guint before = layers->len;

  for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++)
    {
      g_autoptr (GRegex) re = g_regex_new (patterns[i], G_REGEX_DEFAULT, 0, NULL);

      for (guint k = layers->len; re != NULL && k-- > 0;)
        {
          const char *name = ((SourceLayer *) g_ptr_array_index (layers, k))->plain_name;

          if (g_str_has_prefix (name, id->prefix) && g_regex_match (re, name + strlen (id->prefix), 0, NULL))
            g_ptr_array_remove_index (layers, k);
        }
    }
  return before - layers->len;
}
