/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applies the "rules" of a keymap. A rule has name templates in both namings and says how a whole tensor is cut
   into parts. */
#include "families/keymap-rules.h"

#include <string.h>

/* The most parts of one tensor: enough for 2^17 rows in heads of four or more */
enum { MAX_PARTS = 1 << 16 };

/**
 * Rule: the rows of @whole are those of @parts, in order.
 *
 * @n_joined: the number of parts that there must be in the end, if each has a rule of its own; else 0
 * @whole_is_a: @whole is of the map's naming "a" and @parts are of "b"; else the other way round
 * @rows: (nullable): of the parts; if NULL, they are equal
 * @beside: the parts lie side by side, and @rows are their columns
 * @swap: the halves of the rows of the only part change places
 * @index: variables of all names
 * @head: (nullable): the rows of a head of the only part, see permute_rows(); NULL: they stay in order
 * @plus: is added to the items of the only part to make @whole
 */
typedef struct {
  const char *whole;
  GPtrArray *parts; /* texts of the family */
  gint64 n_joined;
  gboolean whole_is_a, swap, transpose, beside;
  const FamilyExpressions *rows;
  const FamilyIndex *index;
  const FamilyExpression *head;
  gint64 plus;
} Rule;

static void
free_rule (gpointer data)
{
  Rule *rule = data;

  g_ptr_array_unref (rule->parts);
  g_free (rule);
}

/* Returns the number of rows in a head if the rows of the tensor called @a are permuted, or NULL */
static const FamilyExpression *
head_of (const KeymapRun *m, const char *a)
{
  return m->permuted != NULL && g_strv_contains (m->permuted->tensors, a) ? &m->permuted->head : NULL;
}

/* Returns the number that is added to the items of "b" to make the tensor called @a */
static gint64
plus_of (const KeymapRun *m, const char *a)
{
  return m->offset != NULL && g_strv_contains (m->offset->tensors, a) ? -m->offset->by : 0;
}

/* Adds one part to the rule of a tensor of "b" that consists of several tensors of "a". The file has a rule for
   each part */
static gboolean
join_parts (GPtrArray *rules, const FamilyMapRule *of, GError **error)
{
  const char *a = of->a, *b = of->b[0];
  gint64 part = of->b_rows_part.value, n = of->b_parts;
  Rule *last = rules->len > 0 ? g_ptr_array_index (rules, rules->len - 1) : NULL;

  if (part == 0)
    {
      last = g_new0 (Rule, 1);
      last->whole = b;
      last->parts = g_ptr_array_new ();
      last->index = &of->index;
      last->n_joined = n;
      g_ptr_array_add (rules, last);
    }
  if (last == NULL || last->whole_is_a || !g_str_equal (last->whole, b) || part != last->parts->len || part >= n
      || n != last->n_joined)
    return qconv_fail (error, QCONV_ERROR_INPUT, "keymaps: %s: expected the next part of %s; list the parts in order",
                       a, b);
  g_ptr_array_add (last->parts, (gpointer) a);
  return TRUE;
}

static gboolean
add_rule (const KeymapRun *m, GPtrArray *rules, const FamilyMapRule *of, GError **error)
{
  guint n = g_strv_length ((char **) of->b);
  Rule *rule;

  if (n == 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "keymaps: %s: \"b\" names no tensor", of->a);
  if (n == 1 && of->b_rows_part.given)
    return join_parts (rules, of, error);
  rule = g_new0 (Rule, 1);
  g_ptr_array_add (rules, rule);
  rule->whole = of->a;
  rule->whole_is_a = TRUE;
  rule->parts = g_ptr_array_new ();
  rule->beside = of->columns.at != NULL;
  rule->rows = rule->beside ? &of->columns : of->rows.at != NULL ? &of->rows : NULL;
  rule->index = &of->index;
  rule->swap = of->swap_halves;
  rule->transpose = of->transpose;
  rule->head = head_of (m, of->a);
  rule->plus = plus_of (m, of->a);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (rule->parts, (gpointer) of->b[i]);
  if (n > 1 && (rule->swap || rule->transpose || rule->head != NULL || rule->plus != 0))
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "keymaps: %s: a rule with several parts cannot swap, transpose or permute rows, or add to them",
                       of->a);
  if (rule->beside && of->rows.at != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "keymaps: %s: a rule cannot have both \"rows\" and \"columns\"",
                       of->a);
  return rule->rows == NULL || rule->rows->n == n
         || qconv_fail (error, QCONV_ERROR_INPUT, "keymaps: %s: \"%s\" must have one count for each part", of->a,
                        rule->beside ? "columns" : "rows");
}

