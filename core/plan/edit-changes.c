/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists what an edit changes, for the user and to find edits that change nothing. plan.c calls it when the output is
   planned. */
#include <string.h>

#include "base/checksum-map.h"
#include "base/gather.h"
#include "base/json-text.h"
#include "base/names.h"
#include "io/directory.h"
#include "plan/edit.h"
#include "registry/values.h"
#include "rules/input-scale.h"

enum {
  MOST_SHOWN = 60,     /* characters of a value */
  MOST_MARKER = 65536, /* bytes of a marker that is compared */
};

/* Returns: (transfer full): "@key: @from -> @to" with shortened values; NULL is "none" */
static char *
change_text (const char *key, const char *from, const char *to)
{
  g_autofree char *old = qconv_text_start (from != NULL ? from : "none", MOST_SHOWN);
  g_autofree char *new = qconv_text_start (to != NULL ? to : "none", MOST_SHOWN);

  if (strcmp (old, new) == 0)
    return g_strdup_printf ("%s: changes behind %s", key, old);
  return g_strdup_printf ("%s: %s -> %s", key, old, new);
}

/* Returns whether @a and @b (nullable) are the same text, or the same JSON with other blanks */
static gboolean
same_json (const char *a, const char *b)
{
  g_autoptr (JsonNode) x = NULL, y = NULL;

  if (a == NULL || b == NULL)
    return a == b;
  if (strcmp (a, b) == 0)
    return TRUE;
  x = qconv_json_text_parse (a, strlen (a), NULL);
  y = qconv_json_text_parse (b, strlen (b), NULL);
  return x != NULL && y != NULL && json_node_equal (x, y);
}

/* Adds "@name: @key: @from -> @to", unless both are the same */
static void
add_change (Gather *g, const char *name, const char *key, const char *from, const char *to)
{
  g_autofree char *text = change_text (key, from, to);

  if (same_json (from, to))
    return;
  qconv_gather_add (g, name, text, text);
}

static const char *
hint_of (const Layer *l, gconstpointer key)
{
  return l->hints != NULL ? g_hash_table_lookup (l->hints, key) : NULL;
}

/* Adds the changed keys of the markers of @l */
static void
add_hints (Gather *g, const PlannedLayer *l)
{
  g_autofree const char **keys = qconv_layer_hints_edited (&l->layer->pub);

  for (guint i = 0; keys[i] != NULL; i++)
    if (strcmp (keys[i], QCONV_INPUT_SCALE) != 0)
      add_change (g, l->source->name, keys[i], hint_of (l->source->layer, keys[i]), hint_of (l->layer, keys[i]));
}

/* Adds a change of the stored input scale of @l */
static void
add_input_scale (Gather *g, const PlannedLayer *l)
{
  const Binding *b = qconv_source_layer_binding (l->source, QCONV_INPUT_SCALE);
  const QconvTensor *t = b != NULL && b->load == NULL ? g_ptr_array_index (b->tensors, 0) : NULL;
  char from[G_ASCII_DTOSTR_BUF_SIZE] = "another value", to[G_ASCII_DTOSTR_BUF_SIZE];
  float old;

  if (t != NULL && t->dtype == QCONV_F32 && t->n_bytes == sizeof old
      && qconv_tensor_read (t, 0, sizeof old, &old, NULL))
    g_ascii_formatd (from, sizeof from, "%.9g", (double) old);
  g_ascii_formatd (to, sizeof to, "%.9g", (double) l->input_scale);
  if (l->has_input_scale)
    add_change (g, l->source->name, QCONV_INPUT_SCALE, b != NULL ? from : NULL, to);
  else if (b != NULL && qconv_layer_component (&l->layer->pub, QCONV_INPUT_SCALE) == NULL)
    add_change (g, l->source->name, QCONV_INPUT_SCALE, from, NULL);
}

/* Returns: (transfer full) (nullable): the text that @t holds; NULL if it is none or too long */
static char *
text_of (const QconvTensor *t)
{
  g_autofree char *text = NULL;

  if (t->n_bytes > MOST_MARKER)
    return NULL;
  text = g_malloc0 (t->n_bytes + 1);
  return qconv_tensor_read (t, 0, t->n_bytes, text, NULL) && g_utf8_validate (text, -1, NULL) ? g_steal_pointer (&text)
                                                                                              : NULL;
}

/* Adds the markers that options of the writer change; the changes of hints are listed by key */
static void
add_markers (Gather *g, const QconvPlan *p)
{
  for (guint i = 0; i < p->output.tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (p->output.tensors, i);
      const QconvTensor *to = qconv_planned_tensor (&p->output, t);
      const QconvTensor *from = qconv_directory_find (p->model->directory, to->name);
      g_autofree char *old = from != NULL ? text_of (from) : NULL, *new = NULL;

      if (t->data == NULL || old == NULL
          || (t->layer != NULL && t->layer->layer->edited != NULL && g_hash_table_size (t->layer->layer->edited) > 0))
        continue;
      new = g_strndup (g_bytes_get_data (t->data, NULL), g_bytes_get_size (t->data));
      add_change (g, to->name, "marker", old, new);
    }
}

