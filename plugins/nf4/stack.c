/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nested absmax of layers that core stacks from rows of others. If all parts begin and end at groups of nested absmax,
   bytes are copied; else absmax are decoded and nested again, which rounds them once. Codes of weights stay. */
#include <string.h>

#include "nf4.h"

/* Largest relative squared error of nesting again. An absmax is wrong by half a step of the map at most, which is 0.007
   of the largest distance from the mean in its group. Weights with heavy tails have an error of about 1e-4 */
#define WORST_ROUNDING 2e-3

/* The blocks of a stacked layer, in its order. @left: blocks that follow from @first on in one source */
typedef struct {
  const QconvStackPart *part, *end;
  guint64 row, first, left;
  Nf4Nested from;
} Blocks;

static Blocks
all_blocks (const QconvStackPart *parts, guint n)
{
  return (Blocks) { .part = parts, .end = parts + n };
}

/* Goes on to the next stretch of blocks: all of a part without gaps, else those of its next row. Returns FALSE at the
   end */
static gboolean
next_stretch (Blocks *b)
{
  while (b->left == 0 && b->part < b->end)
    {
      const QconvStackPart *p = b->part;
      guint64 rows = p->stride == 1 ? p->n : MIN (p->n, 1);

      b->from = nf4_nested_of (p->source, FALSE);
      b->first = nf4_first_block (p->source->layer, p->first + b->row * p->stride);
      b->left = nf4_n_blocks (p->source->layer, rows);
      b->row += rows;
      if (b->row < p->n)
        continue;
      b->row = 0;
      b->part++;
    }
  return b->left > 0;
}

/* Decodes the next absmax, at most @most. Returns how many there were */
static guint64
take_absmax (Blocks *b, guint64 most, float *absmax)
{
  guint64 n = 0;

  while (n < most && next_stretch (b))
    {
      guint64 step = MIN (b->left, most - n);

      nf4_unnest (&b->from, b->first, step, absmax + n);
      b->first += step;
      b->left -= step;
      n += step;
    }
  return n;
}

/* Returns whether every stretch begins and ends at a group, and all sources have one map and offset */
static gboolean
keeps_groups (const QconvStackPart *parts, guint n)
{
  Nf4Nested first = nf4_nested_of (parts[0].source, FALSE);
  Blocks b = all_blocks (parts, n);

  for (guint64 at = 0; next_stretch (&b); at += b.left, b.left = 0)
    if (at % NF4_NESTED_BLOCK != 0 || b.first % NF4_NESTED_BLOCK != 0
        || memcmp (b.from.offset, first.offset, sizeof *first.offset) != 0
        || memcmp (b.from.map, first.map, NF4_MAP * sizeof *first.map) != 0)
      return FALSE;
  return TRUE;
}

static void
copy_groups (const Nf4Nested *to, const QconvStackPart *parts, guint n)
{
  Nf4Nested first = nf4_nested_of (parts[0].source, FALSE);
  Blocks b = all_blocks (parts, n);

  memcpy (to->map, first.map, NF4_MAP * sizeof *first.map);
  memcpy (to->offset, first.offset, sizeof *first.offset);
  for (guint64 at = 0; next_stretch (&b); at += b.left, b.left = 0)
    {
      guint64 groups = b.left / NF4_NESTED_BLOCK + (b.left % NF4_NESTED_BLOCK != 0);

      memcpy (to->codes + at, b.from.codes + b.first, b.left);
      memcpy (to->absmax + at / NF4_NESTED_BLOCK, b.from.absmax + b.first / NF4_NESTED_BLOCK,
              groups * sizeof *to->absmax);
    }
}

static void
nest_again (const Nf4Nested *to, const QconvStackPart *parts, guint n)
{
  Blocks b = all_blocks (parts, n);
  float absmax[NF4_NESTED_BLOCK];
  guint64 all = 0, taken;
  double sum = 0;

  while ((taken = take_absmax (&b, NF4_NESTED_BLOCK, absmax)) > 0)
    {
      for (guint64 i = 0; i < taken; i++)
        sum += (double) absmax[i];
      all += taken;
    }
  nf4_nest_begin (to, sum, all);
  b = all_blocks (parts, n);
  for (guint64 group = 0; (taken = take_absmax (&b, NF4_NESTED_BLOCK, absmax)) > 0; group++)
    nf4_nest_group (to, group, absmax, taken);
}

gboolean
nf4_stack (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n, GError **error)
{
  Nf4Nested to = nf4_nested_of (t, FALSE);

  if (keeps_groups (parts, n))
    copy_groups (&to, parts, n);
  else
    nest_again (&to, parts, n);
  return TRUE;
}

double
nf4_stack_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return nf4_is_nested (layer) ? WORST_ROUNDING : 0;
}