static GPtrArray *
read_rules (const KeymapRun *m, GError **error)
{
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func (free_rule);

  for (guint i = 0; i < m->map->rules.n; i++)
    if (!add_rule (m, rules, &m->map->rules.at[i], error))
      return NULL;
  for (guint i = 0; i < rules->len; i++)
    {
      const Rule *rule = g_ptr_array_index (rules, i);

      if (rule->n_joined == 0 || rule->n_joined == rule->parts->len)
        continue;
      qconv_fail (error, QCONV_ERROR_INPUT, "keymaps: %s: has fewer parts than \"b_parts\"", rule->whole);
      return NULL;
    }
  return g_steal_pointer (&rules);
}

static gboolean
is_from_whole (const KeymapRun *m, const Rule *rule)
{
  return rule->whole_is_a == m->from_a;
}

/* Returns the template of the first source of the rule */
static const char *
from_template (const KeymapRun *m, const Rule *rule)
{
  return is_from_whole (m, rule) ? rule->whole : g_ptr_array_index (rule->parts, 0);
}

static char *
replace (const char *text, const char *slot, const char *value)
{
  GString *s = g_string_new (text);

  g_string_replace (s, slot, value, 0);
  return g_string_free (s, FALSE);
}

/* Counts the tensors whose name is @template with 0, 1, 2 … for @variable, until one is missing */
static gint64
count_tensors (const KeymapRun *m, const char *template, const char *variable)
{
  g_autofree char *weight = replace (template, "{p}", "weight"), *bias = replace (template, "{p}", "bias");
  g_autofree char *slot = g_strdup_printf ("{%s}", variable);

  for (gint64 n = 0;; n++)
    {
      g_autofree char *number = g_strdup_printf ("%" G_GINT64_FORMAT, n);
      g_autofree char *name = replace (weight, slot, number), *other = replace (bias, slot, number);

      if (strstr (template, slot) == NULL
          || (qconv_keymap_source (m, name) == NULL && qconv_keymap_source (m, other) == NULL))
        return n;
    }
}

/* Returns dimension D if the range of @v is from 0 to D, else NULL */
static const char *
range_end (const FamilyVariable *v)
{
  const char *text = v->values == NULL ? v->high.text : NULL;

  if (text == NULL || g_strcmp0 (v->low.text, "0") != 0)
    return NULL;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && *c != '_')
      return NULL;
  return g_ascii_isdigit (*text) ? NULL : text;
}

/* Counts the dimensions that say how often templates repeat. Skips templates that several rules share, each with its
   own range, because they do not show where one range ends. */
static void
count_dims (KeymapRun *m, GPtrArray *rules)
{
  g_autoptr (GHashTable) uses = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < rules->len; i++)
    {
      gpointer name = (gpointer) from_template (m, g_ptr_array_index (rules, i));

      g_hash_table_insert (uses, name, GUINT_TO_POINTER (GPOINTER_TO_UINT (g_hash_table_lookup (uses, name)) + 1));
    }
  for (guint i = 0; i < rules->len; i++)
    {
      const Rule *rule = g_ptr_array_index (rules, i);
      const char *name = from_template (m, rule);
      const FamilyIndex *index = rule->index;
      const char *dim = index->n == 1 ? range_end (&index->at[0]) : NULL;

      if (dim == NULL || GPOINTER_TO_UINT (g_hash_table_lookup (uses, name)) != 1)
        continue;
      qconv_dims_set (m->dims, dim, MAX (qconv_dims_get (m->dims, dim), count_tensors (m, name, index->at[0].name)));
    }
}

