/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drops the layers that a run does not convert, such as those of another part of a checkpoint. */
#include "graph/select-part.h"

#include <string.h>

#define ALL "all"
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

GPtrArray *
qconv_select_component (const QconvModel *m, const char *component, GError **error)
{
  const Families *families = qconv_model_families (m, error);
  const Identity *id = qconv_model_identity (m, error);
  g_autoptr (GPtrArray) layers = g_ptr_array_new ();
  const FamilyComponents *components;

  if (families == NULL || id == NULL)
    return NULL;
  components = &qconv_family_data (qconv_families_generic (families))->components;
  for (guint i = 0; i < m->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (m->layers, i);
      const char *part = part_of (components, s->plain_name);

      if (part == NULL && g_str_has_prefix (s->plain_name, id->prefix))
        part = whole_part (id);
      if (component == NULL || strcmp (component, ALL) == 0 || g_strcmp0 (part, component) == 0)
        g_ptr_array_add (layers, s);
    }
  if (layers->len > 0 || m->layers->len == 0)
    return g_steal_pointer (&layers);
  qconv_fail (error, QCONV_ERROR_OPTION, "--component %s: there is no such part in this file", component);
  return NULL;
}

static gboolean
drop_matching (GPtrArray *layers, const char *pattern, GError **error)
{
  g_autoptr (GError) broken = NULL;
  g_autoptr (GRegex) re = g_regex_new (pattern, G_REGEX_OPTIMIZE, 0, &broken);
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

gboolean
qconv_select_all_behind (const GPtrArray *layers, const char *prefix)
{
  for (guint i = 0; i < layers->len; i++)
    if (!g_str_has_prefix (((const SourceLayer *) g_ptr_array_index (layers, i))->plain_name, prefix))
      return FALSE;
  return TRUE;
}
