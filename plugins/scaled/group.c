/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups the tensors of a file by layer. A tensor belongs to the layer that its name names; one whose name says nothing
   belongs to the module around it if its shape could scale the weight there. */
#include "group.h"

#include <string.h>

static void
free_group (gpointer data)
{
  ScaledGroup *g = data;

  g_free (g->layer);
  g_ptr_array_unref (g->members);
  g_array_unref (g->roles);
  g_free (g);
}

gboolean
scaled_is_strange (QconvDType dtype)
{
  return dtype == QCONV_F4 || dtype == QCONV_F6_E2M3 || dtype == QCONV_F6_E3M2 || dtype == QCONV_F8_E4M3FNUZ
         || dtype == QCONV_F8_E5M2FNUZ;
}

static gboolean
is_fp8 (QconvDType dtype)
{
  return dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2;
}

/* Returns whether weights of the type may be codes. I64 holds positions and counters, unless the name says that the
   tensor is packed. */
static gboolean
may_hold_codes (const QconvTensor *t, ScaledRole role)
{
  static const QconvDType whole[] = { QCONV_I8, QCONV_U8, QCONV_I16, QCONV_U16, QCONV_I32, QCONV_U32, QCONV_U64 };

  if (t->shape.rank == 0)
    return FALSE;
  if (t->dtype == QCONV_I64)
    return role == SCALED_PACKED;
  for (guint i = 0; i < G_N_ELEMENTS (whole); i++)
    if (t->dtype == whole[i])
      return TRUE;
  return is_fp8 (t->dtype) || scaled_is_strange (t->dtype);
}

/* Groups and the place of each by its layer. */
typedef struct {
  GPtrArray *list;
  GHashTable *by_layer;
} Groups;

/* Adds @t to the group of @layer (transfer full). */
static void
add_tensor (Groups *groups, const QconvTensor *t, char *layer, ScaledRole role)
{
  ScaledGroup *g = g_hash_table_lookup (groups->by_layer, layer);
  gboolean codes = role <= SCALED_PACKED && may_hold_codes (t, role);

  if (g == NULL)
    {
      g = g_new0 (ScaledGroup, 1);
      g->layer = g_strdup (layer);
      g->members = g_ptr_array_new ();
      g->roles = g_array_new (FALSE, FALSE, sizeof (ScaledRole));
      g_hash_table_insert (groups->by_layer, g->layer, g);
      g_ptr_array_add (groups->list, g);
    }
  g_free (layer);
  if (codes && (g->codes == NULL || t->n_bytes > g->codes->n_bytes))
    {
      const QconvTensor *smaller = g->codes;

      g->codes = t;
      g->packed = role == SCALED_PACKED;
      t = smaller;
      role = SCALED_CODES;
    }
  if (t == NULL)
    return;
  g_ptr_array_add (g->members, (gpointer) t);
  g_array_append_val (g->roles, role);
  g->scaled |= role == SCALED_FACTOR || role == SCALED_SCALE;
}

/* Returns whether the shape of @t could scale @codes: one number, one for each item of an axis, or a grid. @any_shape:
   any smaller shape could. */
static gboolean
could_scale (const QconvTensor *codes, const QconvTensor *t, gboolean any_shape)
{
  guint64 n = 0, n_codes = 0;

  if (t->dtype == codes->dtype || !qconv_shape_items (&t->shape, &n) || !qconv_shape_items (&codes->shape, &n_codes)
      || n == 0 || n >= n_codes)
    return FALSE;
  if (any_shape || n == 1 || t->shape.rank == codes->shape.rank)
    return TRUE;
  for (guint i = 0; i < t->shape.rank; i++)
    for (guint j = 0; j < codes->shape.rank; j++)
      if (t->shape.dim[i] > 1 && t->shape.dim[i] == codes->shape.dim[j])
        return TRUE;
  return FALSE;
}

