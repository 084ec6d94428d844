/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv inspect`: shows what a model contains, without converting it. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/open-model.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

enum {
  MOST_SHOWN = 60, /* characters of a value */
  MOST_KEYS = 20,  /* of the metadata, without --all */
};

/* ---- For programs ---- */

static void
add_metadata (JsonBuilder *b, const QconvDirectory *d)
{
  const char *const *keys = qconv_directory_metadata_keys (d);

  json_builder_set_member_name (b, "metadata");
  json_builder_begin_object (b);
  for (guint i = 0; keys != NULL && keys[i] != NULL; i++)
    cli_json_variant (b, keys[i], qconv_directory_metadata (d, keys[i]));
  json_builder_end_object (b);
}

/* Adds the markers of @w: a value is JSON, or else text */
static void
add_markers (JsonBuilder *b, const QconvWeightInfo *w)
{
  g_autoptr (GList) keys = w->markers != NULL ? g_hash_table_get_keys (w->markers) : NULL;

  keys = g_list_sort (g_steal_pointer (&keys), (GCompareFunc) strcmp);
  json_builder_set_member_name (b, "markers");
  json_builder_begin_object (b);
  for (GList *key = keys; key != NULL; key = key->next)
    cli_json_value (b, key->data, g_hash_table_lookup (w->markers, key->data));
  json_builder_end_object (b);
}

static void
add_weights (JsonBuilder *b, const GArray *weights)
{
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvWeightInfo *w = &g_array_index (weights, QconvWeightInfo, i);

      json_builder_begin_object (b);
      cli_json_string (b, "name", w->name);
      cli_json_string (b, "scheme", w->scheme);
      cli_json_shape (b, "shape", &w->shape);
      cli_json_string (b, "dtype", w->dtype);
      cli_json_int (b, "bytes", w->bytes);
      add_markers (b, w);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

static const char *
tensor_type (const QconvTensor *t)
{
  return t->type != NULL ? t->type : qconv_dtype_name (t->dtype);
}

static void
add_tensors (JsonBuilder *b, const QconvDirectory *d)
{
  json_builder_set_member_name (b, "tensors");
  json_builder_begin_array (b);
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      json_builder_begin_object (b);
      cli_json_string (b, "name", t->name);
      cli_json_string (b, "dtype", tensor_type (t));
      cli_json_shape (b, "shape", &t->shape);
      cli_json_int (b, "bytes", t->n_bytes);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

static void
print_json (const QconvModel *model, const GArray *weights)
{
  const QconvDirectory *d = qconv_model_directory (model);
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  cli_json_string (b, "format", qconv_model_format (model));
  cli_json_string (b, "family", qconv_model_family (model));
  cli_json_string (b, "variant", qconv_model_variant (model));
  add_metadata (b, d);
  add_weights (b, weights);
  add_tensors (b, d);
  json_builder_end_object (b);
  cli_json_print (b);
}

/* ---- For people ---- */

typedef struct {
  const char *scheme;
  guint n;
  guint64 bytes;
} SchemeCount;

static void
print_schemes (const GArray *weights)
{
  g_autoptr (GArray) counts = g_array_new (FALSE, FALSE, sizeof (SchemeCount));
  g_autoptr (CliTable) table = cli_table_new ("lrr");

  for (guint i = 0; i < weights->len; i++)
    {
      const QconvWeightInfo *w = &g_array_index (weights, QconvWeightInfo, i);
      SchemeCount *found = NULL;

      for (guint j = 0; found == NULL && j < counts->len; j++)
        if (g_str_equal (g_array_index (counts, SchemeCount, j).scheme, w->scheme))
          found = &g_array_index (counts, SchemeCount, j);
      if (found == NULL)
        {
          g_array_append_vals (counts, &(SchemeCount) { .scheme = w->scheme }, 1);
          found = &g_array_index (counts, SchemeCount, counts->len - 1);
        }
      found->n++;
      found->bytes += w->bytes;
    }
  cli_table_row (table, _ ("scheme"), _ ("layers"), _ ("size"));
  for (guint i = 0; i < counts->len; i++)
    {
      const SchemeCount *c = &g_array_index (counts, SchemeCount, i);
      g_autofree char *n = g_strdup_printf ("%u", c->n);
      g_autofree char *size = cli_size_text (c->bytes);

      cli_table_row (table, c->scheme, n, size);
    }
  cli_table_print (table, "  ");
}

static int
compare_sizes (gconstpointer a, gconstpointer b)
{
  const QconvWeightInfo *x = a, *y = b;

  return x->bytes > y->bytes ? -1 : x->bytes < y->bytes ? 1 : g_strcmp0 (x->name, y->name);
}

static void
print_weights (const GArray *weights, guint most)
{
  g_autoptr (CliTable) table = cli_table_new ("lllrr");

  cli_table_row (table, most > 0 ? _ ("largest layers") : _ ("layer"), _ ("scheme"), _ ("dtype"), _ ("shape"),
                 _ ("size"));
  for (guint i = 0; i < weights->len && (most == 0 || i < most); i++)
    {
      const QconvWeightInfo *w = &g_array_index (weights, QconvWeightInfo, i);
      g_autofree char *shape = qconv_shape_to_string (&w->shape);
      g_autofree char *size = cli_size_text (w->bytes);

      cli_table_row (table, w->name, w->scheme, w->dtype != NULL ? w->dtype : "-", shape, size);
    }
  cli_table_print (table, "  ");
}

static void
print_tensors (const QconvDirectory *d)
{
  g_autoptr (CliTable) table = cli_table_new ("llrr");

  cli_table_row (table, _ ("tensor"), _ ("dtype"), _ ("shape"), _ ("size"));
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *shape = qconv_shape_to_string (&t->shape);
      g_autofree char *size = cli_size_text (t->n_bytes);

      cli_table_row (table, t->name, tensor_type (t), shape, size);
    }
  cli_table_print (table, "  ");
}

/* Returns: (transfer full): a value of the metadata in one line: an array by its number of items, text by its start */
static char *
metadata_text (GVariant *value)
{
  g_autofree char *text = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return qconv_text_start (g_variant_get_string (value, NULL), MOST_SHOWN);
  if (g_variant_is_container (value))
    return g_strdup_printf (_ ("%u items"), (guint) g_variant_n_children (value));
  text = g_variant_print (value, FALSE);
  return qconv_text_start (text, MOST_SHOWN);
}

static void
print_metadata (const QconvDirectory *d, gboolean all)
{
  const char *const *keys = qconv_directory_metadata_keys (d);
  guint n = g_strv_length ((GStrv) keys);
  g_autoptr (CliTable) table = cli_table_new ("ll");

  if (n == 0)
    return;
  cli_table_row (table, _ ("metadata"), _ ("value"));
  for (guint i = 0; i < n && (all || i < MOST_KEYS); i++)
    {
      g_autofree char *value = metadata_text (qconv_directory_metadata (d, keys[i]));

      cli_table_row (table, keys[i], value);
    }
  cli_print ("\n");
  cli_table_print (table, "  ");
  if (!all && n > MOST_KEYS)
    cli_print (_ ("  %u more keys: --all lists them\n"), n - MOST_KEYS);
}

/* Returns: (transfer full): the markers of @w in one line: "format="nvfp4" full_precision_matrix_mult=true" */
static char *
markers_text (const QconvWeightInfo *w)
{
  g_autoptr (GList) keys = g_hash_table_get_keys (w->markers);
  g_autoptr (GString) text = g_string_new (NULL);

  keys = g_list_sort (g_steal_pointer (&keys), (GCompareFunc) strcmp);
  for (GList *key = keys; key != NULL; key = key->next)
    g_string_append_printf (text, "%s%s=%s", text->len > 0 ? " " : "", (const char *) key->data,
                            (const char *) g_hash_table_lookup (w->markers, key->data));
  return qconv_text_start (text->str, 2 * MOST_SHOWN);
}

/* The layers with the same markers */
typedef struct {
  char *text;
  const char *first;
  guint n;
} MarkerCount;

static void
clear_marker_count (gpointer data)
{
  g_free (((MarkerCount *) data)->text);
}

static void
count_markers (GArray *counts, const QconvWeightInfo *w)
{
  g_autofree char *text = markers_text (w);

  for (guint i = 0; i < counts->len; i++)
    if (g_str_equal (g_array_index (counts, MarkerCount, i).text, text))
      {
        g_array_index (counts, MarkerCount, i).n++;
        return;
      }
  g_array_append_vals (counts, &(MarkerCount) { g_steal_pointer (&text), w->name, 1 }, 1);
}

/* Prints what the file says of the quantization of its layers */
static void
print_markers (const GArray *weights)
{
  g_autoptr (GArray) counts = g_array_new (FALSE, FALSE, sizeof (MarkerCount));
  g_autoptr (CliTable) table = cli_table_new ("lrl");

  g_array_set_clear_func (counts, clear_marker_count);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvWeightInfo *w = &g_array_index (weights, QconvWeightInfo, i);

      if (w->markers != NULL && g_hash_table_size (w->markers) > 0)
        count_markers (counts, w);
    }
  if (counts->len == 0)
    return;
  cli_table_row (table, _ ("markers"), _ ("layers"), _ ("first layer"));
  for (guint i = 0; i < counts->len; i++)
    {
      const MarkerCount *c = &g_array_index (counts, MarkerCount, i);
      g_autofree char *n = g_strdup_printf ("%u", c->n);

      cli_table_row (table, c->text, n, c->first);
    }
  cli_print ("\n");
  cli_table_print (table, "  ");
}

static void
print_text (const char *path, const QconvModel *model, GArray *weights, gboolean all)
{
  const QconvDirectory *d = qconv_model_directory (model);
  const char *family = qconv_model_family (model), *variant = qconv_model_variant (model);
  g_autoptr (CliTable) head = cli_table_new ("ll");
  guint64 bytes = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    bytes += qconv_directory_tensor (d, i)->n_bytes;
  {
    g_autofree char *size = cli_size_text (bytes);
    g_autofree char *tensors = g_strdup_printf (_ ("%u, %s"), qconv_directory_n_tensors (d), size);

    cli_print ("%s\n", path);
    cli_table_row (head, _ ("format"), qconv_model_format (model));
    cli_table_row (head, _ ("container"), qconv_directory_container (d));
    cli_table_row (head, _ ("family"), family != NULL ? family : _ ("unknown"));
    if (variant != NULL)
      cli_table_row (head, _ ("variant"), variant);
    cli_table_row (head, _ ("tensors"), tensors);
    cli_table_print (head, "  ");
  }
  cli_print ("\n");
  print_schemes (weights);
  print_markers (weights);
  print_metadata (d, all);
  cli_print ("\n");
  if (!all)
    g_array_sort (weights, compare_sizes);
  print_weights (weights, all ? 0 : 5);
  if (!all)
    return;
  cli_print ("\n");
  print_tensors (d);
}

gboolean
cli_inspect (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (QconvModel) model = cli_model_open (&s->input, words[0], s->input.from, FALSE, NULL, error);
  g_autoptr (GArray) weights = NULL;

  if (model == NULL)
    return FALSE;
  weights = qconv_model_weights (model);
  if (s->show.json)
    print_json (model, weights);
  else
    print_text (words[0], model, weights, s->show.all);
  return TRUE;
}
