/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers the hooks of a quantizer about a tile: its components, those of its source, scratch memory. */
#include "layer/tile.h"

#include "kernels/stream.h"

Tile
qconv_tile (const Layer *layer, const Components *components, const Rows *rows)
{
  return (Tile) {
    .pub = {
      .layer = &layer->pub,
      .first_row = rows->first,
      .n_rows = rows->n,
      .stream = qconv_stream_cpu (),
      .n_threads = 1,
    },
    .components = components,
    .arena = rows->arena,
    .cancellable = rows->cancellable,
    .device = rows->device,
  };
}

static QconvBuffer *
find_buffer (const Tile *t, const Components *c, const char *name)
{
  gint i = c != NULL ? qconv_layer_component_index (&c->layer->pub, name) : -1;

  if (i < 0 || c->buffers[i].data == NULL)
    return NULL;
  return t->mirrored ? qconv_device_find (t->device, &c->buffers[i]) : &c->buffers[i];
}

QconvBuffer *
qconv_tile_component (const QconvTile *t, const char *name)
{
  g_return_val_if_fail (t != NULL && name != NULL, NULL);
  return find_buffer ((const Tile *) t, ((const Tile *) t)->components, name);
}

QconvBuffer *
qconv_tile_source (const QconvTile *t, const char *name)
{
  g_return_val_if_fail (t != NULL && name != NULL, NULL);
  return find_buffer ((const Tile *) t, ((const Tile *) t)->source, name);
}

QconvBuffer *
qconv_tile_scratch (const QconvTile *t, gsize n, GError **error)
{
  QconvBuffer *b;
  void *data;

  g_return_val_if_fail (t != NULL, NULL);
  if (((const Tile *) t)->mirrored)
    return qconv_device_scratch (((const Tile *) t)->device, n, error);
  b = arena_take (((const Tile *) t)->arena, sizeof *b);
  data = b != NULL ? arena_take (((const Tile *) t)->arena, n) : NULL;
  if (data == NULL)
    {
      qconv_fail (error, QCONV_ERROR_BUG, "more scratch memory was asked for than was declared");
      return NULL;
    }
  *b = QCONV_BUFFER (data, n, QCONV_F32);
  return b;
}

QconvBuffer *
qconv_tile_view (const QconvTile *t, QconvBuffer *again, QconvBuffer *of, QconvDType dtype, gsize first, gsize n,
                 GError **error)
{
  QconvBuffer *b = again;

  g_return_val_if_fail (t != NULL && of != NULL, NULL);
  if (b == NULL)
    b = ((const Tile *) t)->mirrored ? qconv_device_view (((const Tile *) t)->device)
                                     : arena_take (((const Tile *) t)->arena, sizeof *b);
  if (b == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "more scratch memory was asked for than was declared"), NULL;
  if (first > of->size || n > of->size - first)
    return qconv_fail (error, QCONV_ERROR_BUG, "a view reaches beyond the end of its buffer"), NULL;
  b->data = of->data != NULL ? of->data + first : NULL;
  b->address = of->data != NULL ? NULL : of->address + first;
  b->size = n;
  b->dtype = dtype;
  return b;
}

const float *
qconv_tile_statistics (const QconvTile *t, const char *name)
{
  g_return_val_if_fail (t != NULL && name != NULL, NULL);
  return NULL; /* --stats does not exist yet */
}

void
qconv_tile_progress (const QconvTile *t, guint64 done, guint64 total)
{
  const Tile *tile = (const Tile *) t;

  g_return_if_fail (t != NULL && total > 0);
  if (tile->report != NULL)
    tile->report (tile->report_data, (double) MIN (done, total) / (double) total);
}

void
qconv_tile_round (const QconvTile *t, guint round, guint n_rounds)
{
  const Tile *tile = (const Tile *) t;

  g_return_if_fail (t != NULL);
  if (tile->note_round != NULL)
    tile->note_round (tile->report_data, round, n_rounds);
}

GCancellable *
qconv_tile_cancellable (const QconvTile *t)
{
  g_return_val_if_fail (t != NULL, NULL);
  return ((const Tile *) t)->cancellable;
}
