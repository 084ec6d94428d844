/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps a model's layers to one naming by the keymaps of its family; planning starts from the result. */
#include "graph/mapping.h"

#include <string.h>

#include "base/names.h"
#include "families/aliases.h"
#include "families/expand.h"
#include "families/keymap.h"
#include "graph/restore.h"
#include "graph/select-part.h"
#include "graph/unwrap.h"
#include "layer/compose.h"

#define ORIGINAL "original"

/* Making: what the functions below share while they make one mapping */
typedef struct {
  const QconvModel *model;
  GPtrArray *from; /* SourceLayer: the selected layers of @model */
  gboolean part;   /* they are one part of a checkpoint */
  Mapping *x;
  Names *names;          /* behind the prefix */
  GHashTable *made;      /* SourceLayer -> GPtrArray of the composed layers whose first source it is */
  GHashTable *used;      /* SourceLayers of the model that composed layers use */
  GHashTable *spellings; /* common spelling of a name (families/aliases.h) -> spelling of the published variant */
  const FamilyAliases *aliases; /* (nullable): of the family, while @spellings are known */
  Dims *published;              /* (nullable): of the published variant, if the model differs only in spelling */
} Making;

void
qconv_mapping_free (Mapping *x)
{
  g_clear_pointer (&x->identity, qconv_identity_free);
  g_ptr_array_unref (x->layers);
  g_ptr_array_unref (x->composed);
  g_clear_pointer (&x->missing, g_ptr_array_unref);
  g_hash_table_unref (x->originals);
  g_free (x);
}

const char *
qconv_mapping_original (const Mapping *x, const SourceLayer *s)
{
  return g_hash_table_lookup (x->originals, s);
}

/* Finds the layer whose tensor has @name after the prefix */
static SourceLayer *
find_source (const Making *k, const char *name)
{
  const char *full = qconv_names_full (k->names, name);

  return full != NULL ? qconv_model_find_tensor (k->model, full) : NULL;
}

/* Returns the index of @s in @sources. Adds @s if @sources lacks it */
static guint
source_index (GPtrArray *sources, SourceLayer *s)
{
  guint i;

  if (!g_ptr_array_find (sources, s, &i))
    {
      i = sources->len;
      g_ptr_array_add (sources, s);
    }
  return i;
}

/* Returns: (transfer full): the dimensions of the model. Takes dimensions that only tell the spelling of names
   from the published variant, if the variant is published */
static Dims *
published_dims (const Identity *id)
{
  const FamilyDims *dims = &qconv_family_data (id->family)->dims;
  Dims *published = qconv_dims_copy (id->dims), *variant = qconv_family_variant_dims (id->family, id->variant, NULL);

  for (guint i = 0; variant != NULL && i < dims->n; i++)
    if (dims->at[i].infer.present != NULL)
      qconv_dims_set (published, dims->at[i].name, qconv_dims_get (variant, dims->at[i].name));
  g_clear_pointer (&variant, qconv_dims_free);
  return published;
}

/* Returns whether @tensors and @spellings hold the same tensors, whatever spelling the names have */
static gboolean
same_tensors (const Making *k, const GPtrArray *tensors)
{
  gboolean same = tensors->len == g_hash_table_size (k->spellings);

  for (guint i = 0; same && i < tensors->len; i++)
    {
      g_autofree char *one = qconv_aliases_apply (k->aliases, ((GraphTensor *) g_ptr_array_index (tensors, i))->name);

      same = g_hash_table_contains (k->spellings, one);
    }
  return same;
}

/* Finds the spelling of the published variant, if the family accepts several spellings */
static gboolean
find_spellings (Making *k, GError **error)
{
  const Identity *id = k->x->identity;
  g_autoptr (Dims) dims = NULL;
  g_autoptr (GPtrArray) tensors = NULL, own = NULL;

  k->spellings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  k->aliases = &qconv_family_data (id->family)->aliases;
  if (id->variant == NULL || id->dims == NULL)
    return TRUE;
  dims = published_dims (id);
  tensors = qconv_family_expand (id->family, dims, error);
  for (guint i = 0; tensors != NULL && i < tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (tensors, i);

      g_hash_table_insert (k->spellings, qconv_aliases_apply (k->aliases, t->name), g_strdup (t->name));
    }
  own = tensors != NULL ? qconv_family_expand (id->family, id->dims, error) : NULL;
  if (own != NULL && same_tensors (k, own))
    k->published = g_steal_pointer (&dims);
  return own != NULL;
}

/* Returns: (transfer full): @name in the published spelling, with the prefix of the output */
static char *
output_name (const Making *k, const char *name)
{
  g_autofree char *one = k->aliases != NULL ? qconv_aliases_apply (k->aliases, name) : NULL;
  const char *spelled = one != NULL ? g_hash_table_lookup (k->spellings, one) : NULL;

  return g_strconcat (k->x->prefix, spelled != NULL ? spelled : name, NULL);
}

