/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads claimed layers: makes components of tensors, and floats of components or plain numbers. load.c, compositions
   and deltas call it. */
#include "layer/load-claimed.h"

#include "base/dtype.h"
#include "kernels/stream.h"
#include "layer/hooks.h"

/* ---- Components ---- */

/* Reads stored bytes in the order of this machine */
static gboolean
read_tensor (const QconvTensor *t, guint64 offset, gsize n, void *dst, GError **error)
{
  if (!qconv_tensor_read (t, offset, n, dst, error))
    return FALSE;
  if (t->big_endian)
    qconv_swap_items (dst, n, t->dtype);
  return TRUE;
}

/* Reads a tensor that is stored as the component is, byte for byte or as a narrower float */
static gboolean
read_component (const QconvTensor *t, guint64 item, QconvBuffer *buffer, gsize stride, GError **error)
{
  gsize width = qconv_dtype_bits (t->dtype) / 8, items;
  g_autofree guint8 *raw = NULL;
  QconvBuffer narrow;

  if (qconv_dtype_bits (t->dtype) == qconv_dtype_bits (buffer->dtype))
    return read_tensor (t, item * stride, buffer->size, buffer->data, error);
  items = buffer->size / sizeof (float);
  raw = g_malloc (MAX (items * width, 1));
  narrow = QCONV_BUFFER (raw, items * width, t->dtype);
  if (!read_tensor (t, item * (stride / sizeof (float)) * width, narrow.size, raw, error))
    return FALSE;
  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&narrow), QCONV_BUF (buffer) },
                           2, error);
}

static gboolean
load_component (const SourceLayer *s, const QconvComponent *c, const Rows *rows, QconvBuffer *buffer, GError **error)
{
  const Binding *b = qconv_source_layer_binding (s, c->name);
  QconvLoad load = {
    .layer = &s->layer->pub,
    .component = c,
    .tensors = (const QconvTensor *const *) b->tensors->pdata,
    .dst = buffer->data,
    .data = b->data,
  };

  qconv_component_share (&s->layer->pub, c, rows->first, rows->n, &load.first, &load.n);
  return b->load != NULL ? qconv_call_load (s->reader, b->load, &load, rows->arena, error)
                         : read_component (load.tensors[0], load.first, buffer, qconv_component_stride (c), error);
}

gsize
qconv_claimed_cost (const SourceLayer *s, Scope scope, guint64 n_rows)
{
  return s->layer->quantizer != NULL ? qconv_components_cost (s->layer, scope, n_rows) : 0;
}

/* Narrows held row components to those of @rows */
static void
take_share (Components *c, const Rows *rows)
{
  const QconvLayer *l = &c->layer->pub;

  for (guint i = 0; i < l->n_components; i++)
    {
      gsize stride = qconv_component_stride (l->components[i]);
      guint8 *data = c->buffers[i].data;
      guint64 start, item, n;

      if (!qconv_component_in (l->components[i], SCOPE_ROWS))
        continue;
      qconv_component_share (l, l->components[i], c->held_first, c->n_held, &start, &n);
      qconv_component_share (l, l->components[i], rows->first, rows->n, &item, &n);
      c->buffers[i] = QCONV_BUFFER (data + (item - start) * stride, n * stride, l->components[i]->dtype);
    }
  c->held_first = rows->first;
  c->n_held = rows->n;
}

gboolean
qconv_claimed_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error)
{
  if (s->layer->quantizer == NULL)
    return TRUE;
  if (scope == SCOPE_ROWS && c->n_held > 0)
    {
      take_share (c, rows);
      return TRUE;
    }
  if (!qconv_components_place (c, scope, rows, error))
    return FALSE;
  for (guint i = 0; i < s->layer->pub.n_components; i++)
    {
      const QconvComponent *component = s->layer->pub.components[i];

      if (qconv_component_in (component, scope) && !load_component (s, component, rows, &c->buffers[i], error))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_claimed_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error)
{
  if (!qconv_claimed_load (s, c, SCOPE_ROWS, rows, error))
    return FALSE;
  c->held_first = rows->first;
  c->n_held = rows->n;
  return TRUE;
}

GBytes *
qconv_claimed_component (const SourceLayer *s, const QconvComponent *c)
{
  gsize size = qconv_component_share_bytes (&s->layer->pub, c, 0);
  Arena arena = { .size = arena_cost (size) };
  g_autofree guint8 *memory = g_malloc (arena.size);
  QconvBuffer buffer;

  arena.base = memory;
  buffer = QCONV_BUFFER (arena_take (&arena, size), size, c->dtype);
  return load_component (s, c, &(Rows) { .arena = &arena }, &buffer, NULL) ? g_bytes_new (buffer.data, size) : NULL;
}

/* ---- Floats ---- */

static gsize
plain_row_bytes (const SourceLayer *s)
{
  return (gsize) s->layer->pub.cols * qconv_dtype_bits (s->layer->pub.dtype) / 8;
}

gsize
qconv_claimed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is)
{
  gsize floats = arena_cost ((gsize) (n_rows * s->layer->pub.cols) * sizeof (float));
  gsize stored;

  /* decode() may use scratch up to the size of its float output without declaring it */
  if (!qconv_source_layer_plain (s))
    return qconv_components_cost (s->layer, SCOPE_ROWS, n_rows) + 2 * floats + s->scratch;
  stored = arena_cost ((gsize) n_rows * plain_row_bytes (s));
  return (as_is ? stored : stored + floats) + s->scratch;
}

static gboolean
take_floats (const SourceLayer *s, const Rows *rows, QconvDType dtype, QconvBuffer *floats, GError **error)
{
  gsize size = (gsize) (rows->n * s->layer->pub.cols) * qconv_dtype_bits (dtype) / 8;

  *floats = QCONV_BUFFER (arena_take (rows->arena, size), size, dtype);
  return floats->data != NULL || qconv_components_exhausted (s->layer, error);
}

static gboolean
load_plain (const SourceLayer *s, const Rows *rows, gboolean as_is, QconvBuffer *floats, GError **error)
{
  const QconvTensor *t = qconv_source_layer_tensor (s);
  QconvBuffer stored;

  if (!take_floats (s, rows, s->layer->pub.dtype, &stored, error))
    return FALSE;
  if (t != NULL ? !read_tensor (t, rows->first * plain_row_bytes (s), stored.size, stored.data, error)
                : !load_component (s, s->layer->pub.components[0], rows, &stored, error))
    return FALSE;
  if (as_is)
    {
      *floats = stored;
      return TRUE;
    }
  return take_floats (s, rows, QCONV_F32, floats, error)
         && qconv_stream_run (qconv_stream_cpu (), "convert", 1,
                              (QconvArg[]) { QCONV_BUF (&stored), QCONV_BUF (floats) }, 2, error);
}

gboolean
qconv_claimed_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is, QconvBuffer *floats,
                           GError **error)
{
  const QconvQuantizer *q = s->layer->quantizer;
  Tile tile;

  if (q == NULL)
    return load_plain (s, rows, as_is, floats, error);
  if (!take_floats (s, rows, QCONV_F32, floats, error) || !qconv_claimed_load (s, c, SCOPE_ROWS, rows, error))
    return FALSE;
  tile = qconv_tile (s->layer, c, rows);
  tile.pub.floats = floats;
  return qconv_call_decode (q, &tile, error);
}
