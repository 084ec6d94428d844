/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the names that LoRA files may use for the layers of a model, with the rows behind each name, and looks keys
   up among them. lora.c calls it. */
#include "lora/lora-names.h"

#include <string.h>

#include "base/names.h"
#include "families/aliases.h"
#include "families/keymap.h"
#include "layer/compose.h"

#define BIAS ".bias"

/* ---- Names ---- */

/* @dotted, @flat: name without ".weight", such as "layers.0.attn.to_q" or "layers_0_attn_to_q" -> LoraName */
struct _LoraNames {
  GPtrArray *list;
  GHashTable *dotted, *flat;
  const FamilyAliases *aliases; /* of the family */
  const LoraDialects *dialects;
};

static void
free_name (gpointer data)
{
  LoraName *n = data;

  g_free (n->name);
  g_array_unref (n->rows);
  g_free (n);
}

void
qconv_lora_names_free (LoraNames *names)
{
  g_hash_table_unref (names->dotted);
  g_hash_table_unref (names->flat);
  g_ptr_array_unref (names->list);
  g_free (names);
}

/* Appends row @row of @source; extends the last stretch of rows if it continues it */
static void
append_row (GArray *rows, const SourceLayer *source, guint64 row)
{
  NamedRows one = { source, row, 1, 1 };
  NamedRows *last = rows->len > 0 ? &g_array_index (rows, NamedRows, rows->len - 1) : NULL;

  if (last != NULL && last->source == source && row > last->first
      && (last->n == 1 || row == last->first + last->n * last->stride))
    {
      if (last->n++ == 1)
        last->stride = row - last->first;
      return;
    }
  g_array_append_val (rows, one);
}

gboolean
qconv_lora_rows (const SourceLayer *s, GArray *rows)
{
  NamedRows all = { s, 0, 1, s->layer->pub.rows };
  gboolean upright = TRUE;

  if (s->parts == NULL)
    g_array_append_val (rows, all);
  for (guint i = 0; s->parts != NULL && i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      NamedRows some = { qconv_composed_source (s, i), p->first, p->stride, p->n };

      g_array_append_val (rows, some);
      upright &= !p->transposed;
    }
  return upright;
}

/* Returns: (transfer full): the same rows in as few stretches as possible */
static GArray *
join_rows (const GArray *rows)
{
  GArray *joined = g_array_new (FALSE, FALSE, sizeof (NamedRows));

  for (guint i = 0; i < rows->len; i++)
    {
      const NamedRows *r = &g_array_index (rows, NamedRows, i);

      for (guint64 j = 0; j < r->n; j++)
        append_row (joined, r->source, r->first + j * r->stride);
    }
  return joined;
}

static gboolean
equal_rows (const GArray *a, const GArray *b)
{
  return a->len == b->len && memcmp (a->data, b->data, a->len * sizeof (NamedRows)) == 0;
}

static gboolean
same_rows (const LoraName *a, const LoraName *b)
{
  g_autoptr (GArray) x = NULL, y = NULL;

  if (a->transposed != b->transposed || equal_rows (a->rows, b->rows))
    return a->transposed == b->transposed;
  x = join_rows (a->rows);
  y = join_rows (b->rows);
  return equal_rows (x, y);
}

/* Adds @spelling (transfer full). If another tensor has the spelling, that one keeps it and records @n, unless both
   have the same rows */
static void
enter (GHashTable *table, char *spelling, LoraName *n)
{
  LoraName *first = g_hash_table_lookup (table, spelling);

  if (first == NULL)
    {
      g_hash_table_insert (table, spelling, n);
      return;
    }
  if (!same_rows (first, n))
    first->other = n;
  g_free (spelling);
}

static void
enter_spelling (LoraNames *names, const char *spelling, LoraName *n)
{
  g_autofree char *layer = qconv_weight_stem (spelling);
  g_autoptr (GPtrArray) others = qconv_lora_dialects_rewrite (names->dialects, layer);

  enter (names->dotted, g_strdup (layer), n);
  enter (names->flat, g_strdelimit (g_strdup (layer), ".", '_'), n);
  for (guint i = 0; i < others->len; i++)
    enter (names->dotted, g_strdup (g_ptr_array_index (others, i)), n);
}

/* Adds a tensor under @name and under its alias, if the family has one. Adds nothing if @rows (transfer full) is
   empty */
static void
add_name (LoraNames *names, const char *name, GArray *rows, gboolean transposed)
{
  g_autofree char *one = qconv_aliases_apply (names->aliases, name);
  LoraName *n;

  if (rows->len == 0)
    {
      g_array_unref (rows);
      return;
    }
  n = g_new0 (LoraName, 1);
  n->name = g_strdup (name);
  n->rows = rows;
  n->transposed = transposed;
  g_ptr_array_add (names->list, n);
  enter_spelling (names, name, n);
  if (one != NULL && strcmp (one, name) != 0)
    enter_spelling (names, one, n);
}

static void
add_layer (LoraNames *names, const char *name, const SourceLayer *s)
{
  GArray *rows = g_array_new (FALSE, FALSE, sizeof (NamedRows));
  gboolean upright;

  upright = qconv_lora_rows (s, rows);
  add_name (names, name, rows, !upright);
}