static gboolean
has_options (const QconvPlan *p)
{
  for (const QconvOption *row = p->target->writer->options; row != NULL && row->name != NULL; row++)
    if (qconv_values_is_set (p->output.options, row->name))
      return TRUE;
  return FALSE;
}

/* Returns: (transfer full) (nullable): the value of the metadata @key as text */
static char *
metadata_text (const QconvDirectory *d, const char *key)
{
  GVariant *v = qconv_directory_metadata (d, key);

  if (v == NULL)
    return NULL;
  return g_variant_is_of_type (v, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (v, NULL) : g_variant_print (v, FALSE);
}

/* Adds the change of the metadata @key. Text is compared letter by letter: loaders get it as it is */
static void
add_metadata (Gather *g, const QconvPlan *p, const char *key)
{
  g_autofree char *from = metadata_text (p->model->directory, key), *to = metadata_text (p->output.directory, key);
  g_autofree char *name = g_strconcat ("metadata ", key, NULL), *text = change_text (name, from, to);

  /* Checksums follow from the tensors, unless they are left out */
  if (g_strcmp0 (from, to) != 0 && (strcmp (key, QCONV_CHECKSUMS) != 0 || !p->checksums))
    qconv_gather_add (g, NULL, NULL, text);
}

/* Adds to @names the tensors that hold input scales, in the source and in the output: add_input_scale() lists them */
static void
list_input_scales (GHashTable *names, const QconvPlan *p)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      const Binding *b = qconv_source_layer_binding (l->source, QCONV_INPUT_SCALE);
      gint index = qconv_layer_component_index (&l->layer->pub, QCONV_INPUT_SCALE);

      if (b != NULL)
        g_hash_table_add (names, (gpointer) ((const QconvTensor *) g_ptr_array_index (b->tensors, 0))->name);
      for (guint j = 0; index >= 0 && j < l->tensors->len; j++)
        {
          const PlannedTensor *t = g_ptr_array_index (l->tensors, j);

          if (t->component == index)
            g_hash_table_add (names, (gpointer) qconv_planned_tensor (&p->output, t)->name);
        }
    }
}

/* Adds "@text" for the tensors of @d that @other lacks, except for those in @listed */
static void
add_missing (Gather *g, const QconvDirectory *d, const QconvDirectory *other, GHashTable *listed, const char *text)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const char *name = qconv_directory_tensor (d, i)->name;

      if (qconv_directory_find (other, name) == NULL && !g_hash_table_contains (listed, name))
        qconv_gather_add (g, name, text, text);
    }
}

/* Adds what the writer changes besides: metadata, and tensors that it adds or leaves out */
static void
add_others (Gather *g, const QconvPlan *p)
{
  const QconvDirectory *from = p->model->directory, *to = p->output.directory;
  const char *const *keys = qconv_directory_metadata_keys (from);
  g_autoptr (GHashTable) listed = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; keys[i] != NULL; i++)
    add_metadata (g, p, keys[i]);
  keys = qconv_directory_metadata_keys (to);
  for (guint i = 0; keys[i] != NULL; i++)
    if (qconv_directory_metadata (from, keys[i]) == NULL)
      add_metadata (g, p, keys[i]);
  list_input_scales (listed, p);
  add_missing (g, from, to, listed, "the tensor is left out");
  add_missing (g, to, from, listed, "the tensor is added");
}

/* Returns whether a change of metadata that the user asked for has an effect */
static gboolean
metadata_changes (const QconvPlan *p)
{
  const char *const *changes = qconv_edit_metadata_changes (p->edit);

  if (!p->checksums && qconv_directory_metadata (p->model->directory, QCONV_CHECKSUMS) != NULL)
    return TRUE;
  for (guint i = 0; changes != NULL && changes[i] != NULL; i++)
    {
      g_autofree char *key = g_strndup (changes[i], strcspn (changes[i], "="));
      g_autofree char *from = metadata_text (p->model->directory, key), *to = metadata_text (p->output.directory, key);

      if (g_strcmp0 (from, to) != 0)
        return TRUE;
    }
  return FALSE;
}

GPtrArray *
qconv_edit_changes (const QconvPlan *p)
{
  g_autoptr (Gather) g = qconv_gather_new ();

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->layer->edited != NULL)
        add_hints (g, l);
      if (l->layer->quantizer != NULL)
        add_input_scale (g, l);
    }
  if (has_options (p))
    add_markers (g, p);
  /* A file of another program may get other metadata and markers, which alone is no reason to write it anew */
  if (qconv_gather_lines (g)->len > 0 || metadata_changes (p))
    add_others (g, p);
  return g_ptr_array_ref (qconv_gather_lines (g));
}
