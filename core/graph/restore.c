/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph/restore.h"

#include <string.h>

#include "families/expand.h"

/* Returns: the number at @i, 0 where it is an expression */
static guint64
literal (JsonArray *shape, guint i)
{
  JsonNode *node = json_array_get_element (shape, i);

  return json_node_get_value_type (node) == G_TYPE_INT64 ? (guint64) json_node_get_int (node) : 0;
}

/* Ones that were dropped */
static gboolean
insert_ones (JsonArray *want, const QconvShape *have, QconvShape *out)
{
  guint rank = json_array_get_length (want), j = 0;

  out->rank = rank;
  for (guint i = 0; i < rank; i++)
    {
      guint64 fixed = literal (want, i);
      gboolean dropped = fixed == 1 && rank - i > have->rank - j;

      if (!dropped && (j == have->rank || (fixed > 0 && have->dim[j] != fixed)))
        return FALSE;
      out->dim[i] = dropped ? 1 : have->dim[j++];
    }
  return j == have->rank;
}

/* The first two axes in one. @rows: of the first, as the bias has it */
static gboolean
unfold (JsonArray *want, const QconvShape *have, guint64 rows, QconvShape *out)
{
  guint rank = json_array_get_length (want);

  if (rank != have->rank + 1 || rank < 3 || rows == 0 || have->dim[0] == rows || have->dim[0] % rows != 0)
    return FALSE;
  *out = (QconvShape) { .rank = rank, .dim = { rows, have->dim[0] / rows } };
  for (guint i = 2; i < rank; i++)
    {
      out->dim[i] = have->dim[i - 1];
      if (literal (want, i) > 0 && literal (want, i) != out->dim[i])
        return FALSE;
    }
  return TRUE;
}

/* Items of the bias beside the weight @name; 0 where there is none */
static guint64
bias_items (const Names *behind, const char *name)
{
  g_autofree char *layer = g_strndup (name, (gsize) (strrchr (name, '.') != NULL ? strrchr (name, '.') - name : 0));
  g_autofree char *bias = g_strconcat (layer, ".bias", NULL);
  const QconvShape *shape = qconv_names_find (behind, bias);

  return shape != NULL && shape->rank == 1 ? shape->dim[0] : 0;
}

Names *
qconv_restore_shapes (const Identity *id, const Names *names)
{
  JsonObject *family = qconv_family_json (id->family);
  g_autoptr (Names) behind = qconv_names_behind (names, id->prefix, qconv_family_list (family, "prefix_rewrites"));
  g_autoptr (GHashTable) changed = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  Names *restored;

  for (guint i = 0; i < qconv_names_length (behind); i++)
    {
      const char *name = qconv_names_name (behind, i);
      const QconvShape *have = qconv_names_shape (behind, i);
      JsonObject *template = qconv_family_template (id->family, NULL, name);
      JsonArray *want = template != NULL ? qconv_family_list (template, "shape") : NULL;
      QconvShape shape = { 0 };

      if (want == NULL || json_array_get_length (want) <= have->rank || json_array_get_length (want) > QCONV_MAX_RANK)
        continue;
      if (unfold (want, have, bias_items (behind, name), &shape) || insert_ones (want, have, &shape))
        g_hash_table_insert (changed, (gpointer) qconv_names_full (behind, name), g_memdup2 (&shape, sizeof shape));
    }
  if (g_hash_table_size (changed) == 0)
    return NULL;
  restored = qconv_names_new ();
  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      const QconvShape *shape = g_hash_table_lookup (changed, name);

      qconv_names_add (restored, name, shape != NULL ? shape : qconv_names_shape (names, i));
    }
  return restored;
}
