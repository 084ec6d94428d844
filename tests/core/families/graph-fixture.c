/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expands every variant of every family for tests. */
#include "graph-fixture.h"

#include <string.h>

#include "families/missing.h"
#include "small.h"

const Families *
graph_families (void)
{
  static Families *families;
  g_autoptr (GError) error = NULL;

  if (families == NULL)
    families = qconv_families_load (NULL, &error);
  g_assert_no_error (error);
  return families;
}

/* Adds the variants of @f to @models */
static void
expand_family (GArray *models, const Family *f)
{
  const FamilyVariants *variants = &qconv_family_data (f)->variants;

  for (guint i = 0; i < variants->n; i++)
    {
      const FamilyVariant *v = &variants->at[i];
      g_autoptr (GError) error = NULL;
      GraphModel m = { f, i, v->name, v, qconv_family_variant_dims (f, v->name, &error), NULL };

      g_assert_no_error (error);
      m.tensors = qconv_family_expand (f, m.dims, &error);
      g_assert_no_error (error);
      g_array_append_val (models, m);
    }
}

guint
graph_each_model (void (*each) (const GraphModel *m, gpointer data), gpointer data)
{
  static GArray *models; /* GraphModel, for all tests of the program */
  GPtrArray *list = qconv_families_list (graph_families ());

  if (models == NULL)
    {
      models = g_array_new (FALSE, FALSE, sizeof (GraphModel));
      for (guint i = 0; i < list->len; i++)
        expand_family (models, g_ptr_array_index (list, i));
    }
  for (guint i = 0; i < models->len; i++)
    each (&g_array_index (models, GraphModel, i), data);
  g_assert_cmpuint (models->len, >, list->len);
  return models->len;
}

Names *
graph_names (GPtrArray *tensors, const char *prefix)
{
  Names *names = qconv_names_new ();

  for (guint i = 0; i < tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (tensors, i);
      g_autofree char *name = g_strconcat (prefix, t->name, NULL);

      qconv_names_add (names, name, &t->shape);
    }
  return names;
}

const char *
graph_detected_as (const GraphModel *m)
{
  return m->about->detect_as != NULL ? m->about->detect_as : m->variant;
}

gboolean
graph_skips (const GraphModel *m, guint way, guint n_ways)
{
  return test_skips (m->index, qconv_family_data (m->family)->variants.n, way, n_ways);
}

gboolean
graph_is_layer (const GraphTensor *t)
{
  return strcmp (t->op, "linear") == 0 && t->shape.rank == 2 && g_str_has_suffix (t->name, ".weight");
}

char *
graph_layer_name (const GraphTensor *t)
{
  return g_strndup (t->name, strlen (t->name) - strlen (".weight"));
}

guint64
graph_n_items (const GraphTensor *t)
{
  guint64 n = 1;

  for (guint i = 0; i < t->shape.rank; i++)
    n *= t->shape.dim[i];
  return n;
}

void
graph_assert_missing (const Identity *id, const Names *names, const char *want)
{
  g_autoptr (Names) behind = qconv_names_behind (names, id->prefix, &qconv_family_data (id->family)->prefix_rewrites);
  g_autoptr (GPtrArray) missing = qconv_identity_missing (id, behind, NULL);
  const char *first = missing->len > 0 ? g_ptr_array_index (missing, 0) : NULL;

  if (missing->len != (want != NULL) || g_strcmp0 (first, want) != 0)
    g_error ("%s %s lacks %u tensors such as %s, not %s", qconv_family_id (id->family), id->variant, missing->len,
             first, want);
}
