/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places components of a layer in arenas. Loading, converting and checking do so before they fill them. */
#include "layer/components.h"

#include <string.h>

#include "layer/delta.h"

Components *
qconv_components_new (const Layer *layer)
{
  Components *c = g_new0 (Components, 1);

  c->layer = layer;
  c->buffers = g_new0 (QconvBuffer, layer->pub.n_components);
  return c;
}

Components *
qconv_components_new_source (const SourceLayer *s)
{
  Components *c = qconv_components_new (s->layer);

  if (s->parts == NULL)
    return c;
  c->n_sources = s->sources->len;
  c->sources = g_new0 (Components *, c->n_sources);
  if (s->deltas != NULL)
    c->kept = g_new0 (QconvBuffer, DELTA_KEPT * s->deltas->len);
  for (guint i = 0; i < c->n_sources; i++)
    c->sources[i] = qconv_components_new (((const SourceLayer *) g_ptr_array_index (s->sources, i))->layer);
  return c;
}

void
qconv_components_free (Components *c)
{
  for (guint i = 0; i < c->n_sources; i++)
    qconv_components_free (c->sources[i]);
  g_free (c->sources);
  g_free (c->kept);
  g_free (c->buffers);
  g_free (c);
}

Components *
qconv_components_view (const Components *whole, Arena *arena)
{
  gsize size = sizeof *whole->buffers * whole->layer->pub.n_components;
  Components *view = arena_take (arena, sizeof *view);

  *view = *whole;
  view->buffers = arena_take (arena, size);
  memcpy (view->buffers, whole->buffers, size);
  return view;
}

gsize
qconv_components_view_cost (const Layer *l)
{
  return arena_cost (sizeof (Components)) + arena_cost (sizeof (QconvBuffer) * l->pub.n_components);
}

gboolean
qconv_component_in (const QconvComponent *c, Scope scope)
{
  return (c->run.rows == 0) == (scope == SCOPE_LAYER);
}

gsize
qconv_components_cost (const Layer *l, Scope scope, guint64 n_rows)
{
  gsize cost = 0;

  for (guint i = 0; i < l->pub.n_components; i++)
    if (qconv_component_in (l->pub.components[i], scope))
      cost += arena_cost (qconv_component_share_bytes (&l->pub, l->pub.components[i], n_rows));
  return cost;
}

gboolean
qconv_components_exhausted (const Layer *l, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_BUG, "scheme %s takes more memory than it declared", l->scheme);
}

gboolean
qconv_components_place (Components *c, Scope scope, const Rows *rows, GError **error)
{
  const QconvLayer *l = &c->layer->pub;

  for (guint i = 0; i < l->n_components; i++)
    {
      guint64 item, n_items;
      gsize size;

      if (!qconv_component_in (l->components[i], scope))
        continue;
      qconv_component_share (l, l->components[i], rows->first, rows->n, &item, &n_items);
      size = (gsize) n_items * qconv_component_stride (l->components[i]);
      c->buffers[i] = QCONV_BUFFER (arena_take (rows->arena, size), size, l->components[i]->dtype);
      if (c->buffers[i].data == NULL)
        return qconv_components_exhausted (c->layer, error);
      if (scope == SCOPE_LAYER)
        memset (c->buffers[i].data, 0, size);
    }
  return TRUE;
}
