/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares advice with the layers that other converters keep: data/families/peers.md explains each difference. With
   --print as its only argument this program prints the table. */
#include <stdio.h>
#include <string.h>

#include "families/advice.h"
#include "graph-fixture.h"

static const struct {
  const char *id;
  guint bits;
} schemes[] = { { "fp8", 8 }, { "int8", 8 }, { "mxfp8", 8 }, { "nvfp4", 4 }, { "nf4", 4 } };

enum { MAX_NAMED = 2 };

/* The table as it grows */
typedef struct {
  GHashTable *rows; /* "family | class | difference | peers" -> Row */
  GPtrArray *order; /* keys of @rows */
} Table;

typedef struct {
  GHashTable *templates;
  GPtrArray *names; /* of @templates, in order */
  guint schemes;    /* bits: those of the table above */
} Row;

static void
free_row (gpointer data)
{
  Row *row = data;

  g_hash_table_unref (row->templates);
  g_ptr_array_unref (row->names);
  g_free (row);
}

/* Returns whether a peer's list counts for @scheme: a list counts for the schemes that it was made for, and for all if
   it was made for none of ours. No list was made for nf4: the lists for the other scheme of 4 bits count */
static gboolean
counts_for (const Family *f, const char *peer, const char *scheme)
{
  const FamilyEvidences *all = &qconv_family_data (f)->keep_evidence;
  const char *counted = strcmp (scheme, "nf4") == 0 ? "nvfp4" : scheme;

  for (guint i = 0; i < all->n; i++)
    {
      FamilyTexts formats = all->at[i].formats;
      gboolean ours = FALSE;

      if (strcmp (all->at[i].id, peer) != 0)
        continue;
      for (guint s = 0; formats != NULL && s < G_N_ELEMENTS (schemes); s++)
        ours |= g_strv_contains (formats, schemes[s].id);
      return !ours || g_strv_contains (formats, counted);
    }
  g_error ("%s: no evidence %s", qconv_family_id (f), peer);
}

/* Sets the number of the block that @t is in and that of the last block. Returns FALSE if @t is in no block. */
static gboolean
find_block (const GraphModel *m, const GraphTensor *t, gint64 *block, gint64 *last)
{
  const char *template = t->layer->name, *open = strchr (template, '{');
  g_autofree char *variable = open != NULL ? g_strndup (open + 1, strcspn (open + 1, "}")) : NULL;

  for (guint i = 0; open != NULL && i < t->layer->index.n; i++)
    {
      const FamilyVariable *v = &t->layer->index.at[i];

      if (strcmp (v->name, variable) != 0 || v->values != NULL || !qconv_dims_evaluate (m->dims, &v->high, last, NULL))
        continue;
      *block = g_ascii_strtoll (t->name + (open - template), NULL, 10);
      (*last)--;
      return TRUE;
    }
  return FALSE;
}

/* Returns whether the block of @t is one of @where: "all", or blocks such as "0,1,last-1,last" */
static gboolean
keeps_block (const GraphModel *m, const GraphTensor *t, const char *where)
{
  g_auto (GStrv) blocks = g_strsplit (where, ",", -1);
  gint64 block = 0, last = 0;

  if (strcmp (where, "all") == 0)
    return TRUE;
  g_assert_true (find_block (m, t, &block, &last));
  for (char **b = blocks; *b != NULL; b++)
    {
      gboolean from_end = g_str_has_prefix (*b, "last");
      gint64 number
          = from_end ? last + g_ascii_strtoll (*b + strlen ("last"), NULL, 10) : g_ascii_strtoll (*b, NULL, 10);

      if (block == number)
        return TRUE;
    }
  return FALSE;
}

/* Returns the ids of the peers that keep @t, or "" if none does. (transfer full) */
static char *
peers_of (const GraphModel *m, const GraphTensor *t, const char *scheme)
{
  const FamilyPairs *kept_by = &t->layer->kept_by;
  GString *ids = g_string_new (NULL);

  for (guint i = 0; i < kept_by->n; i++)
    if (counts_for (m->family, kept_by->at[i].from, scheme) && keeps_block (m, t, kept_by->at[i].to))
      g_string_append_printf (ids, "%s%s", ids->len > 0 ? ", " : "", kept_by->at[i].from);
  return g_string_free (ids, FALSE);
}

/* Returns how our advice differs from the peers, or NULL if they agree */
static const char *
difference (Advice advice, const char *peers)
{
  if (*peers != '\0')
    return advice.kind == ADVICE_TARGET ? "quantized" : advice.kind == ADVICE_FALLBACK ? "fallback" : NULL;
  return advice.kind == ADVICE_KEEP ? "kept" : advice.kind == ADVICE_FALLBACK ? "fallback" : NULL;
}

