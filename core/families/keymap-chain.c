/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Joins two maps: finds the parts of the file's tensors behind the parts of the tensors between. */
#include "families/keymap-chain.h"

#include <string.h>

#include "families/keymap-build.h"

const char *
qconv_keymap_between (const Family *f, const char *variant, const char *from, const char *to)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;
  gboolean from_a;

  if (strcmp (from, to) == 0 || qconv_keymap_find (f, variant, from, to, &from_a) != NULL)
    return NULL;
  for (guint i = 0; i < maps->n; i++)
    {
      const char *a = maps->at[i].a, *b = maps->at[i].b;
      const char *middle = strcmp (a, from) == 0 ? b : strcmp (b, from) == 0 ? a : NULL;

      if (middle != NULL && qconv_keymap_find (f, variant, from, middle, &from_a) != NULL
          && qconv_keymap_find (f, variant, middle, to, &from_a) != NULL)
        return middle;
    }
  return NULL;
}

void
qconv_keymap_chain_free (KeymapChain *c)
{
  g_clear_pointer (&c->maps[0], g_ptr_array_unref);
  g_clear_pointer (&c->maps[1], g_ptr_array_unref);
  g_clear_pointer (&c->between, qconv_names_free);
  g_free (c);
}

KeymapChain *
qconv_keymap_chain_new (const KeymapRequest *r, const char *between, GError **error)
{
  g_autoptr (KeymapChain) c = g_new0 (KeymapChain, 1);

  c->steps[0] = c->steps[1] = *r;
  c->steps[0].to = c->steps[1].from = between;
  c->maps[0] = qconv_keymap (&c->steps[0], error);
  if (c->maps[0] == NULL)
    return NULL;
  c->between = qconv_keymap_names (c->maps[0], r->names);
  c->steps[1].names = c->between;
  c->maps[1] = qconv_keymap (&c->steps[1], error);
  return c->maps[1] != NULL ? g_steal_pointer (&c) : NULL;
}

/* ---- Parts of parts ---- */

/* Joining: the tensor @to, which grows, of parts of the tensors @made by the first step. @names: of the file */
typedef struct {
  GHashTable *made;
  const Names *names;
  GArray *parts;
  const NameMap *to;
} Joining;

static gboolean
fail_to_join (const Joining *j, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: cannot be made of the tensors of the file in two steps",
                     j->to->name);
}

static guint64
columns_of (const Joining *j, const char *name)
{
  const QconvShape *shape = qconv_names_find (j->names, name);
  guint64 columns = 1;

  for (guint i = 1; shape != NULL && i < shape->rank; i++)
    columns = shape->dim[i] > 0 ? columns * shape->dim[i] : 0; /* a tensor's items fit 64 bits */
  return columns;
}

/* Adds @p, or lengthens the part before it if @p continues its rows */
static void
add_part (Joining *j, const NamePart *p)
{
  NamePart *last = j->parts->len > 0 ? &g_array_index (j->parts, NamePart, j->parts->len - 1) : NULL;
  guint64 stride = last != NULL && last->n > 1 ? last->stride : p->n > 1 ? p->stride : 1;
  NamePart copy = *p;

  if (last != NULL && p->column == 0 && last->column == 0 && strcmp (last->name, p->name) == 0 && last->skip == p->skip
      && last->width == p->width && (p->n <= 1 || p->stride == stride) && p->first == last->first + last->n * stride)
    {
      last->stride = stride;
      last->n += p->n;
      return;
    }
  copy.name = g_strdup (p->name);
  g_array_append_val (j->parts, copy);
}

/* Adds the columns that @p wants of @q, whose rows are those that @p wants already. @width: columns of the whole tensor
   of @q */
static void
add_columns (Joining *j, const NamePart *p, const NamePart *q, guint64 width)
{
  guint64 own = q->width > 0 ? q->width : width;
  guint64 low = MAX (p->skip, q->column);
  guint64 high = p->width > 0 ? MIN (p->skip + p->width, q->column + own) : q->column + own;
  NamePart part = *q;

  if (low >= high && own > 0)
    return;
  part.column = p->column + (low - p->skip);
  part.skip = q->skip + (low - q->column);
  part.width = high - low == width ? 0 : high - low;
  add_part (j, &part);
}

