/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the numbers of blocks that a model states; stated.h describes them. */
#include "graph/stated.h"

#include "base/json-text.h"

#define CONFIG "config.json"
#define NESTED "text_config" /* of models that also see pictures (transformers) */
#define MOST 1024            /* blocks, or rows of a head: more are a fault of the file */

/* Returns the number that the first member of @names in @o (nullable) holds, or 0 */
static gint64
find_number (JsonObject *o, FamilyTexts names)
{
  for (guint i = 0; o != NULL && names[i] != NULL; i++)
    {
      JsonNode *node = json_object_get_member (o, names[i]);

      if (node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64)
        return CLAMP (json_node_get_int (node), 0, MOST + 1);
    }
  return 0;
}

/* Returns how many dimensions a file may state. A number of all blocks says nothing of two kinds of them */
static guint
count_stated (const FamilyDims *all)
{
  guint n = 0;

  for (guint i = 0; i < all->n; i++)
    n += all->at[i].stated != NULL;
  return n;
}

static JsonObject *
object_of (JsonNode *node)
{
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

char *
qconv_stated_file (const QconvModel *m)
{
  const char *path = qconv_source_path (m->source);
  g_autofree char *folder = path != NULL ? g_path_get_dirname (path) : NULL;
  g_autofree char *config = folder != NULL ? g_build_filename (folder, CONFIG, NULL) : NULL;

  return config != NULL && g_file_test (config, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer (&config) : NULL;
}

/* Names of members, as FamilyTexts */
static const char *const head_dim[] = { "head_dim", NULL };
static const char *const n_heads[] = { "num_attention_heads", NULL };

static JsonNode *
load_config (const QconvModel *m)
{
  g_autofree char *config = qconv_stated_file (m);

  return config != NULL ? qconv_json_text_load (config, QCONV_ERROR_INPUT, NULL) : NULL;
}

Dims *
qconv_stated_blocks (const QconvModel *m, const Family *f)
{
  const FamilyDims *all = &qconv_family_data (f)->dims;
  GVariant *fact = count_stated (all) == 1 ? qconv_directory_fact (m->directory, QCONV_FACT_N_BLOCKS) : NULL;
  g_autoptr (JsonNode) config = fact == NULL ? load_config (m) : NULL;
  JsonObject *top = object_of (config);
  JsonObject *nested = top != NULL ? object_of (json_object_get_member (top, NESTED)) : NULL;
  Dims *stated = qconv_dims_new ();

  for (guint i = 0; i < all->n; i++)
    {
      FamilyTexts names = all->at[i].stated;
      gint64 n;

      if (names == NULL)
        continue;
      n = fact != NULL ? (gint64) MIN (g_variant_get_uint64 (fact), MOST + 1) : find_number (top, names);
      if (n == 0)
        n = find_number (nested, names);
      if (n > 0 && n <= MOST)
        qconv_dims_set (stated, all->at[i].name, n);
    }
  return stated;
}

guint64
qconv_stated_head_rows (const QconvModel *m, guint64 rows)
{
  g_autoptr (JsonNode) config = load_config (m);
  JsonObject *top = object_of (config), *nested = NULL, *of;
  gint64 rows_of_head, heads;

  if (top != NULL)
    nested = object_of (json_object_get_member (top, NESTED));
  of = nested != NULL ? nested : top;
  rows_of_head = find_number (of, head_dim);
  heads = find_number (of, n_heads);
  if (rows_of_head > 0 && rows_of_head <= MOST && rows % (guint64) rows_of_head == 0)
    return (guint64) rows_of_head;
  return heads > 0 && heads <= MOST && rows % (guint64) heads == 0 ? rows / (guint64) heads : 0;
}