static void
add_difference (Table *table, const GraphModel *m, const GraphTensor *t, guint scheme)
{
  g_autofree char *layer = graph_layer_name (t), *peers = peers_of (m, t, schemes[scheme].id), *key = NULL;
  Advice advice = qconv_family_advise (m->family, m->dims, schemes[scheme].id, schemes[scheme].bits, layer);
  const char *how = difference (advice, peers), *template = t->layer->name;
  Row *row;

  if (how == NULL)
    return;
  key = g_strdup_printf ("%s | %s | %s | %s", qconv_family_id (m->family), t->class_, how,
                         *peers != '\0' ? peers : "-");
  row = g_hash_table_lookup (table->rows, key);
  if (row == NULL)
    {
      row = g_new0 (Row, 1);
      row->templates = g_hash_table_new (g_str_hash, g_str_equal);
      row->names = g_ptr_array_new ();
      g_ptr_array_add (table->order, key);
      g_hash_table_insert (table->rows, g_steal_pointer (&key), row);
    }
  row->schemes |= 1u << scheme;
  if (g_hash_table_add (row->templates, (gpointer) template))
    g_ptr_array_add (row->names, (gpointer) template);
}

static void
compare_model (const GraphModel *m, gpointer data)
{
  if (m->about->synthetic)
    return;
  for (guint i = 0; i < m->tensors->len; i++)
    for (guint s = 0; s < G_N_ELEMENTS (schemes) && graph_is_layer (m->tensors->pdata[i]); s++)
      add_difference (data, m, m->tensors->pdata[i], s);
}

static void
print_row (GString *text, const char *key, const Row *row)
{
  g_autoptr (GString) names = g_string_new (NULL), in = g_string_new (NULL);
  g_auto (GStrv) columns = g_strsplit (key, " | ", -1);

  for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
    if (row->schemes & (1u << s))
      g_string_append_printf (in, "%s%s", in->len > 0 ? " " : "", schemes[s].id);
  for (guint i = 0; i < row->names->len && i < MAX_NAMED; i++)
    {
      const char *name = g_ptr_array_index (row->names, i);

      g_string_append_printf (names, "%s`%.*s`", i > 0 ? ", " : "", (int) (strlen (name) - strlen (".weight")), name);
    }
  if (row->names->len > MAX_NAMED)
    g_string_append_printf (names, " and %u more", row->names->len - MAX_NAMED);
  g_string_append_printf (text, "| %s | %s | %s | %s | %s | %s |\n", columns[0], in->str, columns[1], names->str,
                          columns[2], columns[3]);
}

/* Returns the whole table. @families: (nullable): gets the ids of the families in it. (transfer full) */
static char *
make_table (GHashTable *families)
{
  g_autoptr (GHashTable) rows = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_row);
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  GString *text = g_string_new ("| family | schemes | class | layers | here | kept by |\n"
                                "| --- | --- | --- | --- | --- | --- |\n");
  Table table = { rows, order };

  graph_each_model (compare_model, &table);
  for (guint i = 0; i < order->len; i++)
    {
      const char *key = g_ptr_array_index (order, i);

      print_row (text, key, g_hash_table_lookup (rows, key));
      if (families != NULL)
        g_hash_table_add (families, g_strndup (key, strcspn (key, " ")));
    }
  return g_string_free (text, FALSE);
}

static void
test_table (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("QCONV_DATA_PATH"), "families", "peers.md", NULL);
  g_autoptr (GHashTable) families = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *want = make_table (families), *page = NULL;
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer id;

  g_file_get_contents (path, &page, NULL, &error);
  g_assert_no_error (error);
  if (strstr (page, want) == NULL)
    g_error ("%s does not have this table:\n%s", path, want);
  g_test_message ("differences in %u families", g_hash_table_size (families));
  g_assert_cmpuint (g_hash_table_size (families), >, 10);
  g_hash_table_iter_init (&iter, families);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    {
      g_autofree char *line = g_strdup_printf ("\n- **%s**: ", (char *) id);

      if (strstr (page, line) == NULL)
        g_error ("%s does not say why %s differs", path, (char *) id);
    }
}

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "--print") == 0)
    {
      g_autofree char *table = make_table (NULL);

      fputs (table, stdout);
      return 0;
    }
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/peers/table", test_table);
  return g_test_run ();
}