static SourceLayer *
compose_map (Making *k, const NameMap *map, GError **error)
{
  g_autofree char *name = output_name (k, map->name);
  g_autoptr (GPtrArray) sources = g_ptr_array_new ();
  g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (Part));
  SourceLayer *s;

  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *p = &g_array_index (map->parts, NamePart, i);
      Part part = { 0, p->first, p->stride, p->n, map->transposed, p->column, p->skip, p->width };

      s = find_source (k, p->name);
      if (s == NULL)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\", which \"%s\" is made of, is missing",
                           p->name, map->name),
               NULL;
      qconv_part_set_source (&part, source_index (sources, s), s);
      g_hash_table_add (k->used, s);
      g_array_append_val (parts, part);
    }
  s = qconv_compose (name, &map->shape, sources, g_steal_pointer (&parts), error);
  return s != NULL && map->plus != 0 ? qconv_compose_plus (s, (float) map->plus) : s;
}

static void
put_made (Making *k, SourceLayer *s)
{
  gpointer first = g_ptr_array_index (s->sources, 0);
  GPtrArray *list = g_hash_table_lookup (k->made, first);

  if (list == NULL)
    g_hash_table_insert (k->made, first, list = g_ptr_array_new ());
  g_ptr_array_add (list, s);
  g_ptr_array_add (k->x->composed, s);
}

/* Returns the request for the names of the model in naming @to. @dims: NULL if they are not known */
static KeymapRequest
keymap_request (const Making *k, const Dims *dims, const char *to)
{
  const Identity *id = k->x->identity;

  return (KeymapRequest) { .family = id->family,
                           .variant = id->variant,
                           .architecture = qconv_model_architecture_of (k->model, id),
                           .dims = dims,
                           .names = k->names,
                           .from = id->naming,
                           .to = to,
                           .row_order = qconv_model_row_order (k->model),
                           .heads_unknown = id->dims != NULL && !qconv_model_states_heads (k->model, id) };
}

static gboolean
apply_keymap (Making *k, const char *to, gboolean asked, GError **error)
{
  const Identity *id = k->x->identity;
  KeymapRequest request = keymap_request (k, id->dims, to);
  g_autoptr (GPtrArray) maps = qconv_keymap (&request, error);
  const char *stray;

  if (maps == NULL)
    return FALSE;
  stray = qconv_keymap_stray (&request, maps);
  if (stray != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "tensor \"%s\" has no name in %s naming: blocks before it are missing", stray, to);
  stray = asked ? qconv_keymap_unnamed (&request, maps) : NULL;
  if (stray != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "tensor \"%s\" has no name in %s naming: leave it out with --drop, or keep all names with "
                       "--names keep",
                       stray, to);
  for (guint i = 0; i < maps->len; i++)
    {
      SourceLayer *s = compose_map (k, g_ptr_array_index (maps, i), error);

      if (s == NULL)
        return FALSE;
      put_made (k, s);
    }
  return TRUE;
}

/* Lists the layers of the mapping. A composed layer takes the place of its first source */
static void
list_layers (Making *k)
{
  for (guint i = 0; i < k->from->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (k->from, i);
      const GPtrArray *made = g_hash_table_lookup (k->made, s);

      for (guint j = 0; made != NULL && j < made->len; j++)
        g_ptr_array_add (k->x->layers, g_ptr_array_index (made, j));
      if (!g_hash_table_contains (k->used, s))
        g_ptr_array_add (k->x->layers, s);
    }
}

/* ---- Names and shapes of the original naming ---- */

/* Finds the original names of layers in another naming. A layer that is a part of an original tensor gets the name
   of that tensor. If tensors are missing, finds only names outside blocks; only renaming needs all names */
static gboolean
name_foreign (Making *k, GError **error)
{
  const Identity *id = k->x->identity;
  g_autoptr (GPtrArray) maps = NULL;
  g_autoptr (Dims) none = id->dims == NULL ? qconv_dims_new () : NULL;
  KeymapRequest request;

  if (!qconv_keymap_exists (id->family, id->variant, id->naming, ORIGINAL))
    return TRUE;
  request = keymap_request (k, none != NULL ? none : id->dims, ORIGINAL);
  request.any_order = TRUE;
  maps = qconv_keymap (&request, error);
  for (guint i = 0; maps != NULL && i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);

      for (guint j = 0; j < map->parts->len; j++)
        {
          SourceLayer *s = find_source (k, g_array_index (map->parts, NamePart, j).name);

          if (s != NULL)
            g_hash_table_insert (k->x->originals, s, qconv_weight_stem (map->name));
        }
    }
  return maps != NULL;
}

