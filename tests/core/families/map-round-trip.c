/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps the names of every variant to each other naming and back, and follows single rows. */
#include "families/keymap-build.h"
#include "map-fixture.h"
#include "small.h"

/* A row of a tensor of the original naming */
typedef struct {
  const char *name;
  guint64 row;
} Row;

typedef struct {
  char *family, *variant, *naming;
} Case;

Family *
map_family (const char *id)
{
  g_autofree char *name = g_strconcat (id, ".json", NULL);
  g_autofree char *path = g_build_filename (g_getenv ("QCONV_DATA_PATH"), "families", name, NULL);
  g_autoptr (GError) error = NULL;
  Family *f = qconv_family_load (path, &error);

  g_assert_no_error (error);
  return f;
}

static guint64
items_of (const QconvShape *shape)
{
  guint64 n;

  g_assert_true (qconv_shape_items (shape, &n));
  return n;
}

static guint64
rows_of (const QconvShape *shape)
{
  return shape->rank > 0 ? shape->dim[0] : 1;
}

static gboolean
is_whole (const NameMap *map, const Names *names)
{
  const NamePart *p = &g_array_index (map->parts, NamePart, 0);

  return map->parts->len == 1 && p->first == 0 && p->stride == 1 && p->n == rows_of (qconv_names_find (names, p->name));
}

/* Returns the rows of @map, or none if it is a whole tensor. Of parts that lie side by side, only the first counts.
   Asserts that each row is there. */
static GArray *
list_rows (const NameMap *map, const Names *names)
{
  GArray *rows = g_array_new (FALSE, FALSE, sizeof (Row));
  gboolean whole = is_whole (map, names);
  guint64 n = 0;

  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *p = &g_array_index (map->parts, NamePart, i);
      guint64 end = rows_of (qconv_names_find (names, p->name));

      n += p->column == 0 ? p->n : 0;
      for (guint64 k = 0; k < p->n && !whole && p->column == 0; k++)
        {
          Row row = { p->name, p->first + k * p->stride };

          g_assert_cmpuint (row.row, <, end);
          g_array_append_val (rows, row);
        }
    }
  g_assert_cmpuint (n, ==, map->transposed ? map->shape.dim[1] : rows_of (&map->shape));
  return rows;
}

/* Returns TRUE if @name is in one of the modules that the map to @naming leaves out */
static gboolean
is_unmapped (const Family *f, const char *naming, const char *name)
{
  gboolean from_a;
  const FamilyKeymap *map = qconv_keymap_find (f, NULL, "original", naming, &from_a);

  for (guint i = 0; map->unmapped != NULL && map->unmapped[i] != NULL; i++)
    if (g_str_has_prefix (name, map->unmapped[i]) && strchr (".", name[strlen (map->unmapped[i])]) != NULL)
      return TRUE;
  return FALSE;
}

/* Returns the number of items of a tensor called @p->name that @p takes */
static guint64
items_of_part (const NamePart *p, const Names *names)
{
  const QconvShape *shape = qconv_names_find (names, p->name);

  return p->n * (p->width > 0 ? p->width : items_of (shape) / MAX (rows_of (shape), 1));
}

/* Returns the names in the other naming, and the names of tensors that keep their names. Asserts that each item was
   used once. */
static Names *
mapped_names (const Family *f, const char *naming, const Names *names, GPtrArray *maps)
{
  g_autoptr (GHashTable) used = g_hash_table_new (g_str_hash, g_str_equal);
  Names *mapped = qconv_names_new ();

  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);

      qconv_names_add (mapped, map->name, &map->shape);
      for (guint k = 0; k < map->parts->len; k++)
        {
          const NamePart *p = &g_array_index (map->parts, NamePart, k);
          gsize n = GPOINTER_TO_SIZE (g_hash_table_lookup (used, p->name));

          g_hash_table_insert (used, p->name, GSIZE_TO_POINTER (n + items_of_part (p, names)));
        }
    }
  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      const char *name = qconv_names_name (names, i);
      const QconvShape *shape = qconv_names_shape (names, i);

      if (g_hash_table_contains (used, name))
        g_assert_cmpuint (GPOINTER_TO_SIZE (g_hash_table_lookup (used, name)), ==, items_of (shape));
      else
        {
          if (!is_unmapped (f, naming, name))
            g_error ("%s is in no rule", name);
          qconv_names_add (mapped, name, shape);
        }
    }
  return mapped;
}

/* The result of a map: its tensors by name, and their rows */
typedef struct {
  GHashTable *maps, *rows;
} Made;

static void
index_made (Made *made, GPtrArray *maps, const Names *names)
{
  made->maps = g_hash_table_new (g_str_hash, g_str_equal);
  made->rows = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) g_array_unref);
  for (guint i = 0; i < maps->len; i++)
    {
      NameMap *map = g_ptr_array_index (maps, i);

      g_hash_table_insert (made->maps, map->name, map);
      g_hash_table_insert (made->rows, map->name, list_rows (map, names));
    }
}

static void
clear_made (Made *made)
{
  g_hash_table_unref (made->maps);
  g_hash_table_unref (made->rows);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Made, clear_made)

