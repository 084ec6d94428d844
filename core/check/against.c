/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairs the tensors of a file with those of the original that it was made from. verify.c calls it. */
#include "check/against.h"

#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/names.h"
#include "families/aliases.h"
#include "families/keymap.h"
#include "graph/select-part.h"
#include "plan/source-note.h"

void
qconv_against_free (Against *a)
{
  if (a == NULL)
    return;
  g_clear_pointer (&a->mapping, qconv_mapping_free);
  g_hash_table_unref (a->by_name);
  g_hash_table_unref (a->bare);
  g_hash_table_unref (a->found);
  g_free (a);
}

/* ---- Names ---- */

/* Indexes @layers by their names, and by their names without prefix. A file may hold both "model.a.weight" and
   "a.weight" */
static void
index_names (Against *a, const GPtrArray *layers)
{
  for (guint i = 0; i < layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (layers, i);

      g_hash_table_insert (a->by_name, g_strdup (s->plain_name), s);
    }
  for (guint i = 0; i < layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (layers, i);
      char *name = qconv_short_name (s->plain_name);

      if (g_hash_table_contains (a->by_name, name))
        g_free (name);
      else
        g_hash_table_insert (a->by_name, name, s);
    }
}

/* Maps the original to the names of @model: it may have another naming, and tensors that no loader uses. Fails only if
   the naming is another one and cannot be changed */
static gboolean
map_original (Against *a, const QconvModel *model, GError **error)
{
  const Identity *ours = qconv_model_identity (model, NULL), *theirs = qconv_model_identity (a->original, NULL);
  const char *namings[] = { ours != NULL ? ours->naming : NULL, NULL };
  MappingOptions options = { .for_loader = TRUE };
  gboolean renamed = ours != NULL && theirs != NULL
                     && (strcmp (ours->naming, theirs->naming) != 0 || ours->foreign != theirs->foreign)
                     && strcmp (qconv_family_id (ours->family), qconv_family_id (theirs->family)) == 0;

  if (renamed)
    {
      options.namings = namings;
      a->aliases = qconv_keymap_aliases (ours->family, ours->naming);
    }
  a->mapping = qconv_mapping_new (a->original, &options, renamed ? error : NULL);
  if (a->mapping != NULL)
    index_names (a, a->mapping->layers);
  return a->mapping != NULL || !renamed;
}

/* Returns: (transfer full): short name @name in the spelling of the mapping */
static char *
spell (const Against *a, const char *name)
{
  g_autofree char *weight = qconv_weight_name (name);
  g_autofree char *spelling = a->aliases != NULL ? qconv_aliases_apply (a->aliases, weight) : g_strdup (weight);

  return qconv_weight_stem (spelling);
}

/* Finds the layer of @s in the original by its mapped name, in any spelling, else by the whole name, else by the name
   without prefix */
static const SourceLayer *
find_original (const Against *a, const SourceLayer *s)
{
  g_autofree char *name = qconv_short_name (s->plain_name);
  g_autofree char *spelling = spell (a, name);
  const SourceLayer *found = g_hash_table_lookup (a->by_name, s->plain_name);

  if (found == NULL)
    found = g_hash_table_lookup (a->by_name, name);
  if (found == NULL)
    found = g_hash_table_lookup (a->by_name, spelling);
  if (found == NULL)
    found = qconv_model_find_tensor (a->original, s->plain_name);
  if (found == NULL)
    found = qconv_model_find (a->original, s->name);
  return found != NULL ? found : g_hash_table_lookup (a->bare, s->plain_name);
}

/* Indexes the layers of the original by the names that they have in a file of their part alone. Names that two parts
   share lead to none */
static void
index_bare (Against *a)
{
  const Identity *id = qconv_model_identity (a->original, NULL);

  for (guint i = 0; id != NULL && i < a->original->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (a->original->layers, i);
      const char *bare = qconv_select_bare (a->original, id, s->plain_name);

      g_hash_table_insert (a->bare, (gpointer) bare, g_hash_table_contains (a->bare, bare) ? NULL : s);
    }
}

/* ---- Pairs ---- */

/* Relative MSE of weights that were decoded from codes before, by a scheme whose bound nobody knows. Zeros have 1, and
   other weights 2 */
#define LOSSY_BOUND 0.5

/* How plain numbers of one type round others: to @bits significant bits, and to multiples of @least near zero */
typedef struct {
  QconvDType dtype;
  int bits, least;
} Rounding;

