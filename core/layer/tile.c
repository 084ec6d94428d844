/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/tile.h"

#include <string.h>

#include "layer/delta.h"
#include "layer/load-composed.h"

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
    c->sources[i] = qconv_components_new_source (g_ptr_array_index (s->sources, i));
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

static gboolean
belongs_to (const QconvComponent *c, Parts parts)
{
  return (c->run.rows == 0) == (parts == PARTS_WHOLE);
}

gsize
qconv_parts_cost (const Layer *l, Parts parts, guint64 n_rows)
{
  gsize cost = 0;

  for (guint i = 0; i < l->pub.n_components; i++)
    if (belongs_to (l->pub.components[i], parts))
      cost += arena_round (MAX (qconv_component_share_bytes (&l->pub, l->pub.components[i], n_rows), 1));
  return cost;
}

gsize
qconv_source_cost (const SourceLayer *s, Parts parts, guint64 n_rows)
{
  if (s->parts == NULL)
    return s->layer->quantizer != NULL ? qconv_parts_cost (s->layer, parts, n_rows) : 0;
  return parts == PARTS_WHOLE ? qconv_composed_whole_cost (s) : qconv_composed_rows_cost (s, n_rows);
}

static gboolean
arena_exhausted (const Layer *l, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": scheme %s takes more memory than it said", l->name,
                     l->scheme);
}

gboolean
qconv_parts_place (Components *c, Parts parts, guint64 first, guint64 n, Arena *arena, GError **error)
{
  const QconvLayer *l = &c->layer->pub;

  for (guint i = 0; i < l->n_components; i++)
    {
      guint64 item, n_items;
      gsize size;

      if (!belongs_to (l->components[i], parts))
        continue;
      qconv_component_share (l, l->components[i], first, n, &item, &n_items);
      size = (gsize) n_items * qconv_component_stride (l->components[i]);
      c->buffers[i] = QCONV_BUFFER (arena_take (arena, size), size, l->components[i]->dtype);
      if (c->buffers[i].data == NULL)
        return arena_exhausted (c->layer, error);
      if (parts == PARTS_WHOLE)
        memset (c->buffers[i].data, 0, size);
    }
  return TRUE;
}

void
qconv_swap_items (guint8 *data, gsize n, QconvDType dtype)
{
  gsize width = dtype == QCONV_C64 ? 4 : qconv_dtype_bits (dtype) / 8;

  for (gsize i = 0; width > 1 && i + width <= n; i += width)
    for (gsize j = 0; j < width / 2; j++)
      {
        guint8 byte = data[i + j];

        data[i + j] = data[i + width - 1 - j];
        data[i + width - 1 - j] = byte;
      }
}

/* Stored bytes in the machine's order */
static gboolean
read_tensor (const QconvTensor *t, guint64 offset, gsize n, void *dst, GError **error)
{
  if (!qconv_tensor_read (t, offset, n, dst, error))
    return FALSE;
  if (t->big_endian)
    qconv_swap_items (dst, n, t->dtype);
  return TRUE;
}

/* A tensor that is the component, byte for byte or as a narrower float */
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
load_component (const SourceLayer *s, const QconvComponent *c, guint64 first, guint64 n, QconvBuffer *buffer,
                GError **error)
{
  const Binding *b = qconv_source_layer_binding (s, c->name);
  QconvLoad load = {
    .layer = &s->layer->pub,
    .component = c,
    .tensors = (const QconvTensor *const *) b->tensors->pdata,
    .dst = buffer->data,
  };
  gboolean ok;

  qconv_component_share (&s->layer->pub, c, first, n, &load.first, &load.n);
  ok = b->load != NULL ? b->load (&load, error)
                       : read_component (load.tensors[0], load.first, buffer, qconv_component_stride (c), error);
  if (!ok)
    g_prefix_error (error, "layer \"%s\": ", s->name);
  return ok;
}

