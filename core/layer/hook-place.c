/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses the processor or a device for a hook, and mirrors its buffers on the device. hooks.c calls it. */
#include "layer/hook-place.h"

/* Mirrors the components of @c that have data. @written: the hook fills those that follow rows */
static gboolean
mirror_components (DeviceTask *t, const Components *c, gboolean written, GError **error)
{
  for (guint i = 0; c != NULL && i < c->layer->pub.n_components; i++)
    {
      gboolean fill = !written || c->layer->pub.components[i]->run.rows == 0;

      if (c->buffers[i].data != NULL && qconv_device_mirror (t, &c->buffers[i], fill, error) == NULL)
        return FALSE;
    }
  return TRUE;
}

static gboolean
mirror_floats (Tile *tile, gboolean fill, GError **error)
{
  if (tile->pub.floats == NULL)
    return TRUE;
  tile->pub.floats = qconv_device_mirror (tile->device, tile->pub.floats, fill, error);
  return tile->pub.floats != NULL;
}

QconvBuffer *
qconv_hook_partial (const Tile *tile, const HookBuffers *use)
{
  return tile->mirrored ? qconv_device_find (tile->device, use->partial) : use->partial;
}

gboolean
qconv_hook_place (Tile *tile, const HookBuffers *use, GError **error)
{
  DeviceTask *t = tile->device;

  tile->mirrored = t != NULL && qconv_device_offers (qconv_device_of (t), use->operations);
  tile->stream = tile->mirrored ? *qconv_device_stream (t) : *tile->pub.stream;
  tile->stream.listed = use->operations;
  tile->pub.stream = &tile->stream;
  if (!tile->mirrored && !qconv_stream_cpu_check (use->operations, error))
    return FALSE;
  if (!tile->mirrored)
    return t == NULL || tile->pub.floats == NULL || !qconv_device_is_newer (t, tile->pub.floats)
           || qconv_device_fetch (t, NULL, error);
  tile->pub.n_threads = 1;
  return mirror_components (t, tile->components, use->fills_components, error)
         && mirror_components (t, tile->source, FALSE, error)
         && (use->partial == NULL || qconv_device_mirror (t, use->partial, TRUE, error) != NULL)
         && mirror_floats (tile, !use->fills_floats, error);
}

static void
note_components (DeviceTask *t, const Tile *host)
{
  const Components *c = host->components;
  gboolean whole = host->pub.n_rows == host->pub.layer->rows;

  for (guint i = 0; i < c->layer->pub.n_components; i++)
    if (c->buffers[i].data != NULL && (whole || c->layer->pub.components[i]->run.rows > 0))
      qconv_device_wrote (t, &c->buffers[i]);
}

gboolean
qconv_hook_collect (const Tile *tile, const Tile *host, const HookBuffers *use, GError **error)
{
  DeviceTask *t = tile->device;

  if (!tile->mirrored)
    return TRUE;
  if (use->fills_components)
    note_components (t, host);
  if (use->fills_floats)
    {
      qconv_device_wrote (t, host->pub.floats);
      qconv_device_forget (t, host->pub.floats);
      return TRUE;
    }
  if (use->partial != NULL)
    qconv_device_wrote (t, use->partial);
  if (!qconv_device_fetch (t, host->pub.floats, error))
    return FALSE;
  qconv_device_forget (t, NULL);
  return TRUE;
}