/* IEEE 754, and the 8-bit types of the OCP 8-bit floating point specification */
static const Rounding roundings[] = {
  { QCONV_F64, 53, -1074 }, { QCONV_F32, 24, -149 },  { QCONV_F16, 11, -24 },
  { QCONV_BF16, 8, -133 },  { QCONV_F8_E4M3, 4, -9 }, { QCONV_F8_E5M2, 3, -16 },
};

static const Rounding *
rounding_of (QconvDType dtype)
{
  for (guint i = 0; i < G_N_ELEMENTS (roundings); i++)
    if (roundings[i].dtype == dtype)
      return &roundings[i];
  return NULL;
}

/* Sets the error that rounding to one of the two types can cause. Returns FALSE if its type cannot hold the weights */
static gboolean
allow_rounding (Pair *p)
{
  const Rounding *to = rounding_of (p->got->layer->pub.dtype);
  const Rounding *from
      = rounding_of (qconv_source_layer_plain (p->reference) ? p->reference->layer->pub.dtype : QCONV_F32);

  p->equal = TRUE;
  if (to == NULL || from == NULL)
    return p->got->layer->pub.dtype == p->reference->layer->pub.dtype;
  if (to == from)
    return TRUE;
  /* Both may be made of a third file, so the original may be what was rounded */
  p->bound = ldexp (1, -MIN (to->bits, from->bits));
  p->floor = ldexp (1, MAX (to->least, from->least) - 1);
  return TRUE;
}

/* Returns whether @a and @b (both nullable) have the same items but for axes of 1, which some containers drop */
static gboolean
is_flattened (const QconvTensor *a, const QconvTensor *b)
{
  guint i = 0, k = 0;

  if (a == NULL || b == NULL || a->dtype != b->dtype || a->n_bytes != b->n_bytes)
    return FALSE;
  while (i < a->shape.rank || k < b->shape.rank)
    if (i < a->shape.rank && a->shape.dim[i] == 1)
      i++;
    else if (k < b->shape.rank && b->shape.dim[k] == 1)
      k++;
    else if (i == a->shape.rank || k == b->shape.rank || a->shape.dim[i++] != b->shape.dim[k++])
      return FALSE;
  return TRUE;
}

/* Adds two plain tensors, or a plain one and the codes that it should hold the weights of. @lossy: weights need not be
   equal */
static void
add_plain (Expected *e, Pair *p, gboolean lossy)
{
  const Layer *got = p->got->layer, *reference = p->reference->layer;
  const QconvTensor *a = qconv_source_layer_tensor (p->got), *b = qconv_source_layer_tensor (p->reference);
  gboolean plain = qconv_source_layer_plain (p->reference);

  if (!qconv_shape_equal (&got->pub.shape, &reference->pub.shape) && !is_flattened (a, b))
    {
      g_autofree char *ours = qconv_shape_to_string (&got->pub.shape),
                      *theirs = qconv_shape_to_string (&reference->pub.shape);

      qconv_report_problem (e->differences, p->got->name, "shape", "the shape is %s instead of %s", ours, theirs);
    }
  else if (!allow_rounding (p))
    qconv_report_problem (e->differences, p->got->name, "type", "the type is %s instead of %s",
                          qconv_dtype_name (got->pub.dtype),
                          plain ? qconv_dtype_name (reference->pub.dtype) : reference->scheme);
  else if (lossy && qconv_source_layer_is_weight (p->got))
    {
      p->equal = FALSE;
      p->bound = LOSSY_BOUND;
      qconv_expected_add (e, p);
    }
  else if (a != NULL && b != NULL && a->dtype == b->dtype && a->n_bytes == b->n_bytes)
    g_array_append_val (e->same, *p);
  else if (qconv_source_layer_has_floats (p->got) && qconv_source_layer_has_floats (p->reference))
    qconv_expected_add (e, p);
}

static gboolean
add_pair (Expected *e, Pair *p, gboolean lossy, GError **error)
{
  if (qconv_source_layer_plain (p->got))
    add_plain (e, p, lossy);
  else if (!qconv_source_layer_has_floats (p->got) || !qconv_source_layer_has_floats (p->reference))
    qconv_report_layer (e->differences, p->got->name, p->got->layer->scheme, -1);
  else if (!qconv_expected_bound (p->got, &p->bound, error))
    return FALSE;
  else
    {
      p->finite = TRUE;
      if (lossy)
        p->bound = MAX (p->bound, LOSSY_BOUND);
      qconv_expected_add (e, p);
    }
  return TRUE;
}

/* ---- Both files ---- */

