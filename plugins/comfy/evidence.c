/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weights have rows and columns that are larger than others, so scales of one row or column are like each other. Read
   in the wrong layout, rows and columns mix others' scales. The layout in which they explain more is the right one. */
#include "evidence.h"

#include "members.h"
#include "swizzle.h"

enum {
  MOST_LAYERS = 8,
  MOST_BANDS = 4, /* of 128 rows, of a layer */
  MOST_BYTES = 128 * 1024,
  LEAST_COLS = 2 * COMFY_TILE_COLS, /* of four columns, both layouts have the same rows in another order */
  LEAST_SCALES = 4096,              /* of all layers; fewer can be alike by chance */
};

/* By how much numbers must be better in one layout than in the other, and by how many standard deviations of noise
   better than chance. README.md says what was measured. */
#define BETTER 2.0
#define DEVIATIONS 20.0

/**
 * Table: scales in one layout.
 *
 * @items: [rows, cols]
 * @row, @col: deviations of the means of rows and columns from the mean
 * @rest: [rows, cols]: what the means of rows and columns leave of the items
 * @total: sum of squared deviations of all items from the mean
 */
typedef struct {
  const guint8 *items;
  gsize rows, cols;
  double *row, *col, *rest;
  double total;
} Table;

/* Fit: what explains the differences of scales in one layout. Each is in units of the variance of one scale, less what
   chance explains. @lines: rows and columns; @all: and blocks of both; @freedom: of @lines */
typedef struct {
  double lines, all, freedom;
} Fit;

/* Adds up rows, columns and squares. Returns the mean. */
static double
sum_lines (Table *t)
{
  double n = (double) t->rows * (double) t->cols, all = 0, squares = 0;

  for (gsize r = 0; r < t->rows; r++)
    for (gsize c = 0; c < t->cols; c++)
      {
        double x = t->items[r * t->cols + c];

        t->row[r] += x;
        t->col[c] += x;
        squares += x * x;
      }
  for (gsize r = 0; r < t->rows; r++)
    all += t->row[r];
  t->total = squares - all * all / n;
  return all / n;
}

/* Fills the table. The codes of FP8 scales, and the exponents of MXFP8, count as their logarithms: both rise nearly
   so. */
static void
measure_table (Table *t)
{
  double mean = sum_lines (t);

  for (gsize r = 0; r < t->rows; r++)
    t->row[r] = t->row[r] / (double) t->cols - mean;
  for (gsize c = 0; c < t->cols; c++)
    t->col[c] = t->col[c] / (double) t->rows - mean;
  for (gsize r = 0; r < t->rows; r++)
    for (gsize c = 0; c < t->cols; c++)
      t->rest[r * t->cols + c] = t->items[r * t->cols + c] - mean - t->row[r] - t->col[c];
}

static double
sum_squares (const double *x, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += x[i] * x[i];
  return sum;
}

static double
sum_block (const Table *t, gsize row, gsize col, gsize h, gsize w)
{
  double sum = 0;

  for (gsize r = row; r < row + h; r++)
    for (gsize c = col; c < col + w; c++)
      sum += t->rest[r * t->cols + c];
  return sum;
}

/* Returns what blocks of @h rows and @w columns explain besides rows and columns; 0 if only chance does. */
static double
explain_blocks (const Table *t, gsize h, gsize w, double variance)
{
  gsize n_rows = t->rows / h, n_cols = t->cols / w;
  double squares = 0;

  if (n_cols < 2)
    return 0;
  for (gsize r = 0; r < n_rows; r++)
    for (gsize c = 0; c < n_cols; c++)
      {
        double sum = sum_block (t, r * h, c * w, h, w);

        squares += sum * sum;
      }
  return MAX (squares / (double) (h * w) / variance - (double) (MAX (n_rows - 1, 1) * (n_cols - 1)), 0);
}

/* Adds the fit of the scales @items of a layer. *share: the part of the differences that rows and columns explain */
static void
add_fit (Fit *f, const guint8 *items, gsize rows, gsize cols, double *share)
{
  g_autofree double *means = g_new0 (double, rows + cols), *rest = g_new (double, rows *cols);
  Table t = { items, rows, cols, means, means + rows, rest, 0 };
  double variance, lines;

  measure_table (&t);
  *share = 0;
  if (t.total <= 0)
    return;
  variance = t.total / ((double) rows * (double) cols - 1);
  lines = (double) cols * sum_squares (t.row, rows) + (double) rows * sum_squares (t.col, cols);
  *share = lines / t.total;
  lines = lines / variance - (double) (rows + cols - 2);
  f->lines += lines;
  f->all += lines + explain_blocks (&t, 32, 4, variance) + explain_blocks (&t, 1, 64, variance);
  f->freedom += (double) (rows + cols - 2);
}

