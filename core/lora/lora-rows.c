/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes and compares lists of rows. lora-names.c and lora-runs.c call it. */
#include "lora/lora-rows.h"

guint64
qconv_lora_rows_width (const NamedRows *r)
{
  return r->width > 0 ? r->width : r->source->layer->pub.cols;
}

guint64
qconv_lora_rows_step (const GArray *rows, guint i)
{
  gboolean beside = i + 1 < rows->len && g_array_index (rows, NamedRows, i + 1).column > 0;

  return beside ? 0 : g_array_index (rows, NamedRows, i).n;
}

gboolean
qconv_lora_rows (const SourceLayer *s, GArray *rows)
{
  NamedRows all = { .source = s, .stride = 1, .n = s->layer->pub.rows };
  gboolean upright = TRUE;

  if (s->parts == NULL)
    g_array_append_val (rows, all);
  for (guint i = 0; s->parts != NULL && i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      NamedRows some = { qconv_composed_source (s, i), p->first, p->stride, p->n, p->column, p->skip, p->width };

      g_array_append_val (rows, some);
      upright &= !p->transposed;
    }
  return upright;
}

/* A place in a list: row @row of stretch @at */
typedef struct {
  const GArray *rows;
  guint at;
  guint64 row;
} Walk;

/* Returns: (nullable): the stretch with the row at hand; NULL at the end */
static const NamedRows *
walk_on (Walk *w)
{
  while (w->at < w->rows->len && w->row == g_array_index (w->rows, NamedRows, w->at).n)
    *w = (Walk) { w->rows, w->at + 1, 0 };
  return w->at < w->rows->len ? &g_array_index (w->rows, NamedRows, w->at) : NULL;
}

gboolean
qconv_lora_rows_equal (const GArray *a, const GArray *b)
{
  Walk x = { .rows = a }, y = { .rows = b };
  const NamedRows *p, *q;

  while ((p = walk_on (&x)) != NULL && (q = walk_on (&y)) != NULL)
    {
      guint64 n = MIN (p->n - x.row, q->n - y.row);

      if (p->source != q->source || p->first + x.row * p->stride != q->first + y.row * q->stride
          || (n > 1 && p->stride != q->stride) || p->column != q->column || p->skip != q->skip
          || qconv_lora_rows_width (p) != qconv_lora_rows_width (q))
        return FALSE;
      x.row += n;
      y.row += n;
    }
  return walk_on (&x) == NULL && walk_on (&y) == NULL;
}

GArray *
qconv_lora_rows_first (const GArray *rows, guint64 per_column)
{
  g_autoptr (GArray) first = g_array_new (FALSE, FALSE, sizeof (NamedRows));
  guint64 left;

  if (!g_uint64_checked_mul (&left, g_array_index (rows, NamedRows, 0).source->layer->pub.cols, per_column))
    return NULL;
  for (guint i = 0; left > 0 && i < rows->len; i++)
    {
      NamedRows r = g_array_index (rows, NamedRows, i);

      if (r.column > 0 || r.width > 0)
        return NULL;
      r.n = MIN (r.n, left);
      left -= r.n;
      g_array_append_val (first, r);
    }
  return left == 0 && first->len > 0 ? g_steal_pointer (&first) : NULL;
}