static char *
module_of (const QconvTensor *t)
{
  const char *dot = strrchr (t->name, '.');

  return dot != NULL ? g_strndup (t->name, (gsize) (dot - t->name)) : g_strdup ("");
}

/* Returns: (transfer full): the module of codes -> their group, or NULL if the module has several. The outermost module
   is left out: too much lies in it. */
static GHashTable *
list_modules (const Groups *groups)
{
  GHashTable *modules = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < groups->list->len; i++)
    {
      ScaledGroup *g = g_ptr_array_index (groups->list, i);
      char *module = g->codes != NULL ? module_of (g->codes) : g_strdup ("");

      if (*module == '\0')
        g_free (module);
      else
        g_hash_table_replace (modules, module, g_hash_table_contains (modules, module) ? NULL : g);
    }
  return modules;
}

/* Adds @t, whose name names no layer with codes, to the layer that is its module. @names_scale: the name says that it
   is a scale, so that it may also lie beside codes of any name */
static void
add_stranger (Groups *groups, GHashTable *modules, const QconvTensor *t, gboolean names_scale)
{
  g_autofree char *module = module_of (t);
  ScaledGroup *g = g_hash_table_lookup (groups->by_layer, module);
  ScaledRole role = SCALED_SCALE;
  gboolean beside = names_scale && (g == NULL || g->codes == NULL) && g_hash_table_lookup (modules, module) != NULL;

  if (beside)
    g = g_hash_table_lookup (modules, module);
  if (g == NULL && g_str_has_suffix (module, ".weight"))
    {
      module[strlen (module) - strlen (".weight")] = '\0';
      g = g_hash_table_lookup (groups->by_layer, module);
    }
  if (g == NULL || g->codes == NULL || !could_scale (g->codes, t, beside))
    return;
  g_ptr_array_add (g->members, (gpointer) t);
  g_array_append_val (g->roles, role);
  g->scaled = TRUE;
}

/* Adds the tensors that belong to no codes by their names to the modules around them. */
static void
add_strangers (Groups *groups)
{
  g_autoptr (GHashTable) modules = list_modules (groups);
  guint n = groups->list->len;

  for (guint i = 0; i < n; i++)
    {
      const ScaledGroup *g = g_ptr_array_index (groups->list, i);

      for (guint j = 0; j < g->members->len && g->codes == NULL; j++)
        add_stranger (groups, modules, g_ptr_array_index (g->members, j),
                      g_array_index (g->roles, ScaledRole, j) > SCALED_PACKED);
      if (g->codes != NULL && g->members->len == 0)
        add_stranger (groups, modules, g->codes, FALSE);
    }
}

/* Returns: (transfer full): the groups of @list (transfer full elements) that have codes; frees all others. */
static GPtrArray *
keep_codes (const GPtrArray *list)
{
  GPtrArray *kept = g_ptr_array_new_with_free_func (free_group);

  for (guint i = 0; i < list->len; i++)
    {
      ScaledGroup *g = g_ptr_array_index (list, i);

      if (g->codes == NULL)
        {
          free_group (g);
          continue;
        }
      if (g->layer[0] == '\0') /* the file has one layer without a name */
        {
          g_free (g->layer);
          g->layer = g_strdup (g->codes->name);
        }
      g_ptr_array_add (kept, g);
    }
  return kept;
}

GPtrArray *
scaled_groups (const QconvDirectory *d, const QconvClaims *claims)
{
  g_autoptr (GHashTable) by_layer = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) list = g_ptr_array_new ();
  Groups groups = { list, by_layer };

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      gboolean left = claims == NULL || !qconv_claims_taken (claims, t);
      ScaledRole role;
      char *layer;

      if (!left || t->dtype == QCONV_OPAQUE || scaled_is_innocent (t->name))
        continue;
      layer = scaled_layer_name (t->name, &role);
      add_tensor (&groups, t, layer, role);
    }
  add_strangers (&groups);
  return keep_codes (list);
}