static gboolean
rows_of (const KeymapRun *m, const char *source, guint64 *rows, GError **error)
{
  const QconvShape *shape = qconv_names_find (m->names, source);

  *rows = shape->rank > 0 ? shape->dim[0] : 0;
  return shape->rank > 0 || qconv_fail (error, QCONV_ERROR_INPUT, "%s: has no rows", source);
}

/* Adds the parts of a tensor whose rows are permuted in heads of d rows: row h*d + s*(d/2) + j of "a" is row
   h*d + 2*j + s of "b", s being 0 or 1 */
static gboolean
permute_rows (const KeymapRun *m, const Rule *rule, const char *source, guint64 rows, GArray *parts, GError **error)
{
  const QconvShape *shape = qconv_names_find (m->names, source);
  guint64 items = 0, half, each;
  gint64 head;

  if (rows == 0)
    {
      qconv_keymap_part (parts, source, 0, 1, 0);
      return TRUE;
    }
  if (!qconv_shape_items (shape, &items) || items == 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: rows without items cannot be permuted", source);
  if (!qconv_dims_evaluate (m->dims, rule->head, &head, error))
    return FALSE;
  if (head <= 0 || head % 2 != 0 || rows % (guint64) head != 0)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "%s: %" G_GUINT64_FORMAT " rows cannot be divided into heads of %" G_GINT64_FORMAT, source, rows,
                       head);
  half = (guint64) head / 2;
  each = m->from_a ? half : 2;
  if (rows / (guint64) head > MAX_PARTS / each)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: %" G_GUINT64_FORMAT " rows are too many to permute", source,
                       rows);
  for (guint64 h = 0; h < rows; h += (guint64) head)
    for (guint64 i = 0; i < each; i++)
      qconv_keymap_part (parts, source, h + i, m->from_a ? half : 2, m->from_a ? 2 : half);
  return TRUE;
}

/* Copies, swaps, transposes or permutes the rows of @source */
static gboolean
move_rows (KeymapRun *m, const Rule *rule, const char *source, const char *to, GError **error)
{
  g_autoptr (GArray) parts = qconv_keymap_parts ();
  QconvShape shape;
  guint64 rows;

  if (!rule->swap && !rule->transpose && rule->head == NULL)
    return qconv_keymap_copy (m, source, to, error);
  shape = *qconv_names_find (m->names, source);
  if (!rows_of (m, source, &rows, error))
    return FALSE;
  if (rule->transpose)
    {
      if (shape.rank != 2)
        return qconv_fail (error, QCONV_ERROR_INPUT, "%s: not a matrix", source);
      shape = QCONV_SHAPE2 (shape.dim[1], shape.dim[0]);
    }
  if (rule->head != NULL && !permute_rows (m, rule, source, rows, parts, error))
    return FALSE;
  if (rule->swap && rows % 2 != 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: an odd number of rows cannot be halved", source);
  if (rule->swap)
    qconv_keymap_part (parts, source, rows / 2, 1, rows / 2);
  if (rule->head == NULL)
    qconv_keymap_part (parts, source, 0, 1, rule->swap ? rows / 2 : rows);
  return qconv_keymap_add (m, to, g_steal_pointer (&parts), &shape, rule->transpose, error);
}

/* Makes one tensor of one other. Does nothing if the source is missing */
static gboolean
move (KeymapRun *m, const Rule *rule, const char *from, const char *to, GError **error)
{
  const char *source = qconv_keymap_source (m, from);

  if (source == NULL)
    return TRUE;
  if (!move_rows (m, rule, source, to, error))
    return FALSE;
  ((NameMap *) g_ptr_array_index (m->maps, m->maps->len - 1))->plus
      = is_from_whole (m, rule) ? -rule->plus : rule->plus;
  return TRUE;
}

/* Sets @rows to the rows of each part, if the parts of a tensor with @total rows are equal */
static gboolean
equal_rows (const Rule *rule, const char *whole, guint64 total, guint64 *rows, GError **error)
{
  *rows = total / rule->parts->len;
  return total % rule->parts->len == 0
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "%s: %" G_GUINT64_FORMAT " rows cannot be divided into %u equal parts", whole, total,
                        rule->parts->len);
}

