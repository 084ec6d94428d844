/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random-access bytes in a file or in memory. Files are read with pread, so that one that somebody else cuts short is
   an error and not a SIGBUS. Containers and tensors read through this. */
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

struct _QconvSource {
  char *path, *name;
  int fd; /* -1 in memory */
  GBytes *bytes;
  guint64 size;
  dev_t device;
  ino_t inode;
  GMutex lock;          /* of the next two */
  GHashTable *siblings; /* name -> QconvSource, owned */
  GError *failed;       /* the first error of a read */
};

static QconvSource *
new_source (const char *path, const char *name)
{
  QconvSource *s = g_new0 (QconvSource, 1);

  s->path = g_strdup (path);
  s->name = g_strdup (name);
  s->fd = -1;
  g_mutex_init (&s->lock);
  s->siblings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) qconv_source_free);
  return s;
}

QconvSource *
qconv_source_open (const char *path, GError **error)
{
  g_autofree char *name = g_path_get_basename (path);
  g_autoptr (QconvSource) s = new_source (path, name);
  struct stat st;

  s->fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (s->fd < 0 || fstat (s->fd, &st) != 0)
    {
      qconv_fail_by_errno (error, errno, path);
      return NULL;
    }
  if (!S_ISREG (st.st_mode))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "%s: not a regular file", path);
      return NULL;
    }
  s->size = (guint64) st.st_size;
  s->device = st.st_dev;
  s->inode = st.st_ino;
  return g_steal_pointer (&s);
}

QconvSource *
qconv_source_open_set (const SourceName *files, guint n, GError **error)
{
  g_autoptr (QconvSource) first = NULL;

  for (guint i = 0; i < n; i++)
    {
      QconvSource *s = qconv_source_open (files[i].path, error);

      if (s == NULL)
        return NULL;
      g_free (s->name);
      s->name = g_strdup (files[i].name);
      if (i == 0)
        first = s;
      else
        g_hash_table_insert (first->siblings, g_strdup (s->name), s);
    }
  return g_steal_pointer (&first);
}

QconvSource *
qconv_source_new_for_bytes (GBytes *bytes, const char *name)
{
  QconvSource *s = new_source (NULL, name);

  s->bytes = g_bytes_ref (bytes);
  s->size = g_bytes_get_size (bytes);
  return s;
}

void
qconv_source_free (QconvSource *s)
{
  if (s->fd >= 0)
    close (s->fd);
  g_clear_pointer (&s->bytes, g_bytes_unref);
  g_hash_table_unref (s->siblings);
  g_clear_error (&s->failed);
  g_mutex_clear (&s->lock);
  g_free (s->path);
  g_free (s->name);
  g_free (s);
}

guint64
qconv_source_size (QconvSource *s)
{
  g_return_val_if_fail (s != NULL, 0);
  return s->size;
}

const char *
qconv_source_name (QconvSource *s)
{
  g_return_val_if_fail (s != NULL, NULL);
  return s->name;
}

const char *
qconv_source_path (QconvSource *s)
{
  return s->path;
}

int
qconv_source_descriptor (QconvSource *s)
{
  return s->fd;
}

static gboolean
read_file (QconvSource *s, guint64 offset, gsize n, guint8 *dst, GError **error)
{
  while (n > 0)
    {
      gssize got = pread (s->fd, dst, MIN (n, 1u << 30), (off_t) offset);

      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return qconv_fail_by_errno (error, errno, s->path);
      if (got == 0)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT,
                       "%s: the file became shorter while it was read (end at %" G_GUINT64_FORMAT ")", s->path, offset);
          return FALSE;
        }
      dst += got;
      offset += (guint64) got;
      n -= (gsize) got;
    }
  return TRUE;
}

/* Reads, and remembers the first error */
static gboolean
read_noting (QconvSource *s, guint64 offset, gsize n, guint8 *dst, GError **error)
{
  GError *failed = NULL;

  if (read_file (s, offset, n, dst, &failed))
    return TRUE;
  g_mutex_lock (&s->lock);
  if (s->failed == NULL)
    s->failed = g_error_copy (failed);
  g_mutex_unlock (&s->lock);
  g_propagate_error (error, failed);
  return FALSE;
}

gboolean
qconv_source_check_reads (QconvSource *s, GError **error)
{
  GHashTableIter iter;
  gpointer sibling;
  gboolean ok = TRUE;

  g_mutex_lock (&s->lock);
  if (s->failed != NULL)
    {
      g_propagate_error (error, g_error_copy (s->failed));
      ok = FALSE;
    }
  g_hash_table_iter_init (&iter, s->siblings);
  while (ok && g_hash_table_iter_next (&iter, NULL, &sibling))
    ok = qconv_source_check_reads (sibling, error);
  g_mutex_unlock (&s->lock);
  return ok;
}

gboolean
qconv_source_read (QconvSource *s, guint64 offset, gsize n, void *dst, GError **error)
{
  g_return_val_if_fail (s != NULL && (dst != NULL || n == 0), FALSE);
  if (offset > s->size || n > s->size - offset)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "%" G_GSIZE_FORMAT " bytes at %" G_GUINT64_FORMAT " are past the end of the file", n, offset);
  if (s->fd >= 0)
    return read_noting (s, offset, n, dst, error);
  if (n > 0)
    memcpy (dst, (const guint8 *) g_bytes_get_data (s->bytes, NULL) + offset, n);
  return TRUE;
}

QconvSource *
qconv_source_sibling (QconvSource *s, const char *name, GError **error)
{
  g_autofree char *folder = NULL, *path = NULL;
  QconvSource *sibling;

  g_return_val_if_fail (s != NULL && name != NULL, NULL);
  if (*name == '\0' || strpbrk (name, "/\\") != NULL || strcmp (name, "..") == 0 || strcmp (name, ".") == 0)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is not a plain file name", name);
      return NULL;
    }
  if (s->path == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: no such file", name);
      return NULL;
    }
  folder = g_path_get_dirname (s->path);
  path = g_build_filename (folder, name, NULL);
  g_mutex_lock (&s->lock);
  sibling = g_hash_table_lookup (s->siblings, name);
  if (sibling == NULL)
    {
      sibling = qconv_source_open (path, error);
      if (sibling != NULL)
        g_hash_table_insert (s->siblings, g_strdup (name), sibling);
    }
  g_mutex_unlock (&s->lock);
  return sibling;
}

gboolean
qconv_source_is_file (QconvSource *s, const char *path)
{
  struct stat st;
  GHashTableIter iter;
  gpointer sibling;

  if (s->fd < 0 || stat (path, &st) != 0)
    return FALSE;
  if (st.st_dev == s->device && st.st_ino == s->inode)
    return TRUE;
  g_hash_table_iter_init (&iter, s->siblings);
  while (g_hash_table_iter_next (&iter, NULL, &sibling))
    if (qconv_source_is_file (sibling, path))
      return TRUE;
  return FALSE;
}

void
qconv_source_list_files (QconvSource *s, GPtrArray *paths)
{
  GHashTableIter iter;
  gpointer sibling;

  if (s->path != NULL)
    g_ptr_array_add (paths, g_strdup (s->path));
  g_hash_table_iter_init (&iter, s->siblings);
  while (g_hash_table_iter_next (&iter, NULL, &sibling))
    qconv_source_list_files (sibling, paths);
}