/* Returns the original row that row @row of tensor @name came from */
static Row
origin (const Made *made, const char *name, guint64 row)
{
  const NameMap *map = g_hash_table_lookup (made->maps, name);
  GArray *rows = g_hash_table_lookup (made->rows, name);

  if (map == NULL)
    return (Row) { name, row };
  if (rows->len == 0)
    return (Row) { g_array_index (map->parts, NamePart, 0).name, row };
  g_assert_cmpuint (row, <, rows->len);
  return g_array_index (rows, Row, row);
}

/* Asserts that each part of @map has the columns from which it was made */
static void
check_columns (const NameMap *map, const Made *made, const Names *mapped)
{
  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *p = &g_array_index (map->parts, NamePart, i), *from;
      const NameMap *before = g_hash_table_lookup (made->maps, p->name);

      from = before != NULL ? &g_array_index (before->parts, NamePart, 0) : NULL;
      g_assert_cmpuint (p->column, ==, from != NULL ? from->skip : 0);
      if (from != NULL && from->width > 0)
        g_assert_cmpuint (from->width, ==, qconv_names_find (mapped, p->name)->dim[1]);
    }
}

/* Asserts that @back, which was made from the result of @there, has every row of @names in its place */
static void
check_rows (const FamilyAliases *aliases, const Names *names, const Names *mapped, GPtrArray *there, GPtrArray *back)
{
  g_auto (Made) made = { NULL, NULL };

  index_made (&made, there, names);
  for (guint i = 0; i < back->len; i++)
    {
      const NameMap *map = g_ptr_array_index (back, i), *before;
      g_autoptr (GArray) own = list_rows (map, mapped);
      const NamePart *part = &g_array_index (map->parts, NamePart, 0);
      const char *source = origin (&made, part->name, part->first).name;
      g_autofree char *spelling = qconv_aliases_apply (aliases, source);

      before = g_hash_table_lookup (made.maps, part->name);
      check_columns (map, &made, mapped);
      g_assert_cmpstr (map->name, ==, spelling);
      g_assert_true (qconv_shape_equal (&map->shape, qconv_names_find (names, source)));
      g_assert_true (before == NULL || before->transposed == map->transposed);
      /* A tensor that is made of a whole tensor has the rows in order */
      if (is_whole (map, mapped) && (before == NULL || is_whole (before, names)))
        continue;
      for (guint64 k = 0; k < rows_of (&map->shape); k++)
        {
          const Row *at = own->len > 0 ? &g_array_index (own, Row, k) : &(Row) { part->name, k };
          Row from = origin (&made, at->name, at->row);

          g_assert_true (g_str_equal (from.name, source) && from.row == k);
        }
    }
}

static Names *
expand_names (const Family *f, const Dims *dims)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) tensors = qconv_family_expand (f, dims, &error);
  Names *names = qconv_names_new ();

  g_assert_no_error (error);
  for (guint i = 0; i < tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (tensors, i);

      qconv_names_add (names, t->name, &t->shape);
    }
  return names;
}

static guint64
sum_items (const Names *names)
{
  guint64 sum = 0;

  for (guint i = 0; i < qconv_names_length (names); i++)
    sum += items_of (qconv_names_shape (names, i));
  return sum;
}

/* Asserts that the same tensors come out if the dimensions are not known */
static void
check_unknown (const Family *f, const char *naming, const Names *mapped, GPtrArray *known)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) maps = qconv_keymap (MAP (f, NULL, NULL, mapped, naming, "original"), &error);

  g_assert_no_error (error);
  g_assert_cmpuint (maps->len, ==, known->len);
  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *a = g_ptr_array_index (maps, i), *b = g_ptr_array_index (known, i);

      g_assert_cmpstr (a->name, ==, b->name);
      g_assert_true (qconv_shape_equal (&a->shape, &b->shape));
    }
}

/* Returns TRUE if detection knows files in @naming by their names */
static gboolean
is_recognised (const Family *f, const char *naming)
{
  const FamilyDetectRules *namings = &qconv_family_data (f)->detect.namings;

  for (guint i = 0; i < namings->n; i++)
    if (strcmp (namings->at[i].result, naming) == 0)
      return TRUE;
  return FALSE;
}

static const Families *
all_families (void)
{
  static Families *families;
  g_autoptr (GError) error = NULL;

  if (families == NULL)
    families = qconv_families_load (NULL, &error);
  g_assert_no_error (error);
  return families;
}

/* Asserts that detection knows the model by its other names, and that its dimensions expand to the original tensors */
static void
check_identity (const Family *f, const char *naming, const char *variant, const FamilyAliases *aliases,
                const Names *mapped, GPtrArray *back)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Identity) id = qconv_identify (all_families (), mapped, &error);
  const char *detected = qconv_family_variant (f, variant)->detect_as;
  g_autoptr (Names) names = NULL, spelled = qconv_names_new ();

  g_assert_no_error (error);
  g_assert_cmpstr (qconv_family_id (id->family), ==, qconv_family_id (f));
  g_assert_cmpstr (id->naming, ==, naming);
  g_assert_cmpstr (id->variant, ==, detected != NULL ? detected : variant);
  names = expand_names (f, id->dims);
  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      g_autofree char *spelling = qconv_aliases_apply (aliases, qconv_names_name (names, i));

      qconv_names_add (spelled, spelling, qconv_names_shape (names, i));
    }
  g_assert_cmpuint (qconv_names_length (spelled), >=, back->len);
  for (guint i = 0; i < back->len; i++)
    {
      const NameMap *map = g_ptr_array_index (back, i);
      const QconvShape *shape = qconv_names_find (spelled, map->name);

      g_assert_nonnull (shape);
      g_assert_true (qconv_shape_equal (shape, &map->shape));
    }
}

