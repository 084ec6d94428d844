/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a device, keeps the streams and the memory of its tasks, and mirrors host buffers there. hooks.c and run/ call
   it. */
#include "kernels/device.h"

#define HOST_ALIGN 64 /* of memory that the backend does not provide */

/* Block: memory of the device; @size: bytes that were allocated */
typedef struct {
  guint8 *address;
  gsize size;
} Block;

/**
 * Mirror: a buffer of a task on the device.
 *
 * @there: what operations get; the first member, so that a pointer to it is one to the mirror
 * @host: the bytes that it mirrors; NULL for scratch and views
 * @newer: the host has older bytes
 * @block: its memory; no address for views
 */
typedef struct {
  QconvBuffer there;
  const guint8 *host;
  gboolean newer;
  Block block;
} Mirror;

struct _DeviceTask {
  Device *device;
  QconvStream stream;
  GPtrArray *mirrors; /* Mirror */
  GArray *spare;      /* Block: memory that no mirror uses */
  gboolean failed;
};

/**
 * Device:
 *
 * @idle: (element-type DeviceTask): tasks that ended; the next ones take over their streams and memory
 * @pinned: (element-type gpointer): host memory that the backend allocated
 */
struct _Device {
  const QconvBackend *backend;
  gpointer handle;
  char *name;
  GHashTable *ops;
  GMutex lock;
  GPtrArray *idle;
  GHashTable *pinned;
};

/* ---- Device ---- */

Device *
qconv_device_open (const QconvBackend *backend, guint number, guint64 memory, GError **error)
{
  gpointer handle = backend->open (number, memory, error);
  g_autofree char *name = NULL;
  Device *d;

  if (handle == NULL)
    return NULL;
  d = g_new0 (Device, 1);
  *d = (Device) { .backend = backend,
                  .handle = handle,
                  .ops = qconv_stream_index (backend),
                  .idle = g_ptr_array_new (),
                  .pinned = g_hash_table_new (NULL, NULL) };
  name = backend->describe (handle);
  d->name = g_strdup_printf ("%s:%u, %s", backend->id, number, name);
  g_mutex_init (&d->lock);
  return d;
}

static void
free_task (DeviceTask *t)
{
  for (guint i = 0; i < t->spare->len; i++)
    t->device->backend->free (t->device->handle, g_array_index (t->spare, Block, i).address);
  t->device->backend->stream_free (t->device->handle, t->stream.handle);
  g_array_unref (t->spare);
  g_ptr_array_unref (t->mirrors);
  g_free (t);
}

void
qconv_device_close (Device *d)
{
  for (guint i = 0; i < d->idle->len; i++)
    free_task (g_ptr_array_index (d->idle, i));
  d->backend->close (d->handle);
  g_ptr_array_unref (d->idle);
  g_hash_table_unref (d->pinned);
  g_hash_table_unref (d->ops);
  g_mutex_clear (&d->lock);
  g_free (d->name);
  g_free (d);
}

const char *
qconv_device_name (const Device *d)
{
  return d->name;
}

gboolean
qconv_device_offers (const Device *d, const QconvOpName *names)
{
  return names != NULL && qconv_stream_lacks (d->ops, names) == NULL;
}

