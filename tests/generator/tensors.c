/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expands the templates of a family file to the tensors of a synthetic model. */
#include "tensors.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "families/keymap.h"

static void
clear_part (gpointer data)
{
  g_free (((ModelPart *) data)->source);
}

static void
free_tensor (gpointer data)
{
  ModelTensor *t = data;

  g_free (t->name);
  g_free (t->op);
  g_array_unref (t->parts);
  g_free (t);
}

static ModelTensor *
add_tensor (GPtrArray *tensors, const char *prefix, const char *name, const char *op, const QconvShape *shape)
{
  ModelTensor *t = g_new0 (ModelTensor, 1);

  t->name = g_strconcat (prefix, name, NULL);
  t->op = g_strdup (op);
  t->shape = *shape;
  t->parts = g_array_new (FALSE, FALSE, sizeof (ModelPart));
  g_array_set_clear_func (t->parts, clear_part);
  g_ptr_array_add (tensors, t);
  return t;
}

static guint64
rows_of (const QconvShape *shape)
{
  return shape->rank > 0 ? shape->dim[0] : 1;
}

/* Calculates the items of one row. Fails if there are too many */
static gboolean
row_items (const char *name, const QconvShape *shape, guint64 *row, GError **error)
{
  QconvShape one = *shape;

  if (one.rank > 0)
    one.dim[0] = 1;
  return qconv_shape_items (&one, row) || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: too large", name);
}

static gboolean
add_part (ModelTensor *t, const GraphTensor *source, guint64 first, guint64 stride, guint64 n, GError **error)
{
  gboolean around_one = g_str_equal (source->op, "norm") && !g_str_has_suffix (source->name, ".bias");
  ModelPart part = { .first = first, .stride = stride, .n = n, .mean = around_one ? 1 : 0 };

  if (!row_items (source->name, &source->shape, &part.row, error))
    return FALSE;
  part.source = g_strdup (source->name);
  part.width = part.row;
  g_array_append_val (t->parts, part);
  return TRUE;
}

static gboolean
add_whole (GPtrArray *tensors, const char *prefix, const GraphTensor *source, GError **error)
{
  ModelTensor *t = add_tensor (tensors, prefix, source->name, source->op, &source->shape);

  return add_part (t, source, 0, 1, rows_of (&source->shape), error);
}

static gboolean
add_mapped (GPtrArray *tensors, const char *prefix, const NameMap *map, GHashTable *sources, GHashTable *used,
            GError **error)
{
  ModelTensor *t = NULL;

  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *part = &g_array_index (map->parts, NamePart, i);
      const GraphTensor *source = g_hash_table_lookup (sources, part->name);
      ModelPart *added;

      if (t == NULL)
        t = add_tensor (tensors, prefix, map->name, source->op, &map->shape);
      t->transposed = map->transposed;
      g_hash_table_add (used, source->name);
      if (!add_part (t, source, part->first, part->stride, part->n, error))
        return FALSE;
      added = &g_array_index (t->parts, ModelPart, i);
      added->mean += (float) map->plus;
      added->beside = part->column > 0;
      added->skip = part->skip;
      added->width = part->width > 0 ? part->width : added->row;
    }
  return TRUE;
}

/* Adds the mapped tensors, then the tensors of @graph that no map uses, under their own names */
static gboolean
add_renamed (GPtrArray *tensors, const char *prefix, GPtrArray *graph, GPtrArray *maps, GError **error)
{
  g_autoptr (GHashTable) sources = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) used = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < graph->len; i++)
    {
      GraphTensor *source = g_ptr_array_index (graph, i);

      g_hash_table_insert (sources, source->name, source);
    }
  for (guint i = 0; i < maps->len; i++)
    if (!add_mapped (tensors, prefix, g_ptr_array_index (maps, i), sources, used, error))
      return FALSE;
  for (guint i = 0; i < graph->len; i++)
    {
      const GraphTensor *source = g_ptr_array_index (graph, i);

      if (!g_hash_table_contains (used, source->name) && !add_whole (tensors, prefix, source, error))
        return FALSE;
    }
  return TRUE;
}

static GPtrArray *
map_names (const Family *f, const ModelFamily *from, const char *variant, const char *architecture, const Dims *dims,
           GPtrArray *graph, GError **error)
{
  g_autoptr (Names) names = qconv_names_new ();

  for (guint i = 0; i < graph->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (graph, i);

      qconv_names_add (names, t->name, &t->shape);
    }
  return qconv_keymap (&(KeymapRequest) { .family = f,
                                          .variant = variant,
                                          .architecture = architecture,
                                          .dims = dims,
                                          .names = names,
                                          .from = "original",
                                          .to = from->naming },
                       error);
}