/* Returns the first architecture that the map to @naming lists, or NULL */
static const char *
first_architecture (const Family *f, const char *naming)
{
  gboolean from_a;
  const FamilyKeymap *map = qconv_keymap_find (f, NULL, "original", naming, &from_a);

  if (map != NULL && map->permute.permuted.n > 0)
    return map->permute.permuted.at[0].from;
  return map != NULL && map->offset.architectures.n > 0 ? map->offset.architectures.at[0].from : NULL;
}

/* Asserts that what is added to items on the way there is subtracted on the way back */
static void
check_sums (GPtrArray *there, GPtrArray *back)
{
  gint64 plus = 0, minus = 0;

  for (guint i = 0; i < there->len; i++)
    plus += ((const NameMap *) g_ptr_array_index (there, i))->plus;
  for (guint i = 0; i < back->len; i++)
    minus += ((const NameMap *) g_ptr_array_index (back, i))->plus;
  g_assert_cmpint (plus, ==, -minus);
}

static void
test_round_trip (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (Family) f = map_family (c->family);
  g_autoptr (GError) error = NULL;
  g_autoptr (Dims) dims = qconv_family_variant_dims (f, c->variant, &error);
  g_autoptr (Names) names = expand_names (f, dims), mapped = NULL;
  const FamilyAliases *aliases = &qconv_family_data (f)->aliases;
  const char *architecture = first_architecture (f, c->naming);
  g_autoptr (GPtrArray) there
      = qconv_keymap (MAP_OF (architecture, f, c->variant, dims, names, "original", c->naming), &error),
      back = NULL;

  g_assert_no_error (error);
  g_assert_null (qconv_keymap_stray (MAP (f, c->variant, NULL, names, "original", c->naming), there));
  g_assert_null (qconv_keymap_unnamed (MAP (f, c->variant, NULL, names, "original", c->naming), there));
  mapped = mapped_names (f, c->naming, names, there);
  g_assert_cmpuint (sum_items (mapped), ==, sum_items (names));
  back = qconv_keymap (MAP_OF (architecture, f, c->variant, dims, mapped, c->naming, "original"), &error);
  g_assert_no_error (error);
  g_assert_null (qconv_keymap_stray (MAP (f, c->variant, NULL, mapped, c->naming, "original"), back));
  g_assert_null (qconv_keymap_unnamed (MAP (f, c->variant, NULL, mapped, c->naming, "original"), back));
  check_rows (aliases, names, mapped, there, back);
  check_sums (there, back);
  check_unknown (f, c->naming, mapped, back);
  if (is_recognised (f, c->naming))
    check_identity (f, c->naming, c->variant, aliases, mapped, back);
  g_assert_cmpuint (back->len + qconv_names_length (mapped), ==, there->len + qconv_names_length (names));
}

static void
free_case (gpointer data)
{
  Case *c = data;

  g_free (c->family);
  g_free (c->variant);
  g_free (c->naming);
  g_free (c);
}

/* Returns how many pairs of a keymap and a variant the family has */
static guint
add_family (const char *id, gboolean published)
{
  g_autoptr (Family) f = map_family (id);
  const FamilyData *data = qconv_family_data (f);
  guint n = 0;

  for (guint i = 0; i < data->keymaps.n; i++)
    for (guint k = 0; k < data->variants.n; k++)
      {
        const char *naming = data->keymaps.at[i].b, *variant = data->variants.at[k].name;
        g_autofree char *path = g_strdup_printf ("/keymap/round-trip/%s/%s/%s", id, naming, variant);
        Case *c;

        if (!qconv_keymap_exists (f, variant, "original", naming))
          continue;
        n++;
        if (data->variants.at[k].synthetic == published || test_skips (k, data->variants.n, i, data->keymaps.n))
          continue;
        c = g_new0 (Case, 1);
        c->family = g_strdup (id);
        c->variant = g_strdup (variant);
        c->naming = g_strdup (naming);
        g_test_add_data_func_full (path, c, test_round_trip, free_case);
      }
  return n;
}

void
map_add_round_trips (gboolean published)
{
  g_autofree char *folder = g_build_filename (g_getenv ("QCONV_DATA_PATH"), "families", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *file;
  guint n = 0;

  while (dir != NULL && (file = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (file, ".json"))
      {
        g_autofree char *id = g_strndup (file, strlen (file) - strlen (".json"));

        n += add_family (id, published);
      }
  /* The family files have this many pairs of a keymap and a variant */
  g_assert_cmpuint (n, >=, 87);
}