gboolean
qconv_device_is_at_fault (const GError *error)
{
  return g_error_matches (error, QCONV_ERROR, QCONV_ERROR_DEVICE)
         || g_error_matches (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
}

guint8 *
qconv_device_host_alloc (Device *d, gsize n)
{
  guint8 *memory = d->backend->alloc_host != NULL ? d->backend->alloc_host (d->handle, n, NULL) : NULL;

  if (memory == NULL) /* copies are slower then */
    return g_aligned_alloc (n, 1, HOST_ALIGN);
  g_mutex_lock (&d->lock);
  g_hash_table_add (d->pinned, memory);
  g_mutex_unlock (&d->lock);
  return memory;
}

void
qconv_device_host_free (Device *d, guint8 *memory)
{
  gboolean pinned;

  g_mutex_lock (&d->lock);
  pinned = g_hash_table_remove (d->pinned, memory);
  g_mutex_unlock (&d->lock);
  if (pinned)
    d->backend->free_host (d->handle, memory);
  else
    g_aligned_free (memory);
}

/* ---- Tasks ---- */

static DeviceTask *
new_task (Device *d, GError **error)
{
  DeviceTask *t;
  gpointer handle = d->backend->stream_new (d->handle, error);

  if (handle == NULL)
    return NULL;
  t = g_new0 (DeviceTask, 1);
  t->device = d;
  t->stream = (QconvStream) {
    .backend = d->backend, .ops = d->ops, .device = d->handle, .handle = handle, .failed = &t->failed
  };
  t->mirrors = g_ptr_array_new_with_free_func (g_free);
  t->spare = g_array_new (FALSE, FALSE, sizeof (Block));
  return t;
}

DeviceTask *
qconv_device_begin (Device *d, GError **error)
{
  DeviceTask *t = NULL;

  g_mutex_lock (&d->lock);
  if (d->idle->len > 0)
    t = g_ptr_array_steal_index_fast (d->idle, d->idle->len - 1);
  g_mutex_unlock (&d->lock);
  return t != NULL ? t : new_task (d, error);
}

/* Waits for the stream, whose first error the task records */
static gboolean
sync_stream (DeviceTask *t, GError **error)
{
  GError *own = NULL;

  if (t->device->backend->sync (t->device->handle, t->stream.handle, &own))
    return TRUE;
  t->failed |= qconv_device_is_at_fault (own);
  g_propagate_error (error, own);
  return FALSE;
}

void
qconv_device_end (DeviceTask *t)
{
  if (t == NULL)
    return;
  /* What a task has enqueued and not fetched may still write to host buffers, which others get next */
  if (t->failed || t->mirrors->len > 0)
    sync_stream (t, NULL);
  qconv_device_forget (t, NULL);
  t->failed = FALSE;
  g_mutex_lock (&t->device->lock);
  g_ptr_array_add (t->device->idle, t);
  g_mutex_unlock (&t->device->lock);
}

Device *
qconv_device_of (const DeviceTask *t)
{
  return t->device;
}

QconvStream *
qconv_device_stream (DeviceTask *t)
{
  return &t->stream;
}

gboolean
qconv_device_failed (const DeviceTask *t)
{
  return t->failed;
}

/* ---- Memory ---- */

/* Frees the memory that @t holds without using it */
static void
free_spare (DeviceTask *t)
{
  for (guint i = 0; i < t->spare->len; i++)
    t->device->backend->free (t->device->handle, g_array_index (t->spare, Block, i).address);
  g_array_set_size (t->spare, 0);
}

/* Frees the memory that @t and the tasks that ended hold without using it */
static void
free_all_spare (DeviceTask *t)
{
  Device *d = t->device;

  free_spare (t);
  g_mutex_lock (&d->lock);
  for (guint i = 0; i < d->idle->len; i++)
    free_spare (g_ptr_array_index (d->idle, i));
  g_mutex_unlock (&d->lock);
}

/* Takes spare memory of at least @n bytes, and less than twice as many */
static gboolean
take_spare (DeviceTask *t, gsize n, Block *block)
{
  for (guint i = 0; i < t->spare->len; i++)
    {
      *block = g_array_index (t->spare, Block, i);
      if (block->size < n || block->size / 2 > n)
        continue;
      g_array_remove_index_fast (t->spare, i);
      return TRUE;
    }
  return FALSE;
}

static gboolean
take_block (DeviceTask *t, gsize n, Block *block, GError **error)
{
  Device *d = t->device;
  GError *own = NULL;

  n = MAX (n, 1);
  if (take_spare (t, n, block))
    return TRUE;
  *block = (Block) { d->backend->alloc (d->handle, n, &own), n };
  if (block->address == NULL && g_error_matches (own, QCONV_ERROR, QCONV_ERROR_LIMIT))
    {
      g_clear_error (&own);
      /* work that was enqueued may still use what is spare now */
      if (!sync_stream (t, error))
        return FALSE;
      free_all_spare (t);
      block->address = d->backend->alloc (d->handle, n, &own);
    }
  if (block->address != NULL)
    return TRUE;
  t->failed |= qconv_device_is_at_fault (own);
  g_propagate_error (error, own);
  return FALSE;
}

static Mirror *
add_mirror (DeviceTask *t)
{
  Mirror *m = g_new0 (Mirror, 1);

  g_ptr_array_add (t->mirrors, m);
  return m;
}

QconvBuffer *
qconv_device_view (DeviceTask *t)
{
  return &add_mirror (t)->there;
}

QconvBuffer *
qconv_device_scratch (DeviceTask *t, gsize n, GError **error)
{
  Block block;
  Mirror *m;

  if (!take_block (t, n, &block, error))
    return NULL;
  m = add_mirror (t);
  m->block = block;
  m->there = QCONV_DEVICE_BUFFER (block.address, n, QCONV_F32);
  return &m->there;
}

/* Returns whether @m holds the bytes of @host */
static gboolean
is_around (const Mirror *m, const QconvBuffer *host)
{
  return m->host != NULL && host->data >= m->host && host->data + host->size <= m->host + m->there.size;
}

void
qconv_device_forget (DeviceTask *t, const QconvBuffer *but)
{
  for (guint i = t->mirrors->len; i > 0; i--)
    {
      const Mirror *m = g_ptr_array_index (t->mirrors, i - 1);

      if (but != NULL && is_around (m, but))
        continue;
      if (m->block.address != NULL)
        g_array_append_val (t->spare, m->block);
      g_ptr_array_remove_index_fast (t->mirrors, i - 1);
    }
}

/* ---- Mirrors ---- */

/* Returns the mirror that holds the bytes of @host; NULL if there is none */
static Mirror *
find_around (const DeviceTask *t, const QconvBuffer *host)
{
  for (guint i = 0; i < t->mirrors->len; i++)
    if (is_around (g_ptr_array_index (t->mirrors, i), host))
      return g_ptr_array_index (t->mirrors, i);
  return NULL;
}

QconvBuffer *
qconv_device_find (DeviceTask *t, const QconvBuffer *host)
{
  for (guint i = 0; i < t->mirrors->len; i++)
    {
      Mirror *m = g_ptr_array_index (t->mirrors, i);

      if (m->host == host->data && m->there.size == host->size)
        return &m->there;
    }
  return NULL;
}

static gboolean
copy (DeviceTask *t, gboolean in, guint8 *address, const QconvBuffer *host, GError **error)
{
  const QconvBackend *b = t->device->backend;
  GError *own = NULL;
  gboolean ok;

  if (host->size == 0)
    return TRUE;
  ok = in ? b->copy_in (t->device->handle, t->stream.handle, address, host->data, host->size, &own)
          : b->copy_out (t->device->handle, t->stream.handle, host->data, address, host->size, &own);
  if (ok)
    return TRUE;
  t->failed |= qconv_device_is_at_fault (own);
  g_propagate_error (error, own);
  return FALSE;
}

QconvBuffer *
qconv_device_mirror (DeviceTask *t, const QconvBuffer *host, gboolean fill, GError **error)
{
  QconvBuffer *there = qconv_device_find (t, host);
  const Mirror *around = there == NULL ? find_around (t, host) : NULL;
  Mirror *m;

  if (there == NULL && around == NULL)
    {
      there = qconv_device_scratch (t, host->size, error);
      if (there == NULL || (fill && !copy (t, TRUE, there->address, host, error)))
        return NULL;
    }
  else if (there == NULL)
    {
      there = qconv_device_view (t);
      there->address = around->there.address + (host->data - around->host);
      there->size = host->size;
    }
  m = (Mirror *) (gpointer) there;
  m->host = host->data;
  there->dtype = host->dtype;
  return there;
}

void
qconv_device_wrote (DeviceTask *t, const QconvBuffer *host)
{
  QconvBuffer *there = qconv_device_find (t, host);

  if (there != NULL)
    ((Mirror *) (gpointer) there)->newer = TRUE;
}

gboolean
qconv_device_is_newer (const DeviceTask *t, const QconvBuffer *host)
{
  for (guint i = 0; i < t->mirrors->len; i++)
    {
      const Mirror *m = g_ptr_array_index (t->mirrors, i);

      if (m->newer && is_around (m, host))
        return TRUE;
    }
  return FALSE;
}

gboolean
qconv_device_fetch (DeviceTask *t, const QconvBuffer *but, GError **error)
{
  for (guint i = 0; i < t->mirrors->len; i++)
    {
      Mirror *m = g_ptr_array_index (t->mirrors, i);
      const QconvBuffer host = QCONV_BUFFER (m->host, m->there.size, m->there.dtype);

      if (but != NULL && is_around (m, but))
        continue;
      if (m->newer && !copy (t, FALSE, m->there.address, &host, error))
        return FALSE;
      m->newer = FALSE;
    }
  return sync_stream (t, error);
}

gboolean
qconv_device_bring (DeviceTask *t, const QconvBuffer *host, GError **error)
{
  gboolean ok = t == NULL || !qconv_device_is_newer (t, host) || qconv_device_fetch (t, NULL, error);

  if (t != NULL && ok)
    qconv_device_forget (t, NULL); /* else qconv_device_end() waits for what was enqueued */
  return ok;
}