static gboolean
has_dim (const Family *f, const char *name)
{
  const FamilyDims *dims = &qconv_family_data (f)->dims;

  for (guint i = 0; i < dims->n; i++)
    if (strcmp (dims->at[i].name, name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
set_dims (const Family *f, Dims *dims, const char *const *sets, GError **error)
{
  for (; sets != NULL && *sets != NULL; sets++)
    {
      const char *equals = strchr (*sets, '=');
      g_autofree char *name = equals != NULL ? g_strndup (*sets, (gsize) (equals - *sets)) : NULL;
      guint64 value;

      if (name == NULL || !has_dim (f, name))
        return qconv_fail (error, QCONV_ERROR_OPTION, "--set %s: %s has no such dimension", *sets, qconv_family_id (f));
      if (!g_ascii_string_to_unsigned (equals + 1, 10, 0, G_MAXINT64, &value, error))
        return FALSE;
      qconv_dims_set (dims, name, (gint64) value);
    }
  return TRUE;
}

/* Returns what loaders need in the metadata to build @v, or NULL. A reduced variant has it inside "loader_reduced". */
static char *
config_of (const FamilyVariant *v)
{
  g_autoptr (JsonNode) reduced = v->loader_reduced != NULL ? json_from_string (v->loader_reduced, NULL) : NULL;
  JsonNode *config = reduced != NULL ? json_object_get_member (json_node_get_object (reduced), "config") : NULL;
  g_autofree char *text = v->header_config == NULL && config != NULL ? json_to_string (config, FALSE) : NULL;
  const char *written = v->header_config != NULL ? v->header_config : text;

  return written != NULL ? g_strdup_printf ("{\"transformer\":%s}", written) : NULL;
}

static char *
architecture_of (const Family *f, const char *wanted)
{
  FamilyTexts list = qconv_family_data (f)->architectures;

  if (wanted != NULL)
    return g_strdup (wanted);
  return g_strdup (list != NULL && list[0] != NULL ? list[0] : qconv_family_id (f));
}

static gboolean
count_items (GPtrArray *tensors, GError **error)
{
  for (guint i = 0; i < tensors->len; i++)
    {
      ModelTensor *t = g_ptr_array_index (tensors, i);

      if (!qconv_shape_items (&t->shape, &t->n_items) || t->n_items > G_MAXINT64 / 4)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: too large", t->name);
    }
  return TRUE;
}

GPtrArray *
model_expand_family (const ModelFamily *from, ModelFacts *facts, GError **error)
{
  g_autoptr (Family) f = qconv_family_load (from->path, error);
  g_autoptr (Dims) dims = f != NULL ? qconv_family_variant_dims (f, from->variant, error) : NULL;
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func (free_tensor), graph = NULL, maps = NULL;
  const FamilyVariant *variant = dims != NULL ? qconv_family_variant (f, from->variant) : NULL;
  g_autofree char *arch = NULL;

  if (dims == NULL || !set_dims (f, dims, from->sets, error))
    return NULL;
  graph = qconv_family_expand (f, dims, error);
  if (graph == NULL)
    return NULL;
  arch = architecture_of (f, from->architecture);
  maps = from->naming == NULL || g_str_equal (from->naming, "original")
             ? g_ptr_array_new ()
             : map_names (f, from, variant->name, arch, dims, graph, error);
  if (maps == NULL || !add_renamed (tensors, from->prefix, graph, maps, error) || !count_items (tensors, error))
    return NULL;
  facts->architecture = g_steal_pointer (&arch);
  facts->config = config_of (variant);
  if (g_strcmp0 (from->naming, "llama.cpp") == 0)
    facts->head_rows = (guint32) CLAMP (qconv_dims_get (dims, "head_dim"), 0, G_MAXINT32);
  return g_steal_pointer (&tensors);
}

void
model_facts_clear (ModelFacts *facts)
{
  g_clear_pointer (&facts->architecture, g_free);
  g_clear_pointer (&facts->config, g_free);
}

GPtrArray *
model_plain_layers (guint n, guint64 rows, guint64 cols, const char *prefix)
{
  GPtrArray *tensors = g_ptr_array_new_with_free_func (free_tensor);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("layers.%u.weight", i);
      ModelTensor *t = add_tensor (tensors, prefix, name, "linear", &QCONV_SHAPE2 (rows, cols));
      ModelPart part = { .source = g_strdup (t->name), .row = cols, .width = cols, .stride = 1, .n = rows };

      g_array_append_val (t->parts, part);
      t->n_items = rows * cols;
    }
  return tensors;
}