gboolean
qconv_parts_load (const SourceLayer *s, Components *c, Parts parts, guint64 first, guint64 n, Arena *arena,
                  GError **error)
{
  if (s->parts != NULL)
    return parts == PARTS_WHOLE ? qconv_composed_load_whole (s, c, arena, error)
                                : qconv_composed_load_rows (s, c, first, n, arena, error);
  if (s->layer->quantizer == NULL)
    return TRUE;
  if (!qconv_parts_place (c, parts, first, n, arena, error))
    return FALSE;
  for (guint i = 0; i < s->layer->pub.n_components; i++)
    {
      const QconvComponent *component = s->layer->pub.components[i];

      if (belongs_to (component, parts) && !load_component (s, component, first, n, &c->buffers[i], error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Floats ---- */

static gsize
plain_row_bytes (const SourceLayer *s)
{
  return (gsize) s->layer->pub.cols * qconv_dtype_bits (s->layer->pub.dtype) / 8;
}

gsize
qconv_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is)
{
  gsize floats = arena_round (MAX ((gsize) (n_rows * s->layer->pub.cols) * sizeof (float), 1));
  gsize stored;

  if (s->parts != NULL)
    return qconv_composed_floats_cost (s, n_rows, as_is);
  if (!qconv_source_layer_plain (s))
    /* decode() may take as much again without a word */
    return qconv_parts_cost (s->layer, PARTS_ROWS, n_rows) + 2 * floats + s->scratch;
  stored = arena_round (MAX ((gsize) n_rows * plain_row_bytes (s), 1));
  return as_is ? stored : stored + floats;
}

static gboolean
take_floats (const SourceLayer *s, guint64 n, QconvDType dtype, Arena *arena, QconvBuffer *floats, GError **error)
{
  gsize size = (gsize) (n * s->layer->pub.cols) * qconv_dtype_bits (dtype) / 8;

  *floats = QCONV_BUFFER (arena_take (arena, size), size, dtype);
  return floats->data != NULL || arena_exhausted (s->layer, error);
}

static gboolean
load_plain (const SourceLayer *s, guint64 first, guint64 n, gboolean as_is, Arena *arena, QconvBuffer *floats,
            GError **error)
{
  const QconvTensor *t = qconv_source_layer_tensor (s);
  QconvBuffer stored;

  if (!take_floats (s, n, t->dtype, arena, &stored, error)
      || !read_tensor (t, first * plain_row_bytes (s), stored.size, stored.data, error))
    return FALSE;
  if (as_is)
    {
      *floats = stored;
      return TRUE;
    }
  return take_floats (s, n, QCONV_F32, arena, floats, error)
         && qconv_stream_run (qconv_stream_cpu (), "convert", 1,
                              (QconvArg[]) { QCONV_BUF (&stored), QCONV_BUF (floats) }, 2, error);
}

gboolean
qconv_floats_load (const SourceLayer *s, Components *c, guint64 first, guint64 n, gboolean as_is, Arena *arena,
                   GCancellable *cancellable, QconvBuffer *floats, GError **error)
{
  const QconvQuantizer *q = s->layer->quantizer;
  Tile tile = { .components = c, .arena = arena, .cancellable = cancellable };

  if (s->parts != NULL)
    return qconv_composed_load_floats (s, c, first, n, as_is, arena, cancellable, floats, error);
  if (q == NULL)
    return load_plain (s, first, n, as_is, arena, floats, error);
  if (!take_floats (s, n, QCONV_F32, arena, floats, error)
      || !qconv_parts_load (s, c, PARTS_ROWS, first, n, arena, error))
    return FALSE;
  tile.pub = (QconvTile) {
    .layer = &s->layer->pub,
    .first_row = first,
    .n_rows = n,
    .floats = floats,
    .stream = qconv_stream_cpu (),
    .n_threads = 1,
  };
  if (q->decode (q, &tile.pub, error))
    return TRUE;
  g_prefix_error (error, "layer \"%s\": ", s->name);
  return FALSE;
}

gboolean
qconv_floats_check (const SourceLayer *s, QconvBuffer *floats, GError **error)
{
  guint64 n_bad = 0;
  QconvBuffer count = QCONV_BUFFER (&n_bad, sizeof n_bad, QCONV_U64);

  if (!qconv_stream_run (qconv_stream_cpu (), "nonfinite", 1, (QconvArg[]) { QCONV_BUF (floats), QCONV_BUF (&count) },
                         2, error))
    return FALSE;
  return n_bad == 0 || qconv_fail (error, QCONV_ERROR_NON_FINITE, "layer \"%s\": the weights hold Inf or NaN", s->name);
}

/* ---- What a quantizer asks ---- */

static QconvBuffer *
find_buffer (const Components *c, const char *name)
{
  gint i = c != NULL ? qconv_layer_component_index (&c->layer->pub, name) : -1;

  return i >= 0 && c->buffers[i].data != NULL ? &c->buffers[i] : NULL;
}

QconvBuffer *
qconv_tile_component (const QconvTile *t, const char *name)
{
  return find_buffer (((const Tile *) t)->components, name);
}

QconvBuffer *
qconv_tile_source (const QconvTile *t, const char *name)
{
  return find_buffer (((const Tile *) t)->source, name);
}

QconvBuffer *
qconv_tile_scratch (const QconvTile *t, gsize n, GError **error)
{
  Arena *arena = ((const Tile *) t)->arena;
  QconvBuffer *b = arena_take (arena, sizeof *b);
  void *data = b != NULL ? arena_take (arena, n) : NULL;

  if (data == NULL)
    {
      qconv_fail (error, QCONV_ERROR_BUG, "more scratch memory was asked for than was declared");
      return NULL;
    }
  *b = QCONV_BUFFER (data, n, QCONV_F32);
  return b;
}

const float *
qconv_tile_statistics (const QconvTile *t, const char *name)
{
  return NULL; /* there is no --stats yet */
}

GCancellable *
qconv_tile_cancellable (const QconvTile *t)
{
  return ((const Tile *) t)->cancellable;
}
