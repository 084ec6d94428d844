/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restores axes that containers dropped or folded; restore.h describes them. */
#include "graph/restore.h"

#include <string.h>

#include "families/expand.h"

/* Inserts axes of size 1 at the places at which @want has them, until @have has all axes */
static gboolean
insert_ones (const QconvShape *want, const QconvShape *have, QconvShape *out)
{
  guint j = 0;

  out->rank = want->rank;
  for (guint i = 0; i < want->rank; i++)
    {
      guint64 fixed = want->dim[i];
      gboolean dropped = fixed == 1 && want->rank - i > have->rank - j;

      if (!dropped && (j == have->rank || (fixed > 0 && have->dim[j] != fixed)))
        return FALSE;
      out->dim[i] = dropped ? 1 : have->dim[j++];
    }
  return j == have->rank;
}

/* Splits the first axis, into which the first two were folded */
static gboolean
unfold (const QconvShape *want, const QconvShape *have, guint64 rows, QconvShape *out)
{
  if (want->rank != have->rank + 1 || want->rank < 3 || rows == 0 || have->dim[0] == rows || have->dim[0] % rows != 0)
    return FALSE;
  *out = (QconvShape) { .rank = want->rank, .dim = { rows, have->dim[0] / rows } };
  for (guint i = 2; i < want->rank; i++)
    {
      out->dim[i] = have->dim[i - 1];
      if (want->dim[i] > 0 && want->dim[i] != out->dim[i])
        return FALSE;
    }
  return TRUE;
}

/* Returns TRUE if all sizes of @want are known and both hold as many items */
static gboolean
same_items (const QconvShape *want, const QconvShape *have)
{
  guint64 a = 0, b = 0;

  return qconv_shape_items (want, &a) && qconv_shape_items (have, &b) && a > 0 && a == b;
}

gboolean
qconv_restore_shape (const QconvShape *have, const QconvShape *want, guint64 rows, QconvShape *out)
{
  if (want->rank <= have->rank)
    return FALSE;
  if (same_items (want, have))
    {
      *out = *want;
      return TRUE;
    }
  return unfold (want, have, rows, out) || insert_ones (want, have, out);
}

/* Returns the sizes of a template that are numbers; 0 for each that is an expression */
static QconvShape
fixed_sizes (const FamilyExpressions *sizes)
{
  QconvShape shape = { .rank = sizes->n };

  for (guint i = 0; i < shape.rank; i++)
    shape.dim[i] = sizes->at[i].text == NULL ? (guint64) sizes->at[i].number : 0;
  return shape;
}

/* Returns the number of items of the bias beside the weight @name, or 0 if there is no bias */
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
  g_autoptr (Names) behind = qconv_names_behind (names, id->prefix, &qconv_family_data (id->family)->prefix_rewrites);
  g_autoptr (GHashTable) changed = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  Names *restored;

  for (guint i = 0; i < qconv_names_length (behind); i++)
    {
      const char *name = qconv_names_name (behind, i);
      const QconvShape *have = qconv_names_shape (behind, i);
      const FamilyLayer *template = qconv_family_template (id->family, NULL, name);
      QconvShape shape, fixed;

      if (template == NULL || template->shape.n <= have->rank)
        continue;
      fixed = fixed_sizes (&template->shape);
      if (qconv_restore_shape (have, &fixed, bias_items (behind, name), &shape))
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