/* Sets @rows to the rows of part @i of @whole, which the rule states */
static gboolean
stated_rows (const KeymapRun *m, const Rule *rule, guint i, const char *whole, guint64 *rows, GError **error)
{
  gint64 n;

  if (!m->known)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: cannot be split because the dimensions are not known",
                       whole);
  if (!qconv_dims_evaluate (m->dims, &rule->rows->at[i], &n, error))
    return FALSE;
  *rows = (guint64) n;
  return n >= 0 || qconv_fail (error, QCONV_ERROR_INPUT, "%s: a part would have fewer than 0 rows", whole);
}

/* Splits one tensor into several, by rows or by columns. Does nothing if the source is missing */
static gboolean
split (KeymapRun *m, const Rule *rule, char **names, GError **error)
{
  const char *source = qconv_keymap_source (m, names[0]), *what = rule->beside ? "columns" : "rows";
  guint axis = rule->beside ? 1 : 0;
  guint64 rows, total, first = 0;
  QconvShape shape;

  if (source == NULL)
    return TRUE;
  shape = *qconv_names_find (m->names, source);
  if (!rows_of (m, source, &rows, error))
    return FALSE;
  if (rule->beside && shape.rank != 2)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: not a matrix", source);
  total = rule->beside ? shape.dim[1] : rows;
  for (guint i = 0; i < rule->parts->len; i++)
    {
      GArray *parts;

      if (rule->rows == NULL ? !equal_rows (rule, source, total, &shape.dim[axis], error)
                             : !stated_rows (m, rule, i, source, &shape.dim[axis], error))
        return FALSE;
      if (shape.dim[axis] > total - first)
        return qconv_fail (error, QCONV_ERROR_INPUT, "%s: %" G_GUINT64_FORMAT " %s are too few for its parts", source,
                           total, what);
      parts = qconv_keymap_parts ();
      qconv_keymap_part (parts, source, rule->beside ? 0 : first, 1, rule->beside ? rows : shape.dim[0]);
      g_array_index (parts, NamePart, 0).skip = rule->beside ? first : 0;
      g_array_index (parts, NamePart, 0).width = rule->beside ? shape.dim[1] : 0;
      if (!qconv_keymap_add (m, names[1 + i], parts, &shape, FALSE, error))
        return FALSE;
      first += shape.dim[axis];
    }
  return first == total
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s: has %" G_GUINT64_FORMAT " %s more than its parts", source,
                        total - first, what);
}

/* Adds the rows of @source to @parts and to @shape: below the parts before it or, with @beside, to their right. Fails
   unless the other extents are equal */
static gboolean
stack_part (const KeymapRun *m, const char *source, gboolean beside, GArray *parts, QconvShape *shape, GError **error)
{
  QconvShape own = *qconv_names_find (m->names, source);
  guint axis = beside ? 1 : 0;
  guint64 rows, extent;

  if (!rows_of (m, source, &rows, error))
    return FALSE;
  if (beside && own.rank != 2)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: not a matrix", source);
  qconv_keymap_part (parts, source, 0, 1, rows);
  extent = beside ? own.dim[1] : rows;
  if (parts->len == 1)
    {
      *shape = own;
      return TRUE;
    }
  own.dim[axis] = shape->dim[axis];
  if (!qconv_shape_equal (&own, shape))
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: its %s differ from those of %s", source,
                       beside ? "rows" : "columns", g_array_index (parts, NamePart, 0).name);
  if (beside)
    g_array_index (parts, NamePart, parts->len - 1).column = shape->dim[1];
  return g_uint64_checked_add (&shape->dim[axis], shape->dim[axis], extent)
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s: too many rows", source);
}

