/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes interrupted and short reads and writes to their end, and opens files under names that anyone can guess without
   touching what others put there. */
#include "io/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define MOST (1u << 30) /* bytes of one call: Linux takes at most about 2 GiB */

int
qconv_descriptor_open_own (const char *path, GError **error)
{
  /* O_NONBLOCK: a FIFO must not block */
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  struct stat st;

  if (fd < 0 && errno != ELOOP && errno != EISDIR && errno != ENXIO)
    {
      qconv_fail_by_errno (error, errno, path);
      return -1;
    }
  if (fd >= 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && st.st_uid == geteuid () && st.st_nlink <= 1)
    return fd;
  qconv_fail (error, QCONV_ERROR_OPTION, "%s: is not a file that qconv left: move it away", path);
  if (fd >= 0)
    close (fd);
  return -1;
}

gboolean
qconv_descriptor_read (int fd, const char *path, guint64 offset, void *dst, gsize n, GError **error)
{
  guint8 *p = dst;

  while (n > 0)
    {
      gssize got = pread (fd, p, MIN (n, MOST), (off_t) offset);

      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        {
          errno = got == 0 ? EIO : errno;
          return qconv_fail_by_errno (error, errno, path);
        }
      p += got;
      offset += (guint64) got;
      n -= (gsize) got;
    }
  return TRUE;
}

gboolean
qconv_descriptor_write (int fd, const char *path, guint64 offset, gconstpointer data, gsize n, GError **error)
{
  const guint8 *p = data;

  while (n > 0)
    {
      gssize put = pwrite (fd, p, MIN (n, MOST), (off_t) offset);

      if (put < 0 && errno == EINTR)
        continue;
      if (put <= 0) /* 0: no progress, and no reason */
        {
          errno = put == 0 ? EIO : errno;
          return qconv_fail_by_errno (error, errno, path);
        }
      p += put;
      offset += (guint64) put;
      n -= (gsize) put;
    }
  return TRUE;
}