/* Adds what @p wants of the band of @made that starts at part @i and row @start of it. Returns the part behind it */
static guint
add_band (Joining *j, const NamePart *p, const NameMap *made, guint i, guint64 start)
{
  const NamePart *band = &g_array_index (made->parts, NamePart, i);
  guint64 skipped = p->first < start ? (start - p->first + p->stride - 1) / p->stride : 0, n = 0;
  guint64 first = p->first + skipped * p->stride;

  if (skipped < p->n && first < start + band->n)
    n = MIN (p->n - skipped, (start + band->n - first + p->stride - 1) / p->stride);
  do
    {
      NamePart q = g_array_index (made->parts, NamePart, i);

      q.first += (first - start) * q.stride;
      q.stride *= p->stride;
      q.n = n;
      if (n > 0)
        add_columns (j, p, &q, columns_of (j, q.name));
      i++;
  } while (i < made->parts->len && g_array_index (made->parts, NamePart, i).column > 0);
  return i;
}

/* Adds the parts of the file that part @p of j->to is. A tensor that the first step did not make is one of the file */
static gboolean
add_parts (Joining *j, const NamePart *p, gboolean beside, GError **error)
{
  const NameMap *made = g_hash_table_lookup (j->made, p->name);
  guint64 start = 0;
  guint bands = 0;

  if (made == NULL || (p->n == 0 && made->parts->len > 0))
    {
      NamePart part = *p;

      part.name = made != NULL ? g_array_index (made->parts, NamePart, 0).name : p->name;
      add_part (j, &part);
      return TRUE;
    }
  for (guint i = 0, next; i < made->parts->len; i = next, bands++)
    {
      next = add_band (j, p, made, i, start);
      start += g_array_index (made->parts, NamePart, i).n;
    }
  /* Rows of several bands beside others would have to lie in turns */
  return !beside || bands == 1 || fail_to_join (j, error);
}

/* Returns whether @m is one tensor as it is, but for transposing */
static gboolean
is_whole (const NameMap *m)
{
  const NamePart *p = &g_array_index (m->parts, NamePart, 0);

  return m->parts->len == 1 && p->first == 0 && p->stride == 1 && p->width == 0;
}

/* Carries over what a step does to all items: transposing, and adding a number */
static gboolean
join_rest (const Joining *j, NameMap *joined, GError **error)
{
  joined->transposed = j->to->transposed;
  joined->plus = j->to->plus;
  for (guint i = 0; i < j->to->parts->len; i++)
    {
      const NameMap *made = g_hash_table_lookup (j->made, g_array_index (j->to->parts, NamePart, i).name);

      if (made == NULL || (!made->transposed && !j->to->transposed && made->plus == 0))
        continue;
      if (j->to->parts->len > 1 || ((made->transposed || j->to->transposed) && !(is_whole (made) && is_whole (j->to)))
          || g_array_index (made->parts, NamePart, 0).n != g_array_index (j->to->parts, NamePart, 0).n)
        return fail_to_join (j, error);
      joined->transposed = made->transposed != j->to->transposed;
      joined->plus += made->plus;
    }
  return TRUE;
}

/* Appends j->to, made of tensors of the file, to @maps */
static gboolean
join_map (Joining *j, GPtrArray *maps, GError **error)
{
  NameMap *joined = g_new0 (NameMap, 1);
  gboolean beside = FALSE;

  joined->name = g_strdup (j->to->name);
  joined->shape = j->to->shape;
  joined->parts = j->parts = qconv_keymap_parts ();
  g_ptr_array_add (maps, joined);
  for (guint i = 0; i < j->to->parts->len; i++)
    beside |= g_array_index (j->to->parts, NamePart, i).column > 0;
  for (guint i = 0; i < j->to->parts->len; i++)
    if (!add_parts (j, &g_array_index (j->to->parts, NamePart, i), beside, error))
      return FALSE;
  return join_rest (j, joined, error);
}

GPtrArray *
qconv_keymap_chain_join (const KeymapChain *c, GError **error)
{
  g_autoptr (GHashTable) made = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) used = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) maps = qconv_keymap_maps ();
  Joining j = { .made = made, .names = c->steps[0].names };

  for (guint i = 0; i < c->maps[0]->len; i++)
    {
      NameMap *map = g_ptr_array_index (c->maps[0], i);

      g_hash_table_insert (made, map->name, map);
    }
  for (guint i = 0; i < c->maps[1]->len; i++)
    {
      j.to = g_ptr_array_index (c->maps[1], i);
      for (guint k = 0; k < j.to->parts->len; k++)
        g_hash_table_add (used, g_array_index (j.to->parts, NamePart, k).name);
      if (!join_map (&j, maps, error))
        return NULL;
    }
  for (guint i = 0; i < c->maps[0]->len; i++)
    {
      const NameMap *map = g_ptr_array_index (c->maps[0], i);

      if (!g_hash_table_contains (used, map->name))
        g_ptr_array_add (maps, qconv_keymap_copy_map (map));
    }
  return g_steal_pointer (&maps);
}