/* Stacks several tensors into one. Does nothing if all sources are missing, fails if some are */
static gboolean
stack (KeymapRun *m, const Rule *rule, char **names, GError **error)
{
  g_autoptr (GArray) parts = qconv_keymap_parts ();
  const char *missing = NULL;
  QconvShape shape = QCONV_SHAPE0;

  for (guint i = 0; i < rule->parts->len; i++)
    {
      const char *source = qconv_keymap_source (m, names[1 + i]);
      guint64 stated, extent;

      if (source == NULL)
        missing = missing != NULL ? missing : names[1 + i];
      else if (!stack_part (m, source, rule->beside, parts, &shape, error))
        return FALSE;
      else if (m->known && rule->rows != NULL)
        {
          if (!stated_rows (m, rule, i, names[0], &stated, error))
            return FALSE;
          extent = rule->beside ? qconv_names_find (m->names, source)->dim[1]
                                : g_array_index (parts, NamePart, parts->len - 1).n;
          if (stated != extent)
            return qconv_fail (error, QCONV_ERROR_INPUT, "%s: must have %" G_GUINT64_FORMAT " %s to be a part of %s",
                               source, stated, rule->beside ? "columns" : "rows", names[0]);
        }
    }
  if (parts->len == 0)
    return TRUE;
  if (missing != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s: missing, but needed as a part of %s", missing, names[0]);
  return qconv_keymap_add (m, names[0], g_steal_pointer (&parts), &shape, FALSE, error);
}

/* Applies a rule whose variables are filled. @names: of the whole, then of the parts */
static gboolean
apply_filled (KeymapRun *m, const Rule *rule, char **names, GError **error)
{
  if (rule->parts->len == 1)
    return move (m, rule, names[is_from_whole (m, rule) ? 0 : 1], names[is_from_whole (m, rule) ? 1 : 0], error);
  return is_from_whole (m, rule) ? split (m, rule, names, error) : stack (m, rule, names, error);
}

/* Applies a rule for all values of its variables. @leaf: the text for {p} */
static gboolean
apply_leaf (KeymapRun *m, const Rule *rule, const char *leaf, GError **error)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) templates = NULL;
  g_autoptr (GPtrArray) fillings = NULL;

  for (guint i = 0; i <= rule->parts->len; i++)
    {
      g_autofree char *name = replace (i == 0 ? rule->whole : g_ptr_array_index (rule->parts, i - 1), "{p}", leaf);

      g_strv_builder_add (builder, name);
    }
  templates = g_strv_builder_end (builder);
  fillings = qconv_dims_fill (m->dims, rule->index, (const char *const *) templates, error);
  for (guint i = 0; fillings != NULL && i < fillings->len; i++)
    if (!apply_filled (m, rule, g_ptr_array_index (fillings, i), error))
      return FALSE;
  return fillings != NULL;
}

gboolean
qconv_keymap_apply_rules (KeymapRun *m, GError **error)
{
  g_autoptr (GPtrArray) rules = read_rules (m, error);

  if (rules == NULL)
    return FALSE;
  if (!m->known)
    count_dims (m, rules);
  for (guint i = 0; i < rules->len; i++)
    {
      const Rule *rule = g_ptr_array_index (rules, i);

      if (!apply_leaf (m, rule, "weight", error)
          || (strstr (rule->whole, "{p}") != NULL && !apply_leaf (m, rule, "bias", error)))
        return FALSE;
    }
  return TRUE;
}
