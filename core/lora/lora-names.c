/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the names that LoRA files may use for the layers of a model, with the rows behind each name, and looks keys
   up among them. lora-merge.c calls it. */
#include "lora/lora-names.h"

#include <string.h>

#include "base/names.h"
#include "families/aliases.h"
#include "families/keymap.h"
#include "graph/select-part.h"
#include "layer/compose.h"

#define BIAS ".bias"

/* ---- Names ---- */

/**
 * LoraNames: the names of one model.
 *
 * @dotted, @flat: name without ".weight", such as "layers.0.attn.to_q" or "layers_0_attn_to_q" -> LoraName
 * @aliases: of the family
 * @encoders: (nullable): name of a text encoder, such as "clip_l" -> its LoraNames
 */
struct _LoraNames {
  GPtrArray *list;
  GHashTable *dotted, *flat, *encoders;
  const FamilyAliases *aliases;
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
  g_clear_pointer (&names->encoders, g_hash_table_unref);
  g_hash_table_unref (names->dotted);
  g_hash_table_unref (names->flat);
  g_ptr_array_unref (names->list);
  g_free (names);
}

/* Returns: (transfer none): a new name for @rows, which are (transfer full) */
static LoraName *
new_name (LoraNames *names, const char *name, GArray *rows, gboolean transposed)
{
  LoraName *n = g_new0 (LoraName, 1);

  n->name = g_strdup (name);
  n->rows = rows;
  n->transposed = transposed;
  g_ptr_array_add (names->list, n);
  return n;
}

/* Adds @spelling (transfer full). If another tensor has the spelling, that one keeps it, marked as ambiguous, unless
   both have the same rows */
static void
enter (LoraNames *names, GHashTable *table, char *spelling, LoraName *n)
{
  LoraName *first = g_hash_table_lookup (table, spelling), *marked;

  if (first == NULL)
    g_hash_table_insert (table, spelling, n);
  else if (first->other != NULL || (first->transposed == n->transposed && qconv_lora_rows_equal (first->rows, n->rows)))
    g_free (spelling);
  else
    {
      /* The other spellings of @first are not ambiguous */
      marked = new_name (names, first->name, g_array_ref (first->rows), first->transposed);
      marked->other = n;
      g_hash_table_insert (table, spelling, marked);
    }
}

static void
enter_alias (LoraNames *names, const LoraAlias *alias, LoraName *n)
{
  GArray *rows;

  if (alias->rows_per_column > 0)
    {
      rows = n->transposed ? NULL : qconv_lora_rows_first (n->rows, alias->rows_per_column);
      n = rows != NULL ? new_name (names, n->name, rows, FALSE) : NULL;
    }
  if (n != NULL)
    enter (names, names->dotted, g_strdup (alias->name), n);
}

static void
enter_spelling (LoraNames *names, const char *spelling, LoraName *n)
{
  g_autofree char *layer = qconv_weight_stem (spelling);
  g_autoptr (GArray) aliases = qconv_lora_dialects_rewrite (names->dialects, layer);

  enter (names, names->dotted, g_strdup (layer), n);
  enter (names, names->flat, g_strdelimit (g_strdup (layer), ".", '_'), n);
  for (guint i = 0; i < aliases->len; i++)
    enter_alias (names, &g_array_index (aliases, LoraAlias, i), n);
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
  n = new_name (names, name, rows, transposed);
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
      const SourceLayer *s = qconv_model_find_tensor (m, qconv_names_full (behind, p->name));
      NamedRows r = { s, p->first, p->stride, p->n, p->column, p->skip, p->width };

      if (s == NULL)
        return;
      g_array_append_val (rows, r);
    }
  add_name (names, map->name, g_steal_pointer (&rows), map->transposed);
}

/* Adds the names that the layers have in @naming. If the model lacks tensors, mapping fails and the names in @naming
   stay unknown */
static void
add_naming (LoraNames *names, const QconvModel *m, const Identity *id, const Names *behind, const char *naming)
{
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

/* Collects the names of @leaves, the layers of one model in @m: their own and those that its family maps. Returns:
   (transfer full) */
static LoraNames *
names_of (const QconvModel *m, const GPtrArray *leaves, const Identity *id, const LoraDialects *dialects)
{
  LoraNames *names = g_new0 (LoraNames, 1);
  const FamilyData *family = qconv_family_data (id->family);
  g_autoptr (Names) behind = qconv_layers_names (leaves, id);

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
      add_naming (names, m, id, behind, family->keymaps.at[i].a);
      add_naming (names, m, id, behind, family->keymaps.at[i].b);
    }
  return names;
}

/* ---- Text encoders ---- */

static void
free_layers (gpointer data)
{
  g_ptr_array_unref (data);
}

static void
free_names (gpointer data)
{
  qconv_lora_names_free (data);
}

/* Sorts the layers of the parts of a checkpoint. Returns: (transfer full): name of a part -> GPtrArray of its layers */
static GHashTable *
list_parts (const QconvModel *m, const Mapping *x, const GPtrArray *leaves)
{
  GHashTable *parts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_layers);
  const Identity *id = x->identity;

  for (guint i = 0; i < leaves->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (leaves, i);
      gsize wrapper = strncmp (s->plain_name, id->prefix, id->foreign) == 0 ? id->foreign : 0, length;
      g_autofree char *name = qconv_select_root (m, s->plain_name + wrapper, &length);
      GPtrArray *layers = name != NULL ? g_hash_table_lookup (parts, name) : NULL;

      if (name != NULL && layers == NULL)
        g_hash_table_insert (parts, g_strdup (name), layers = g_ptr_array_new ());
      if (name != NULL)
        g_ptr_array_add (layers, s);
    }
  return parts;
}