static void
name_layers (Making *k)
{
  const Identity *id = k->x->identity;
  /* The generic rules know the parts of a checkpoint, such as a VAE, by the start of their names */
  gboolean whole = k->part && id->foreign > 0 && !qconv_identity_known (id);
  gboolean original = g_strcmp0 (k->x->naming, ORIGINAL) == 0 && !whole;

  for (guint i = 0; i < k->x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (k->x->layers, i);
      /* A layer that is composed for another naming has the original name of its first source */
      const SourceLayer *of = !original && s->sources != NULL ? g_ptr_array_index (s->sources, 0) : s;
      const char *known = g_hash_table_lookup (k->x->originals, of);
      const char *prefix = of == s ? k->x->prefix : whole ? "" : id->prefix, *name = of->plain_name;

      if (g_hash_table_contains (k->x->originals, s))
        continue;
      if (g_str_has_prefix (name, prefix))
        name += strlen (prefix);
      g_hash_table_insert (k->x->originals, s, known != NULL ? g_strdup (known) : qconv_weight_stem (name));
    }
}

/* Restores the shapes of layers if the container has lost axes. The family knows the shapes */
static gboolean
restore_shapes (Making *k, GError **error)
{
  const Identity *id = k->x->identity;
  g_autoptr (GPtrArray) tensors = qconv_family_expand (id->family, id->dims, error);
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);

  if (tensors == NULL)
    return FALSE;
  for (guint i = 0; i < tensors->len; i++)
    {
      GraphTensor *t = g_ptr_array_index (tensors, i);

      g_hash_table_insert (by_name, t->name, t);
    }
  for (guint i = 0; i < k->x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (k->x->layers, i), *shaped;
      const char *name = s->plain_name + (g_str_has_prefix (s->plain_name, k->x->prefix) ? strlen (k->x->prefix) : 0);
      const GraphTensor *t = g_hash_table_lookup (by_name, name);
      QconvShape shape;

      if (t == NULL || !qconv_source_layer_plain (s)
          || !qconv_restore_shape (&s->layer->pub.shape, &t->shape, 0, &shape))
        continue;
      shaped = qconv_compose_renamed (s, s->plain_name, &shape, error);
      if (shaped == NULL)
        return FALSE;
      g_ptr_array_add (k->x->composed, shaped);
      g_ptr_array_index (k->x->layers, i) = shaped;
    }
  return TRUE;
}

/* Returns: (transfer full): the name in the output of a tensor that is not composed */
static char *
stripped_name (const Making *k, const char *name)
{
  const Identity *id = k->x->identity;

  if (k->part)
    return g_strdup (qconv_select_bare (k->model, id, name));
  if (g_str_has_prefix (name, id->prefix))
    return g_strconcat (k->x->prefix, name + strlen (id->prefix), NULL);
  return g_strdup (name + (strncmp (name, id->prefix, id->foreign) == 0 ? id->foreign : 0));
}

/* Removes prefixes from the names of layers that are not composed */
static gboolean
strip_names (Making *k, GError **error)
{
  for (guint i = 0; i < k->x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (k->x->layers, i), *bare;
      g_autofree char *name = stripped_name (k, s->plain_name);

      if (s->parts != NULL || strcmp (name, s->plain_name) == 0)
        continue;
      bare = qconv_compose_renamed (s, name, &s->layer->pub.shape, error);
      if (bare == NULL)
        return FALSE;
      g_ptr_array_add (k->x->composed, bare);
      g_ptr_array_index (k->x->layers, i) = bare;
    }
  return TRUE;
}

/* Fails if names cannot be changed to @naming because the model is of no known family. The makers' names of such a
   model may stay, unless the user asked for @naming; names of another program may not, because that program may have
   changed the numbers, too */
static gboolean
check_unknown (const Making *k, const char *naming, gboolean asked, GError **error)
{
  const Families *families = qconv_model_families (k->model, error);
  const char *architecture = qconv_model_architecture (k->model);
  const FamilyPairs *foreign;

  if (families == NULL)
    return FALSE;
  if (asked || strcmp (naming, ORIGINAL) != 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "nothing is known of this model, so %s names cannot be given to it",
                       naming);
  foreign = &qconv_family_data (qconv_families_generic (families))->foreign_names;
  for (guint i = 0; i < foreign->n; i++)
    if (qconv_names_starting (k->names, foreign->at[i].from))
      return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                         "names such as \"%s\" are those of %s, and no family maps them%s%s%s: loaders of this target "
                         "do not know them, and rows or norms may be changed; keep names and numbers with --names keep",
                         foreign->at[i].from, foreign->at[i].to, architecture != NULL ? " (architecture " : "",
                         architecture != NULL ? architecture : "", architecture != NULL ? ")" : "");
  return TRUE;
}