/* Returns whether @f explains clearly more than chance, and than all of @other */
static gboolean
is_clear (const Fit *f, const Fit *other)
{
  return f->lines > 0 && f->lines * f->lines >= DEVIATIONS * DEVIATIONS * 2 * f->freedom
         && f->lines >= BETTER * other->all;
}

/* ---- Layers ---- */

/* Evidence: the sums of all layers of which @n scales were read, and the shares of the layer that shows most */
typedef struct {
  Fit tiles, plain;
  guint64 n;
  const char *layer;
  double tiles_share, plain_share;
} Evidence;

static const QconvTensor *
scale_of (const ComfyLook *l)
{
  return l->size.align != 0 ? comfy_members_named (&l->members, ".weight_scale") : NULL;
}

gboolean
comfy_scales_open (const ComfyLook *l)
{
  const QconvTensor *scale = scale_of (l);

  return scale != NULL && comfy_scales_swizzled (&l->size, scale) && comfy_scales_plain (&l->size, scale);
}

/* Reads bands of 128 rows that are spread over the scales of @l and adds their evidence. Layers of which no band fits
   are left out */
static gboolean
add_layer (Evidence *e, const ComfyLook *l, GError **error)
{
  const QconvTensor *scale = scale_of (l);
  guint64 cols = l->size.cols / l->size.align, all = l->size.rows / COMFY_TILE_ROWS;
  guint64 band = cols * COMFY_TILE_ROWS, n;
  g_autofree guint8 *stored = NULL, *rows = NULL;
  double tiles, plain;

  if (cols < LEAST_COLS || all == 0 || cols > MOST_BYTES / COMFY_TILE_ROWS)
    return TRUE;
  n = MIN (MIN (all, MOST_BANDS), MOST_BYTES / band);
  stored = g_malloc (n * band);
  rows = g_malloc (n * band);
  for (guint64 i = 0; i < n; i++)
    if (!qconv_tensor_read (scale, all * i / n * band, (gsize) band, stored + i * band, error))
      return FALSE;
  comfy_unswizzle (stored, 0, n * COMFY_TILE_ROWS, cols, rows);
  add_fit (&e->tiles, rows, n * COMFY_TILE_ROWS, cols, &tiles);
  add_fit (&e->plain, stored, n * COMFY_TILE_ROWS, cols, &plain);
  e->n += n * band;
  if (e->layer == NULL || ABS (tiles - plain) > ABS (e->tiles_share - e->plain_share))
    {
      e->layer = l->layer;
      e->tiles_share = tiles;
      e->plain_share = plain;
    }
  return TRUE;
}

/* Returns what the numbers show */
static ComfyScales
judge_numbers (const Evidence *e)
{
  if (e->n < LEAST_SCALES)
    return COMFY_SCALES_UNKNOWN;
  return is_clear (&e->tiles, &e->plain)   ? COMFY_SCALES_TILES
         : is_clear (&e->plain, &e->tiles) ? COMFY_SCALES_PLAIN
                                           : COMFY_SCALES_UNKNOWN;
}

/* Reads layers that are spread over @open (element-type ComfyLook). */
static gboolean
add_layers (Evidence *e, const GPtrArray *open, GError **error)
{
  guint n = MIN (open->len, MOST_LAYERS);

  for (guint i = 0; i < n; i++)
    if (!add_layer (e, g_ptr_array_index (open, (guint64) open->len * i / n), error))
      return FALSE;
  return TRUE;
}

/* Returns the layout of the layers whose shapes allow only one, or COMFY_SCALES_UNKNOWN if they differ. *layer: the
   first of them */
static ComfyScales
judge_shapes (const GPtrArray *looks, const char **layer)
{
  ComfyScales found = COMFY_SCALES_UNKNOWN;

  for (guint i = 0; i < looks->len; i++)
    {
      const ComfyLook *l = g_ptr_array_index (looks, i);
      const QconvTensor *scale = scale_of (l);
      gboolean tiles = scale != NULL && comfy_scales_swizzled (&l->size, scale);
      ComfyScales own = tiles ? COMFY_SCALES_TILES : COMFY_SCALES_PLAIN;

      if (scale == NULL || tiles == comfy_scales_plain (&l->size, scale))
        continue;
      if (found == COMFY_SCALES_UNKNOWN)
        *layer = l->layer;
      else if (found != own)
        return COMFY_SCALES_UNKNOWN;
      found = own;
    }
  return found;
}

