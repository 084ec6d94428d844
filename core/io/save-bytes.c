/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes the bytes of a temporary file. The run calls it, from any thread. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "io/descriptor.h"
#include "io/save-private.h"

/* Changes the blocks of @n bytes at @offset as fallocate() does. @done: (out): FALSE if the file system cannot */
static gboolean
change_blocks (Save *s, int mode, guint64 offset, guint64 n, gboolean *done, GError **error)
{
  *done = FALSE;
  while (n > 0 && fallocate (s->fd, mode, (off_t) offset, (off_t) n) != 0)
    if (errno == EOPNOTSUPP || errno == ENOSYS)
      return TRUE;
    else if (errno != EINTR)
      return qconv_fail_by_errno (error, errno, s->temporary);
  *done = TRUE;
  return TRUE;
}

/* Whether the blocks of a file are memory. Allocating takes as long as writing then, in one thread, before all others
   may begin; qconv_save_check() has seen that there is space */
static gboolean
is_in_memory (int fd)
{
  struct statfs fs;

  return fstatfs (fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

gboolean
qconv_save_allocate (Save *s, GError **error)
{
  gboolean done;

  if (ftruncate (s->fd, (off_t) s->size) != 0)
    return qconv_fail_by_errno (error, errno, s->temporary);
  return is_in_memory (s->fd) || change_blocks (s, 0, 0, s->size, &done, error);
}

gboolean
qconv_save_clear (Save *s, guint64 offset, guint64 n, GError **error)
{
  static const guint8 zeros[1 << 16];
  gboolean done;

  if (!change_blocks (s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n, &done, error))
    return FALSE;
  if (done)
    return change_blocks (s, 0, offset, n, &done, error);
  for (guint64 piece; n > 0; n -= piece, offset += piece)
    {
      piece = MIN (n, sizeof zeros);
      if (!qconv_save_write (s, offset, zeros, (gsize) piece, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_save_read (Save *s, guint64 offset, void *dst, gsize n, GError **error)
{
  return qconv_descriptor_read (s->fd, s->path, offset, dst, n, error);
}

gboolean
qconv_save_write (Save *s, guint64 offset, gconstpointer data, gsize n, GError **error)
{
  if (offset > s->size || n > s->size - offset)
    return qconv_fail (error, QCONV_ERROR_BUG, "bytes were written past the planned end of the output");
  return qconv_descriptor_write (s->fd, s->path, offset, data, n, error);
}

gboolean
qconv_save_copy (Save *s, guint64 offset, const SourceRange *from, gboolean *done, GError **error)
{
  int fd = qconv_source_descriptor (from->source);
  off_t in = (off_t) from->start, out = (off_t) offset;
  guint64 n = from->n;

  *done = FALSE;
  if (offset > s->size || n > s->size - offset)
    return qconv_fail (error, QCONV_ERROR_BUG, "bytes were copied past the planned end of the output");
  while (fd >= 0 && n > 0)
    {
      gssize put = copy_file_range (fd, &in, s->fd, &out, MIN (n, 1u << 30), 0);

      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0 && (errno == ENOSPC || errno == EDQUOT))
        return qconv_fail_by_errno (error, errno, s->path);
      if (put <= 0) /* the system cannot, or there is a fault that reading and writing will report */
        return TRUE;
      n -= (guint64) put;
    }
  *done = n == 0;
  return TRUE;
}

gboolean
qconv_save_sync (Save *s, GError **error)
{
  return fsync (s->fd) == 0 || qconv_fail_by_errno (error, errno, s->path);
}