/* Returns: (transfer full): the part of a checkpoint that @s belongs to, such as "t5xxl"; "" for the model itself */
static char *
part_of (const Against *a, const SourceLayer *s)
{
  gsize n;
  char *root = qconv_select_root (a->original, s->plain_name, &n);
  const char *part = qconv_select_part (a->original, s->plain_name);

  return root != NULL ? root : g_strdup (part != NULL ? part : "");
}

/* Returns whether the file has @s, or a layer that @s is composed of */
static gboolean
is_found (const Against *a, const SourceLayer *s)
{
  gboolean found = g_hash_table_contains (a->found, s);

  for (guint i = 0; !found && s->sources != NULL && i < s->sources->len; i++)
    found = g_hash_table_contains (a->found, g_ptr_array_index (s->sources, i));
  return found;
}

/* Returns whether two tensors that are no layers of both files have the same type, shape and bytes */
static gboolean
same_bytes (const QconvTensor *a, const QconvTensor *b, gboolean *same, GError **error)
{
  guint8 x[4096], y[4096];
  guint64 n;

  *same = a->dtype == b->dtype && a->n_bytes == b->n_bytes && qconv_shape_equal (&a->shape, &b->shape);
  for (guint64 at = 0; *same && at < a->n_bytes; at += n)
    {
      n = MIN (a->n_bytes - at, sizeof x);
      if (!qconv_tensor_read (a, at, (gsize) n, x, error) || !qconv_tensor_read (b, at, (gsize) n, y, error))
        return FALSE;
      *same = memcmp (x, y, (gsize) n) == 0;
    }
  return TRUE;
}

/* Reports @s, a layer of the original that is none of the file, unless a tensor there has the same bytes. A scale
   without a weight may be a plain tensor for the reader of the original, and be left out by that of the file */
static gboolean
report_lost_layer (Against *a, const SourceLayer *s, const QconvModel *model, QconvReport *r, GError **error)
{
  const QconvTensor *was = qconv_source_layer_tensor (s);
  const QconvTensor *is = qconv_directory_find (qconv_model_directory (model), s->plain_name);
  gboolean same = FALSE;

  if (is != NULL && was != NULL && !same_bytes (was, is, &same, error))
    return FALSE;
  if (is == NULL)
    qconv_report_problem (r, s->name, "missing", "the original has this tensor, the file lacks it");
  else if (!same)
    qconv_report_problem (r, s->name, "differs", "the tensor is not that of the original");
  a->n += !same;
  return TRUE;
}

/* Reports the tensors of the original that the file lacks. A file need not have all parts of a checkpoint, such as the
   VAE: if all tensors of a part are missing, none is reported */
static gboolean
report_lost (Against *a, const QconvModel *model, QconvReport *r, GError **error)
{
  GPtrArray *all = a->mapping != NULL ? a->mapping->layers : a->original->layers;
  g_autoptr (GHashTable) parts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer found;

  if (g_hash_table_size (a->found) == 0)
    g_hash_table_add (parts, g_strdup (""));
  g_hash_table_iter_init (&iter, a->found);
  while (g_hash_table_iter_next (&iter, &found, NULL))
    g_hash_table_add (parts, part_of (a, found));
  for (guint i = 0; i < all->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (all, i);
      g_autofree char *part = part_of (a, s);

      if (!is_found (a, s) && g_hash_table_contains (parts, part) && !report_lost_layer (a, s, model, r, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
add_all (Against *a, Expected *e, GError **error)
{
  if (!map_original (a, e->model, error))
    return FALSE;
  for (guint i = 0; i < e->model->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (e->model->layers, i);
      Pair p = { .reference = find_original (a, s), .got = s };

      a->n++;
      if (p.reference == NULL)
        qconv_report_problem (e->differences, s->name, "extra", "the original has no such tensor");
      else if (!add_pair (e, &p, a->lossy && qconv_source_layer_plain (p.reference), error))
        return FALSE;
      else
        g_hash_table_add (a->found, (gpointer) p.reference);
    }
  return report_lost (a, e->model, e->differences, error);
}

Against *
qconv_against_new (Expected *e, const QconvModel *original, GError **error)
{
  g_autoptr (Against) a = g_new0 (Against, 1);

  a->original = original;
  a->lossy = qconv_source_note_is_lossy (e->model->directory);
  a->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  a->bare = g_hash_table_new (g_str_hash, g_str_equal);
  a->found = g_hash_table_new (NULL, NULL);
  index_bare (a);
  return add_all (a, e, error) ? g_steal_pointer (&a) : NULL;
}