/* ---- The word of the user ---- */

static const char *const words[] = {
  [COMFY_SCALES_UNKNOWN] = "auto",
  [COMFY_SCALES_TILES] = "swizzled",
  [COMFY_SCALES_PLAIN] = "plain",
};
static const char *const places[] = {
  [COMFY_SCALES_UNKNOWN] = "",
  [COMFY_SCALES_TILES] = "tiles",
  [COMFY_SCALES_PLAIN] = "plain rows",
};

static gboolean
fail_word (const Evidence *e, ComfyScales is, const char *word, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_INPUT,
                     "%s: -o comfy.scale-layout=%s contradicts the block scales: they lie in %s (rows and columns "
                     "explain %.0f %% of their differences in tiles, %.0f %% in plain rows); leave the option out",
                     e->layer, word, places[is], e->tiles_share * 100, e->plain_share * 100);
}

/* Warns of each layer of @open what decided that its scales are taken for @is. @neighbour: (nullable): a layer whose
   shape did */
static void
warn_of_judgement (const GPtrArray *open, ComfyScales is, const char *neighbour, QconvClaims *claims)
{
  for (guint i = 0; i < open->len; i++)
    {
      ComfyLook *l = g_ptr_array_index (open, i);

      l->judged = is;
      if (neighbour != NULL)
        qconv_claims_warn_each (claims, l->layer, "scale-layout",
                                "the block scales are read as %s, because those of %s can only lie so", places[is],
                                neighbour);
      else if (is != COMFY_SCALES_UNKNOWN)
        qconv_claims_warn_each (claims, l->layer, "scale-layout",
                                "the block scales are read as %s, as their numbers show", places[is]);
    }
}

/* Returns: (transfer container): the layers of @looks for which comfy_scales_open() is TRUE */
static GPtrArray *
open_looks (const GPtrArray *looks)
{
  GPtrArray *open = g_ptr_array_new ();

  for (guint i = 0; i < looks->len; i++)
    if (comfy_scales_open (g_ptr_array_index (looks, i)))
      g_ptr_array_add (open, g_ptr_array_index (looks, i));
  return open;
}

/* Warns of each layer of @open that only the option says how its scales lie. */
static void
warn_of_word (const GPtrArray *open, const char *word, QconvClaims *claims)
{
  for (guint i = 0; i < open->len; i++)
    qconv_claims_warn_each (claims, ((const ComfyLook *) g_ptr_array_index (open, i))->layer, "scale-layout",
                            "nothing shows how the block scales lie: -o comfy.scale-layout=%s is believed", word);
}

gboolean
comfy_check_word (const GPtrArray *looks, const QconvValues *options, GError **error)
{
  g_autoptr (GPtrArray) open = open_looks (looks);
  Evidence e = { 0 };

  if (!g_str_equal (qconv_values_string (options, "scale-layout"), words[COMFY_SCALES_PLAIN]) || open->len == 0)
    return TRUE;
  if (!add_layers (&e, open, error))
    return FALSE;
  switch (judge_numbers (&e))
    {
    case COMFY_SCALES_PLAIN:
      return TRUE;
    case COMFY_SCALES_TILES:
      return fail_word (&e, COMFY_SCALES_TILES, words[COMFY_SCALES_PLAIN], error);
    default:
      return qconv_fail (error, QCONV_ERROR_INPUT,
                         "%s: -o comfy.scale-layout=plain contradicts the marker, whose block scales lie in tiles, and "
                         "their numbers do not show plain rows; leave the option out",
                         ((const ComfyLook *) g_ptr_array_index (open, 0))->layer);
    }
}

gboolean
comfy_judge_scales (const GPtrArray *looks, const QconvValues *options, QconvClaims *claims, GError **error)
{
  const char *word = qconv_values_string (options, "scale-layout"), *neighbour = NULL;
  g_autoptr (GPtrArray) open = open_looks (looks);
  Evidence e = { 0 };
  ComfyScales is;

  if (!add_layers (&e, open, error))
    return FALSE;
  is = judge_numbers (&e);
  if (!g_str_equal (word, words[COMFY_SCALES_UNKNOWN]))
    {
      if (is == COMFY_SCALES_UNKNOWN)
        warn_of_word (open, word, claims);
      return is == COMFY_SCALES_UNKNOWN || g_str_equal (word, words[is]) || fail_word (&e, is, word, error);
    }
  if (is == COMFY_SCALES_UNKNOWN)
    is = judge_shapes (looks, &neighbour);
  warn_of_judgement (open, is, neighbour, claims);
  return TRUE;
}