/* ---- Collecting names ---- */

static void
add_leaf (GPtrArray *leaves, GHashTable *seen, SourceLayer *s)
{
  if (g_hash_table_add (seen, s))
    g_ptr_array_add (leaves, s);
}

/* Returns: (transfer container) (element-type SourceLayer): the layers of the model that the layers of @x consist of */
static GPtrArray *
list_leaves (const Mapping *x)
{
  GPtrArray *leaves = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (x->layers, i);

      if (s->parts == NULL)
        add_leaf (leaves, seen, s);
      for (guint j = 0; s->parts != NULL && j < s->sources->len; j++)
        add_leaf (leaves, seen, g_ptr_array_index (s->sources, j));
    }
  return leaves;
}

static void
add_map (LoraNames *names, const QconvModel *m, const Names *behind, const NameMap *map)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (NamedRows));

  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *p = &g_array_index (map->parts, NamePart, i);
      NamedRows r = { qconv_model_find_tensor (m, qconv_names_full (behind, p->name)), p->first, p->stride, p->n };

      if (r.source == NULL)
        return;
      g_array_append_val (rows, r);
    }
  add_name (names, map->name, g_steal_pointer (&rows), map->transposed);
}

/* Adds the names that the layers have in @naming. If the model lacks tensors, mapping fails and the names in @naming
   stay unknown */
static void
add_naming (LoraNames *names, const QconvModel *m, const Mapping *x, const Names *behind, const char *naming)
{
  const Identity *id = x->identity;
  g_autoptr (GPtrArray) maps = NULL;
  KeymapRequest request;

  if (strcmp (naming, id->naming) == 0 || !qconv_keymap_exists (id->family, id->variant, id->naming, naming))
    return;
  request = (KeymapRequest) { .family = id->family,
                              .variant = id->variant,
                              .architecture = qconv_model_architecture (m),
                              .dims = id->dims,
                              .names = behind,
                              .from = id->naming,
                              .to = naming,
                              .row_order = qconv_model_row_order (m),
                              .heads_unknown = id->dims != NULL && !qconv_model_states_heads (m, id) };
  maps = qconv_keymap (&request, NULL);
  for (guint i = 0; maps != NULL && i < maps->len; i++)
    add_map (names, m, behind, g_ptr_array_index (maps, i));
}

LoraNames *
qconv_lora_names_new (const QconvModel *m, const Mapping *x, const LoraDialects *dialects)
{
  LoraNames *names = g_new0 (LoraNames, 1);
  const FamilyData *family = qconv_family_data (x->identity->family);
  g_autoptr (GPtrArray) leaves = list_leaves (x);
  g_autoptr (Names) behind = qconv_layers_names (leaves, x->identity);

  names->dialects = dialects;
  names->list = g_ptr_array_new_with_free_func (free_name);
  names->dotted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  names->flat = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  names->aliases = &family->aliases;
  for (guint i = 0; i < qconv_names_length (behind); i++)
    {
      const char *name = qconv_names_name (behind, i);
      const SourceLayer *s = qconv_model_find_tensor (m, qconv_names_full (behind, name));

      if (s != NULL)
        add_layer (names, name, s);
    }
  for (guint i = 0; i < leaves->len; i++)
    add_layer (names, ((const SourceLayer *) g_ptr_array_index (leaves, i))->plain_name, g_ptr_array_index (leaves, i));
  for (guint i = 0; i < family->keymaps.n; i++)
    {
      add_naming (names, m, x, behind, family->keymaps.at[i].a);
      add_naming (names, m, x, behind, family->keymaps.at[i].b);
    }
  for (guint i = 0; i < x->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (x->layers, i);
      gboolean behind_prefix = g_str_has_prefix (s->plain_name, x->prefix);

      add_layer (names, s->plain_name + (behind_prefix ? strlen (x->prefix) : 0), s);
    }
  return names;
}

/* ---- Finding ---- */

static const LoraName *
find_dotted (const LoraNames *names, const char *layer, gboolean bias)
{
  g_autofree char *tensor = bias ? g_strconcat (layer, BIAS, NULL) : qconv_weight_name (layer);
  g_autofree char *exact = qconv_weight_stem (tensor);
  g_autofree char *one = qconv_aliases_apply (names->aliases, tensor);
  g_autofree char *alias = one != NULL ? qconv_weight_stem (one) : NULL;
  const LoraName *found = g_hash_table_lookup (names->dotted, exact);

  return found != NULL || alias == NULL ? found : g_hash_table_lookup (names->dotted, alias);
}

const LoraName *
qconv_lora_names_find (const LoraNames *names, const char *layer, gboolean bias)
{
  const LoraDialects *d = names->dialects;

  for (const char *rest = layer; rest != NULL; rest = qconv_lora_dialects_strip (d->prefixes, rest))
    {
      const LoraName *found = find_dotted (names, rest, bias);
      const char *flat = qconv_lora_dialects_strip (d->flat_prefixes, rest);
      g_autofree char *key = flat != NULL ? g_strconcat (flat, bias ? "_bias" : "", NULL) : NULL;

      if (found == NULL && key != NULL)
        found = g_hash_table_lookup (names->flat, key);
      if (found != NULL)
        return found;
    }
  return NULL;
}