static gboolean
make_mapping (Making *k, const MappingOptions *o, GError **error)
{
  Mapping *x = k->x;
  const Identity *id = x->identity;
  const char *naming = qconv_identity_choose_naming (id, o->namings);
  gboolean known = qconv_identity_known (id);
  gboolean foreign = known && strcmp (id->naming, ORIGINAL) != 0;

  if (!known && naming != NULL && !check_unknown (k, naming, o->asked, error))
    return FALSE;
  if (known && naming != NULL && strcmp (naming, id->naming) != 0)
    {
      if (!qconv_keymap_exists (id->family, id->variant, id->naming, naming))
        return qconv_identity_lacks_naming (k->model, id, naming, error);
      foreign = strcmp (naming, ORIGINAL) != 0;
      if ((!foreign && !find_spellings (k, error)) || !apply_keymap (k, naming, o->asked, error))
        return FALSE;
      x->naming = naming;
      if (k->published != NULL)
        {
          qconv_dims_free (x->identity->dims);
          x->identity->dims = g_steal_pointer (&k->published);
        }
    }
  list_layers (k);
  if ((strcmp (x->prefix, id->prefix) != 0 || k->part) && !strip_names (k, error))
    return FALSE;
  if (foreign && !name_foreign (k, error))
    return FALSE;
  if (known && !foreign && !restore_shapes (k, error))
    return FALSE;
  name_layers (k);
  return !o->keep_prefix || qconv_unwrap_keep (x, error);
}

static void
free_list (gpointer data)
{
  g_ptr_array_unref (data);
}

/* Returns: (transfer full): the identity of the selected layers. If all layers are selected, copies the identity
   of the model */
static Identity *
identify_selected (const Making *k, GError **error)
{
  const Identity *whole;

  if (k->from->len < k->model->layers->len)
    {
      g_autofree char *start = k->part ? qconv_select_start (k->model, k->from) : g_strdup ("");

      return qconv_layers_identify (k->model, k->from, start, error);
    }
  whole = qconv_model_identity (k->model, error);
  return whole != NULL ? qconv_identity_copy (whole) : NULL;
}

/* Selects the layers to convert and identifies their model */
static gboolean
begin (Making *k, const MappingOptions *o, GError **error)
{
  Mapping *x = k->x;
  const Identity *whole = qconv_model_identity (k->model, error);
  g_autoptr (GPtrArray) all = NULL;

  k->part = o->component != NULL && strcmp (o->component, "all") != 0;
  if (whole == NULL)
    return FALSE;
  k->from = qconv_select_component (k->model, k->model->layers, whole, o->component, error);
  x->n_ema = k->from != NULL && o->component == NULL ? k->model->layers->len - k->from->len : 0;
  all = k->from != NULL ? g_ptr_array_copy (k->from, NULL, NULL) : NULL;
  if (k->from == NULL || !qconv_select_drop (k->from, o->drop, NULL, &x->n_useless, error))
    return FALSE;
  x->identity = identify_selected (k, error);
  if (x->identity == NULL || (o->for_loader && !qconv_select_drop (k->from, NULL, x->identity, &x->n_useless, error)))
    return FALSE;
  x->n_left_out = qconv_select_leave_out (k->from, o->left_out, x->identity);
  /* A model that cannot be recognised because of what the user drops is not incomplete */
  if (o->drop != NULL && !qconv_identity_known (x->identity))
    g_ptr_array_set_size (all, 0);
  x->missing = qconv_layers_missing (k->model, all, x->identity, &x->missing_of);
  /* A model of an all-in-one checkpoint loses the prefix if the model becomes a file of its own */
  x->prefix = k->part ? "" : x->identity->prefix + (o->keep_prefix ? 0 : x->identity->foreign);
  x->naming = x->identity->naming;
  k->names = qconv_layers_names (k->from, x->identity);
  return TRUE;
}

Mapping *
qconv_mapping_new (const QconvModel *m, const MappingOptions *options, GError **error)
{
  g_autoptr (Mapping) x = g_new0 (Mapping, 1);
  Making k = { .model = m, .x = x };
  gboolean ok;

  x->layers = g_ptr_array_new ();
  x->composed = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_source_layer_free);
  x->originals = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  k.made = g_hash_table_new_full (NULL, NULL, NULL, free_list);
  k.used = g_hash_table_new (NULL, NULL);
  ok = begin (&k, options, error) && make_mapping (&k, options, error);
  g_clear_pointer (&k.names, qconv_names_free);
  g_clear_pointer (&k.from, g_ptr_array_unref);
  g_hash_table_unref (k.made);
  g_hash_table_unref (k.used);
  g_clear_pointer (&k.spellings, g_hash_table_unref);
  g_clear_pointer (&k.published, qconv_dims_free);
  return ok ? g_steal_pointer (&x) : NULL;
}