/* Returns whether @a and @b are equal but for hyphens and underscores: "clip-l" and "clip_l" */
static gboolean
same_model (const char *a, const char *b)
{
  while (*a != '\0' || *b != '\0')
    {
      a += strspn (a, "-_");
      b += strspn (b, "-_");
      if (*a != *b)
        return FALSE;
      a += *a != '\0';
      b += *b != '\0';
    }
  return TRUE;
}

/* Returns: (nullable): the name that dialects have for text encoder @name; NULL if they have none */
static const char *
encoder_name (const LoraDialects *d, const char *name)
{
  for (guint i = 0; i < d->encoders->len; i++)
    {
      const GPtrArray *models = g_array_index (d->encoders, LoraEncoder, i).models;

      for (guint j = 0; j < models->len; j++)
        if (same_model (g_ptr_array_index (models, j), name))
          return g_ptr_array_index (models, j);
    }
  return NULL;
}

/* Adds the names of @layers, if dialects have a name for @name. @whole: (nullable): the identity of @layers */
static void
add_encoder (LoraNames *names, const QconvModel *m, const char *name, const GPtrArray *layers, const Identity *whole)
{
  const char *known = encoder_name (names->dialects, name);
  g_autofree char *start = known != NULL && whole == NULL ? qconv_select_start (m, layers) : NULL;
  g_autoptr (Identity) part = start != NULL ? qconv_layers_identify (m, layers, start, NULL) : NULL;

  if (known != NULL && (whole != NULL || part != NULL))
    g_hash_table_insert (names->encoders, g_strdup (known),
                         names_of (m, layers, whole != NULL ? whole : part, names->dialects));
}

/* Collects the names of the text encoders in @x, which may be one itself. One that no family describes has only the
   names of its file */
static void
add_encoders (LoraNames *names, const QconvModel *m, const Mapping *x, const GPtrArray *leaves)
{
  g_autoptr (GHashTable) parts = list_parts (m, x, leaves);
  const Identity *whole = x->identity;
  GHashTableIter iter;
  gpointer name, layers;

  names->encoders = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_names);
  if (whole->variant != NULL && strcmp (qconv_family_kind (whole->family), "text_encoder") == 0)
    add_encoder (names, m, whole->variant, leaves, whole);
  g_hash_table_iter_init (&iter, parts);
  while (g_hash_table_iter_next (&iter, &name, &layers))
    add_encoder (names, m, name, layers, NULL);
}

LoraNames *
qconv_lora_names_new (const QconvModel *m, const Mapping *x, const LoraDialects *dialects)
{
  g_autoptr (GPtrArray) leaves = list_leaves (x);
  LoraNames *names = names_of (m, leaves, x->identity, dialects);

  add_encoders (names, m, x, leaves);
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

static const LoraName *
find_flat (const LoraNames *names, const char *layer, gboolean bias)
{
  g_autofree char *key = g_strconcat (layer, bias ? "_bias" : "", NULL);

  return g_hash_table_lookup (names->flat, key);
}

/* Finds the entry for text encoders that @key starts with. Returns: (nullable): NULL if there is none; *rest: the key
   behind the start */
static const LoraEncoder *
find_encoder (const LoraDialects *d, const char *key, const char **rest)
{
  const LoraEncoder *found = NULL;

  for (guint i = 0; i < d->encoders->len; i++)
    {
      const LoraEncoder *e = &g_array_index (d->encoders, LoraEncoder, i);
      const char *behind = qconv_lora_dialects_strip (e->starts, key);

      if (behind == NULL || (found != NULL && behind <= *rest))
        continue;
      found = e;
      *rest = behind;
    }
  return found;
}

/* Returns: (nullable): the names of the encoder in the mapping that @e means */
static const LoraNames *
names_of_encoder (const LoraNames *names, const LoraEncoder *e)
{
  for (guint i = 0; i < e->models->len; i++)
    {
      const LoraNames *found = g_hash_table_lookup (names->encoders, g_ptr_array_index (e->models, i));

      if (found != NULL)
        return found;
    }
  return NULL;
}

static const LoraName *
find_in_encoder (const LoraNames *names, const char *layer, gboolean bias)
{
  const char *rest = NULL;
  const LoraEncoder *e = find_encoder (names->dialects, layer, &rest);
  const LoraNames *of = e != NULL ? names_of_encoder (names, e) : NULL;

  if (of == NULL)
    return NULL;
  return rest[-1] == '_' ? find_flat (of, rest, bias) : find_dotted (of, rest, bias);
}

gboolean
qconv_lora_names_lack_encoder (const LoraNames *names, const char *key)
{
  const char *rest = NULL;
  const LoraEncoder *e = find_encoder (names->dialects, key, &rest);

  return e != NULL && names_of_encoder (names, e) == NULL;
}

const LoraName *
qconv_lora_names_find (const LoraNames *names, const char *layer, gboolean bias)
{
  const LoraDialects *d = names->dialects;

  for (const char *rest = layer; rest != NULL; rest = qconv_lora_dialects_strip (d->prefixes, rest))
    {
      const LoraName *found = find_dotted (names, rest, bias);
      const char *flat = qconv_lora_dialects_strip (d->flat_prefixes, rest);

      if (found == NULL && flat != NULL)
        found = find_flat (names, flat, bias);
      if (found == NULL)
        found = find_in_encoder (names, rest, bias);
      if (found != NULL)
        return found;
    }
  return NULL;
}
