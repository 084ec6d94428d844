/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expands templates: totals, golden lists of tensors, inferred dimensions and groups. */
#include <stdio.h>
#include <string.h>

#include "golden-file.h"
#include "graph-fixture.h"
#include "small.h"

/* The checks that a small test makes of some models each */
enum { DIMS, GROUPS, TEMPLATES, N_CHECKS };

static void
check_totals (const GraphModel *m, gpointer data)
{
  guint64 params = 0;

  for (guint i = 0; i < m->tensors->len; i++)
    params += graph_n_items (g_ptr_array_index (m->tensors, i));
  g_assert_cmpuint (m->tensors->len, ==, (guint64) m->about->n_tensors);
  g_assert_cmpuint (params, ==, (guint64) m->about->n_params);
}

static void
test_totals (void)
{
  guint n = graph_each_model (check_totals, NULL);

  g_test_message ("%u variants", n);
}

/* Adds the names that one line of a list stands for: x.{0..2}.y are three */
static void
unfold (GHashTable *want, const char *name, const char *shape)
{
  const char *open = strchr (name, '{'), *close = open != NULL ? strchr (open, '}') : NULL;
  guint low, high;

  if (open == NULL)
    {
      g_hash_table_insert (want, g_strdup (name), g_strdup (shape));
      return;
    }
  g_assert_nonnull (close);
  g_assert_cmpint (sscanf (open, "{%u..%u}", &low, &high), ==, 2);
  for (guint i = low; i <= high; i++)
    {
      g_autofree char *one = g_strdup_printf ("%.*s%u%s", (int) (open - name), name, i, close + 1);

      unfold (want, one, shape);
    }
}

static GHashTable *
read_list (const char *text)
{
  GHashTable *want = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **l = lines; *l != NULL; l++)
    {
      g_auto (GStrv) columns = g_strsplit (*l, "\t", -1);

      if (g_strv_length (columns) >= 3 && **l != '#' && strcmp (columns[0], "name") != 0)
        unfold (want, columns[0], columns[2]);
    }
  return want;
}

static char *
shape_text (const QconvShape *shape)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < shape->rank; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i > 0 ? "x" : "", shape->dim[i]);
  return g_string_free (text, FALSE);
}

typedef struct {
  guint compared, missing;
} Compared;

static void
compare_list (const GraphModel *m, gpointer data)
{
  g_autofree char *file = g_strdup_printf ("models/%s-%s.tsv", qconv_family_id (m->family), m->variant);
  g_autofree char *path = golden_path (file), *text = NULL;
  g_autoptr (GHashTable) want = NULL;
  Compared *compared = data;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    {
      compared->missing += !m->about->synthetic;
      return;
    }
  want = read_list (text);
  compared->compared++;
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autofree char *shape = shape_text (&t->shape);

      if (g_strcmp0 (g_hash_table_lookup (want, t->name), shape) != 0)
        g_error ("%s: %s is %s, not %s", path, t->name, shape, (char *) g_hash_table_lookup (want, t->name));
    }
  g_assert_cmpuint (g_hash_table_size (want), ==, m->tensors->len);
}

static void
test_lists (void)
{
  Compared compared = { 0, 0 };

  graph_each_model (compare_list, &compared);
  g_test_message ("%u lists, %u missing", compared.compared, compared.missing);
  /* The repository has some of the lists; the folder beside the checkout has all of them */
  g_assert_cmpuint (compared.compared, >=, 28);
  if (compared.compared > 40)
    g_assert_cmpuint (compared.missing, ==, 0);
}

static void
compare_dims (const GraphModel *m, gpointer data)
{
  g_autoptr (Names) names = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (Dims) dims = NULL;
  const FamilyDims *rules = &qconv_family_data (m->family)->dims;

  if (graph_skips (m, DIMS, N_CHECKS))
    return;
  names = graph_names (m->tensors, "");
  dims = qconv_family_infer (m->family, names, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < rules->n; i++)
    {
      const char *name = rules->at[i].name;

      (*(guint *) data)++;
      if (qconv_dims_get (dims, name) != qconv_dims_get (m->dims, name))
        g_error ("%s %s: %s is %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT, qconv_family_id (m->family), m->variant,
                 name, qconv_dims_get (dims, name), qconv_dims_get (m->dims, name));
    }
}

static void
test_dims (void)
{
  guint n = 0;

  graph_each_model (compare_dims, &n);
  g_test_message ("%u dimensions", n);
  g_assert_cmpuint (n, >, test_is_small () ? 300 : 1000);
}

/* Asserts that all members of a group read the same activation */
static void
check_groups (const GraphModel *m, gpointer data)
{
  g_autoptr (GHashTable) cols = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < m->tensors->len && !graph_skips (m, GROUPS, N_CHECKS); i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i), *first;

      if (t->group == NULL || !graph_is_layer (t))
        continue;
      first = g_hash_table_lookup (cols, t->group);
      if (first != NULL)
        g_assert_cmpuint (t->shape.dim[1], ==, first->shape.dim[1]);
      else
        g_hash_table_insert (cols, t->group, (gpointer) t);
      (*(guint *) data)++;
    }
}

static void
test_groups (void)
{
  guint n = 0;

  graph_each_model (check_groups, &n);
  g_test_message ("%u members of groups", n);
  g_assert_cmpuint (n, >, test_is_small () ? 3000 : 10000);
}

static void
check_templates (const GraphModel *m, gpointer data)
{
  for (guint i = 0; i < m->tensors->len && !graph_skips (m, TEMPLATES, N_CHECKS); i += 7)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      const FamilyLayer *layer = qconv_family_template (m->family, m->dims, t->name);

      g_assert_true (layer == t->layer);
      (*(guint *) data)++;
    }
  g_assert_null (qconv_family_template (m->family, m->dims, "no.such.tensor"));
}

/* Tests that a name leads back to the template that made it */
static void
test_templates (void)
{
  guint n = 0;

  graph_each_model (check_templates, &n);
  g_test_message ("%u names", n);
  g_assert_cmpuint (n, >, test_is_small () ? 1500 : 5000);
}

static void
test_variants (void)
{
  const Family *f = qconv_families_find (graph_families (), "flux1");
  g_autoptr (GError) error = NULL;
  g_autoptr (Dims) by_name = qconv_family_variant_dims (f, "dev", &error);
  g_autoptr (Dims) by_alias = qconv_family_variant_dims (f, "kontext-dev", &error);

  g_assert_no_error (error);
  g_assert_true (qconv_dims_equal (by_name, by_alias));
  g_assert_null (qconv_family_variant_dims (f, "nonsense", &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/expand/totals", test_totals);
  g_test_add_func ("/graph/expand/lists", test_lists);
  g_test_add_func ("/graph/expand/dims", test_dims);
  g_test_add_func ("/graph/expand/groups", test_groups);
  g_test_add_func ("/graph/expand/templates", test_templates);
  g_test_add_func ("/graph/expand/variants", test_variants);
  return g_test_run ();
}
